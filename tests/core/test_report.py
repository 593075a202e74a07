"""Rows: summary over seeds, Pareto front, Markdown and CSV."""

import csv
import io
import math
import sys
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress.core import ArtifactError, RecipeError, Rows

ROWS = [
    {
        "recipe": "float32",
        "seed": 0,
        "accuracy": 0.97,
        "size_bytes": 2197660,
        "latency_ms_p50": 0.1661,
        "profile": {"ops": [1]},
        "correct": "110",
    },
    {
        "recipe": "float32",
        "seed": 1,
        "accuracy": 0.95,
        "size_bytes": 2197660,
        "latency_ms_p50": 0.1659,
        "correct": "101",
    },
    {
        "recipe": "int8",
        "seed": 0,
        "accuracy": 0.94,
        "size_bytes": 559184,
        "latency_ms_p50": 0.076,
        "skipped": [{"layer": "a"}],
    },
    {"recipe": "int8", "seed": 1, "error": "TrainingError: the loss became nan"},
    {"recipe": "int16x8", "seed": 0, "error": "ConversionError: HARD_SWISH | no\nkernel"},
]

MARKDOWN = """\
| recipe | accuracy | size_bytes | latency_ms_p50 |
|---|---:|---:|---:|
| float32 | 0.9600 ± 0.0141 | 2,197,660 | 0.166 ± 0.0001 |
| int8 (1 of 2 seeds failed) | 0.9400 | 559,184 | 0.0760 |
| int16x8 | failed: ConversionError: HARD_SWISH \\| no kernel |  |  |
"""

CSV = """\
recipe,seed,accuracy,size_bytes,latency_ms_p50,error
float32,0,0.97,2197660,0.1661,
float32,1,0.95,2197660,0.1659,
int8,0,0.94,559184,0.076,
int8,1,,,,TrainingError: the loss became nan
int16x8,0,,,,"ConversionError: HARD_SWISH | no
kernel"
"""

FORMULA = ("=", "+", "-", "@", "\t", "\r")

points = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12)
values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6)


def test_markdown_golden() -> None:
    assert Rows(ROWS).to_markdown() == MARKDOWN


def test_csv_golden_has_no_nested_data_and_no_answers() -> None:
    assert Rows(ROWS).to_csv() == CSV


def test_csv_file_is_not_replaced_unasked(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    Rows(ROWS).to_csv(file)
    assert file.read_text() == CSV
    with pytest.raises(ArtifactError, match="overwrite"):
        Rows(ROWS).to_csv(file)
    Rows(ROWS[:1]).to_csv(file, overwrite=True)
    assert len(file.read_text().splitlines()) == 2


def test_columns_are_the_numbers_alone() -> None:
    assert Rows(ROWS).columns() == ["accuracy", "size_bytes", "latency_ms_p50"]
    assert Rows([{"recipe": "a", "seed": 0, "ok": True}]).columns() == []


@settings(deadline=None)
@given(values)
def test_summary_is_mean_and_sample_deviation(numbers: list[float]) -> None:
    rows = [{"recipe": "a", "seed": i, "accuracy": value} for i, value in enumerate(numbers)]
    (line,) = Rows(
        [
            *rows,
            {"recipe": "a", "seed": 99, "accuracy": math.nan},
            {"recipe": "a", "seed": 100, "error": "x"},
        ]
    ).summary()
    assert line["accuracy"] == fmean(numbers)
    assert line.get("accuracy_std") == (stdev(numbers) if len(numbers) > 1 else None)
    assert (line["seeds"], line["failed"]) == (len(numbers) + 1, 1)


def test_summary_keeps_the_error_of_a_recipe_that_always_failed() -> None:
    line = Rows(ROWS).summary()[2]
    assert line["seeds"] == 0 and line["error"].startswith("ConversionError")


@settings(deadline=None)
@given(points)
def test_pareto_front_is_exactly_the_unbeaten(pairs: list[tuple[Any, Any]]) -> None:
    rows = Rows(
        [
            {"recipe": str(i), "seed": 0, "size_bytes": size, "accuracy": good}
            for i, (size, good) in enumerate(pairs)
        ]
    )
    front = {row["recipe"] for row in rows.pareto("size_bytes", "accuracy").rows}
    for i, (size, good) in enumerate(pairs):
        beaten = any((s <= size and g >= good) and (s, g) != (size, good) for s, g in pairs)
        assert (str(i) not in front) == beaten
    assert front


@settings(deadline=None)
@given(points)
def test_pareto_of_one_column_is_its_best(pairs: list[tuple[Any, Any]]) -> None:
    rows = Rows(
        [{"recipe": str(i), "seed": 0, "latency_ms_p50": x} for i, (x, _) in enumerate(pairs)]
    )
    assert {row["latency_ms_p50"] for row in rows.pareto("latency_ms_p50").rows} == {
        min(x for x, _ in pairs)
    }


@settings(deadline=None)
@given(points, st.randoms())
def test_pareto_does_not_depend_on_the_order_of_rows(
    pairs: list[tuple[Any, Any]], random: Random
) -> None:
    rows = [
        {"recipe": str(i), "seed": 0, "size_bytes": size, "accuracy": good}
        for i, (size, good) in enumerate(pairs)
    ]
    mixed = random.sample(rows, len(rows))
    assert {r["recipe"] for r in Rows(rows).pareto("size_bytes", "accuracy").rows} == {
        r["recipe"] for r in Rows(mixed).pareto("size_bytes", "accuracy").rows
    }


def test_pareto_takes_means_equal_to_the_last_bit_for_equal() -> None:
    thirds = [0.1, 0.2, 0.3]
    assert sum(thirds) != sum(reversed(thirds))
    rows = [
        {"recipe": "a", "seed": 0, "accuracy": sum(thirds)},
        {"recipe": "b", "seed": 0, "accuracy": sum(reversed(thirds))},
    ]
    assert len(Rows(rows).pareto("accuracy")) == 2


@pytest.mark.parametrize("columns", [(), ("accuracy", "bits")])
def test_pareto_names_the_columns_there_are(columns: tuple[str, ...]) -> None:
    with pytest.raises(RecipeError, match="accuracy, size_bytes, latency_ms_p50"):
        Rows(ROWS).pareto(*columns)


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_csv_and_markdown_hold_any_name(names: list[str]) -> None:
    rows = Rows([{"recipe": name, "seed": 0, "accuracy": 0.5} for name in names])
    back = list(csv.DictReader(io.StringIO(rows.to_csv(), newline=""), restkey="more"))
    assert len(rows.to_markdown().splitlines()) == 2 + len(set(names))
    if not any(set(name) & {"\r", "\n"} for name in names):
        inert = [f"'{name}" if name.startswith(FORMULA) else name for name in names]
        assert [row["recipe"] for row in back] == inert


def test_small_latencies_keep_three_digits_and_deviations_follow_their_mean() -> None:
    rows = [
        {"recipe": "a", "seed": i, "latency_ms_p50": ms} for i, ms in enumerate([0.00152, 0.00158])
    ]
    assert "| a | 0.00155 ± 0.00004 |" in Rows(rows).to_markdown()
    assert (
        "| a | 12.345 |"
        in Rows([{"recipe": "a", "seed": 0, "latency_ms_p50": 12.3451}]).to_markdown()
    )


@pytest.mark.parametrize("first", FORMULA)
def test_no_cell_of_a_csv_is_a_formula(first: str) -> None:
    name = first + 'HYPERLINK("http://example.org","x")'
    rows = Rows([{"recipe": name, "seed": 0, first + "1": 0.5, "accuracy": -0.5}])
    head, line = csv.reader(io.StringIO(rows.to_csv(), newline=""))
    assert not any(cell.startswith(first) for cell in [*head, line[0]])
    assert line[0] == "'" + name.replace("\r", "\n")
    assert line[3] == "-0.5", "numbers stay numbers"


def test_markdown_passes_no_html_and_no_link_on() -> None:
    name = "<script>alert(1)</script> & [here](javascript:alert(1)) \\| end"
    text = Rows([{"recipe": name, "seed": 0, "accuracy": 0.5}]).to_markdown()
    assert "<" not in text and "](" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in text
    cells = text.splitlines()[2].replace("\\|", "").split("|")
    assert len(cells) == 4, "two cells and the ends"


def test_repr_is_one_short_line() -> None:
    text = repr(Rows(ROWS, "A study"))
    assert text == ("<Rows 'A study': 3 recipes, 5 rows; accuracy, size_bytes, latency_ms_p50>")
    assert len(repr(Rows(ROWS * 100))) < 200


def test_a_notebook_shows_the_summary_as_a_table() -> None:
    rows = [{"recipe": "<b>x</b>", "seed": 0, "accuracy": 0.5, "profile": {"ops": []}}]
    html = Rows([*ROWS, *rows], "A & B")._repr_html_()
    assert "A &amp; B" in html and "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<td>559,184</td>" in html and "int8 (1 of 2 seeds failed)" in html
    assert html.count("<tr>") == 5


def test_a_data_frame_has_the_rows_without_nested_data() -> None:
    pandas = pytest.importorskip("pandas")
    frame = Rows(ROWS).to_pandas()
    columns = ["recipe", "seed", "accuracy", "size_bytes", "latency_ms_p50", "error"]
    assert list(frame.columns) == columns and len(frame) == 5
    assert frame.groupby("recipe").accuracy.mean()["float32"] == pytest.approx(0.96)
    assert isinstance(frame, pandas.DataFrame)


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        Rows(ROWS).to_pandas()


@pytest.mark.parametrize(
    ("values", "cell"),
    [
        ([0.97, 0.97002], "0.9700 ± 0.00001"),
        ([0.97, 0.97], "0.9700"),
        ([0.1 + 0.2, 0.3], "0.3000"),
        ([0.97, 0.95], "0.9600 ± 0.0141"),
    ],
)
def test_a_deviation_is_never_written_as_zero(values: list[float], cell: str) -> None:
    rows = [{"recipe": "a", "seed": i, "accuracy": value} for i, value in enumerate(values)]
    assert f"| a | {cell} |" in Rows(rows).to_markdown()
