"""The page in a real browser: sorting, hover values, nothing fetched, nothing wider than a phone."""

import shutil

import pytest

sync = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture(scope="module")
def browser():
    with sync.sync_playwright() as kit:
        try:
            found = kit.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except sync.Error as error:
            pytest.skip(
                f"needs a Chromium (apt install chromium, or playwright install chromium): {str(error).splitlines()[0]}"
            )
        yield found
        found.close()


@pytest.fixture
def opened(browser, report, tmp_path):
    """`opened(**context options)` → (page, what it asked for, what its console said)."""
    path, contexts = report.to_html(tmp_path / "report.html"), []

    def open_page(**options):
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


def column(page, number):
    return page.eval_on_selector_all(
        "#recipes tbody tr",
        f"rows => rows.map(row => (row.cells[{number}] || {{}}).dataset?.sort ?? null)",
    )


def test_nothing_is_fetched_and_nothing_goes_wrong(opened, tmp_path):
    page, asked, said = opened()
    page.mouse.wheel(0, 5000)
    for summary in page.query_selector_all("summary"):
        summary.click()
    page.wait_for_timeout(200)
    assert asked == [(tmp_path / "report.html").as_uri()] and said == []


def test_a_click_on_a_head_sorts_by_it_and_the_next_one_the_other_way(opened, report):
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


def test_a_point_shows_its_values_and_lights_its_row(opened, report):
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


@pytest.mark.parametrize("width", [320, 390, 768])
def test_the_page_is_no_wider_than_the_screen(opened, width):
    page, _, _ = opened(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("getComputedStyle(document.querySelector('.reason')).fontSize") >= "14px"


def test_dark_is_dark(opened):
    def paper(scheme):
        page, _, _ = opened(color_scheme=scheme)
        return sum(
            map(
                int, page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
            )
        )

    assert paper("dark") < 150 < 600 < paper("light")
