"""The page in a real browser: sorting, hover values, nothing fetched or wider than a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tfcompress.report import Report

OpenPage = Callable[..., "tuple[Any, list[str], list[str]]"]
"""Opens the page: it, what it asked for, what its console said."""


@pytest.fixture
def opened(browser: Any, report: Report, tmp_path: Path) -> Iterator[OpenPage]:
    """`opened(**context options)` → (page, what it asked for, what its console said)."""
    path, contexts = report.to_html(tmp_path / "report.html"), []

    def open_page(**options: Any) -> tuple[Any, list[str], list[str]]:
        context = browser.new_context(**options)
        contexts.append(context)
        page, asked, said = context.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        return page, asked, said

    yield open_page
    for context in contexts:
        context.close()


def column(page: Any, number: int) -> list[Any]:
    return page.eval_on_selector_all(
        "#recipes tbody tr",
        f"rows => rows.map(row => (row.cells[{number}] || {{}}).dataset?.sort ?? null)",
    )


def test_nothing_is_fetched_and_nothing_goes_wrong(opened: OpenPage, tmp_path: Path) -> None:
    page, asked, said = opened()
    page.mouse.wheel(0, 5000)
    for summary in page.query_selector_all("summary"):
        summary.click()
    page.wait_for_timeout(200)
    assert asked == [(tmp_path / "report.html").as_uri()] and said == []


def test_a_click_on_a_head_sorts_by_it_and_the_next_one_the_other_way(
    opened: OpenPage, report: Report
) -> None:
    page, _, _ = opened()
    heads = page.query_selector_all("#recipes thead button")
    names = [head.inner_text() for head in heads]
    for word in ("size", "accuracy", "latency"):
        place = names.index(word)
        heads[place].click()
        values = [float(value) for value in column(page, place) if value is not None]
        assert values == sorted(values, reverse=word == "accuracy") and len(values) == 5, word
        assert (
            page.eval_on_selector("#recipes tbody tr:last-child", "row => row.dataset.recipe")
            == "int16x8"
        ), "failed recipes stay last"
        heads[place].click()
        assert [float(value) for value in column(page, place) if value is not None] == values[::-1]
        assert page.eval_on_selector("[aria-sort]", "head => head.innerText").startswith(word)
    heads[0].click()
    recipes = column(page, 0)
    assert recipes[:-1] == sorted(recipes[:-1])


def test_a_point_shows_its_values_and_lights_its_row(opened: OpenPage, report: Report) -> None:
    page, _, _ = opened(viewport={"width": 1200, "height": 900})
    assert page.is_hidden("#tip")
    point = page.locator('.scatter .point[data-recipe="int8"]').first
    point.scroll_into_view_if_needed()
    point.locator(".dot").hover()
    said, line = page.inner_text("#tip"), report.line("int8")
    assert said.splitlines()[0] == "int8"
    assert f"accuracy {100 * line['accuracy']:.2f}" in said and "559,184 bytes on disk" in said
    assert "lit" in page.get_attribute('tr[data-recipe="int8"]', "class")
    page.mouse.move(0, 0)
    assert page.is_hidden("#tip")
    point.focus()
    assert page.inner_text("#tip") == said, "the keyboard shows what the mouse does"


@pytest.mark.parametrize("width", [320, 390, 768, 800])
def test_the_page_is_no_wider_than_the_screen(opened: OpenPage, width: int) -> None:
    page, _, _ = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.reason')).fontSize") >= "14px"


def test_dark_is_dark(opened: OpenPage) -> None:
    def paper(scheme: str) -> int:
        page, _, _ = opened(color_scheme=scheme)
        return sum(
            map(
                int, page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
            )
        )

    assert paper("dark") < 150 < 600 < paper("light")


@pytest.mark.parametrize("width", [390, 800, 1100, 1400])
def test_no_number_is_cut_and_no_label_lies_over_another(opened: OpenPage, width: int) -> None:
    page, _, _ = opened(viewport={"width": width, "height": 800})
    cut = """cells => cells.filter(cell => cell.getBoundingClientRect().right >
        document.querySelector('#recipes').closest('.scroll').getBoundingClientRect().right + 1)
        .map(cell => cell.innerText)"""
    assert page.eval_on_selector_all("#recipes td", cut) == []
    boxes = page.eval_on_selector_all(
        "svg.scatter",
        """figures => figures.map(figure => [figure, ...figure.querySelectorAll('.label')].map(
        each => { const box = each.getBoundingClientRect();
                  return [box.left, box.top, box.right, box.bottom]; }))""",
    )
    assert len(boxes) == 3
    for frame, *labels in boxes:
        assert labels
        for number, box in enumerate(labels):
            assert box[0] >= frame[0] and box[2] <= frame[2] + 1
            for other in labels[:number]:
                apart = box[0] >= other[2] or other[0] >= box[2]
                assert apart or box[1] >= other[3] - 2 or other[1] >= box[3] - 2


def test_the_filter_shows_only_recipes_with_all_its_words(opened: OpenPage) -> None:
    page, _, _ = opened()
    page.fill("#filter", "INT8 qat")
    shown = page.eval_on_selector_all(
        "#recipes tbody tr:not([hidden])", "rows => rows.map(row => row.dataset.recipe)"
    )
    assert shown == ["prune80-qat-int8"]
    assert page.inner_text("#hidden-rows") == "1 of 6 recipes shown"
    assert page.is_hidden('details[data-recipe="float32"]')
    page.fill("#filter", "")
    assert page.is_hidden("#hidden-rows") and page.is_visible('details[data-recipe="float32"]')


def test_the_rows_come_out_as_csv(opened: OpenPage, report: Report, tmp_path: Path) -> None:
    page, _, _ = opened()
    with page.expect_download() as coming:
        page.click("#download")
    coming.value.save_as(tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == report.to_csv()
    assert coming.value.suggested_filename == "Digits_friends_.csv"


def test_two_files_are_compared_by_layer(opened: OpenPage) -> None:
    page, _, said = opened()
    assert (page.input_value("#left"), page.input_value("#right")) == ("float32", "dynamic")
    page.select_option("#right", "int8")
    rows = page.eval_on_selector_all(
        "#pair tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.split('\\n')[0]))",
    )
    assert rows == [
        ["conv<1>", "4,000", "1,000", "25.0"],
        ["dense", "8,000", "–", "–"],
        ["other", "–", "500", "–"],
        ["all layers", "12,000", "1,500", "12.5"],
    ]
    assert said == []
