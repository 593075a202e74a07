"""The page: whole, self-contained, escaped, and written as one file or not at all."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tfcompress.core import ArtifactError
from tfcompress.report import Report

VOID = {"meta", "line", "circle", "rect", "path", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects elements and text, and fails on tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> inside {self.open}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))


@pytest.fixture
def page(report: Report, tmp_path: Path) -> str:
    return report.to_html(tmp_path / "report.html").read_text()


def test_nothing_is_fetched(page: str) -> None:
    parsed = Page(page)
    assert not re.search(r"(?i)https?://|//cdn|@import|(?<!Object)url\(", page)
    for tag, attributes in parsed.elements:
        assert tag not in ("link", "img", "iframe", "object", "embed", "base")
        assert "src" not in attributes and not attributes.get("href", "#").strip("#")
    policy = next(
        a["content"] for t, a in parsed.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")


def test_page_says_everything_once_a_person_looks_for_it(page: str, report: Report) -> None:
    text = Page(page).text
    for word in (
        "Digits & <friends>",
        "Recommended dynamic",
        report.recommend().reason,
        "560,744",
        "3.92× smaller",
        "2.63× faster",
        "equally fast",
        "ConversionError: <HARD_SWISH> has no 16-bit kernel",
        "rescale",
        "stays float & is fused",
        "conv<1>",
        "0.0123",
        "tfc.compress(model, 'int8', seed=0)",
        "tfcompress study 'a b.toml'",
        "2 threads on 1 usable cores",
        "machine: cores",
        "400 test examples",
    ):
        assert word in text, word
    assert "<friends>" not in page and "<HARD_SWISH>" not in page


def test_table_has_numbers_to_sort_by_and_failures_apart(page: str, report: Report) -> None:
    cells = [a for t, a in Page(page).elements if t == "td"]
    sizes = {float(a["data-sort"]) for a in cells if "data-sort" in a}
    assert {line["size_bytes"] for line in report.summary() if "size_bytes" in line} <= sizes
    failed = [a for t, a in Page(page).elements if t == "tr" and "data-failed" in a]
    assert [a["data-recipe"] for a in failed] == ["int16x8"]


def test_every_point_carries_its_values_for_mouse_and_keyboard(page: str, report: Report) -> None:
    points = [a for t, a in Page(page).elements if t == "g" and "data-tip" in a]
    assert len(points) == 3 * 5 + 5 * 2  # three scatters, and two thread counts a recipe
    int8 = next(a for a in points if a["data-recipe"] == "int8")
    assert "559,184 bytes on disk" in int8["data-tip"] and "0.0762 ± 0.0003 ms" in int8["data-tip"]
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in points)


def test_dark_light_and_narrow_are_provided_for(page: str) -> None:
    assert "prefers-color-scheme: dark" in page and "max-width: 600px" in page
    assert 'name="viewport"' in page


def test_existing_page_is_kept_unless_asked(report: Report, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("mine")
    with pytest.raises(ArtifactError, match="overwrite"):
        report.to_html(file)
    assert file.read_text() == "mine"
    assert report.to_html(file, overwrite=True).read_text().startswith("<!doctype html>")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"recipe": "a", "seed": 0, "error": "x"}],
        [{"recipe": "a", "seed": None, "size_bytes": 10}],
        [
            {"recipe": "a", "seed": 0, "accuracy": float("nan"), "size_bytes": 10},
            {"recipe": "b", "seed": 0, "size_bytes": 1},
        ],
        [
            {"recipe": n, "seed": 0, "loss": v, "size_bytes": 10, "latency_ms_p50": 0.1}
            for n, v in (("a", 1.0), ("b", 2.0))
        ],
    ],
)
def test_poor_reports_still_make_a_page(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    assert Page(
        Report(rows, about={"metric": "loss"}).to_html(tmp_path / "r.html").read_text()
    ).elements


def test_rows_survive_json(report: Report, tmp_path: Path) -> None:
    back = Report(json.loads(json.dumps(list(report.rows))), report.title, report.about)
    assert (
        back.to_html(tmp_path / "b.html").read_text()
        == report.to_html(tmp_path / "a.html").read_text()
    )


def test_a_badge_says_which_front_it_means(page: str) -> None:
    badges = [a for t, a in Page(page).elements if "front" in a.get("class", "") and "title" in a]
    assert badges
    assert all("front of accuracy against" in badge["title"] for badge in badges)
    assert "Pareto: size, download" in page or "Pareto: size" in page


def test_what_was_measured_is_named_once(report: Report, tmp_path: Path) -> None:
    machine = {"machine": "x86_64", "numpy": "2.3", "cores": 2}
    about = {**report.about, "machine": machine, "versions": {"numpy": "2.3", "keras": "3.12"}}
    text = Page(Report(report.rows, "t", about).to_html(tmp_path / "r.html").read_text()).text
    assert "machine: architecture x86_64" in text and "machine: machine" not in text
    assert text.count("numpy") == 1


def test_deviations_are_never_zero(tmp_path: Path) -> None:
    rows = [
        {"recipe": n, "seed": i, "accuracy": 0.9, "size_bytes": 10, "latency_ms_p50": 0.2 + i / 1e6}
        for n in ("a", "b")
        for i in range(3)
    ]
    text = Page(Report(rows).to_html(tmp_path / "r.html").read_text()).text
    assert "± 0.000001" in text and "± 0.000 " not in text


def test_a_check_says_which_way_its_bound_counts(page: str) -> None:
    assert "int8: relative error 0.0123 (at most 0.1)" in Page(page).text
    assert "(bound" not in page


def test_files_beside_the_page_are_linked(report: Report, tmp_path: Path) -> None:
    (tmp_path / "int8.tflite").write_bytes(b"x")
    parsed = Page(report.to_html(tmp_path / "report.html").read_text())
    assert [a["href"] for t, a in parsed.elements if t == "a"] == ["int8.tflite"]


def test_training_curves_are_drawn_where_rows_have_them(report: Report, tmp_path: Path) -> None:
    curves = {"loss": [0.9, 0.5, 0.4], "val_loss": [1.0, 0.7, 0.6], "accuracy": [0.5, float("nan")]}
    rows = [{**row, "training": curves} for row in report.rows if row["recipe"] == "int8"]
    text = Page(Report(rows).to_html(tmp_path / "r.html").read_text()).text
    assert "Loss by epoch" in text and "val_loss: 0.6000 at the end" in text
    assert "Accuracy by epoch" not in text, "a curve with a hole is not drawn"


def test_a_slower_int8_is_explained(tmp_path: Path) -> None:
    rows = [
        {"recipe": n, "seed": 0, "size_bytes": 10, "latency_ms_p50": ms}
        for n, ms in (("float32", 1.0), ("int8", 1.4))
    ]
    machine = {"cpu": "Xeon", "integer_instructions": ["avx2"]}
    report = Report(rows, about={"machine": machine})
    assert report.notes()[0] in Page(report.to_html(tmp_path / "r.html").read_text()).text
