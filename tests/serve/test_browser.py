"""The pages in a real browser: try, measure, and the report after a reload."""

import threading
import time

import numpy as np
import pytest

from tfcompress import serve


@pytest.fixture
def address(site, litert_js):
    """A server of `site` in a thread of this process."""
    import uvicorn

    site.litert_js = litert_js
    config = uvicorn.Config(serve.create_app(site), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def page(browser, address):
    """A phone-sized page that fails a test for a request elsewhere or an error of a script."""
    opened = browser.new_page(viewport={"width": 390, "height": 844})
    wrong = []

    def check(request):
        if not request.url.startswith((address, "blob:", "data:")):
            wrong.append(request.url)

    opened.on("request", check)
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.set_default_timeout(60_000)
    yield opened
    opened.close()
    assert not wrong


def test_files_are_measured_in_the_browser(page, address, site):
    page.goto(f"{address}/measure")
    page.wait_for_selector("body[data-ready]")
    page.fill("#device", "Test phone")
    page.click("#start")
    page.wait_for_selector("body[data-measured]", timeout=120_000)
    assert page.locator("td.bad").count() == 0
    kept = site.store.all()
    assert len(kept) == len(site.catalogue.files)
    for measurement in kept:
        assert measurement.agreement == 1
        assert measurement.relative_error < 0.02
        assert measurement.score is not None
        assert measurement.score > 0.5
    page.goto(f"{address}/")
    assert page.get_by_text("browser: Test phone").count() >= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_sample_is_answered_here_and_by_the_server(page, address, site):
    page.goto(f"{address}/try")
    page.wait_for_selector("body[data-ready]")
    page.click("#sample")
    page.wait_for_selector("body[data-answered]")
    here = page.locator(".answer li:first-child").all_inner_texts()
    page.evaluate("delete document.body.dataset.answered")
    page.select_option("#where", "server")
    page.wait_for_selector("body[data-answered]")
    assert page.locator(".answer li:first-child").all_inner_texts() == here
    assert len(here) == len(site.catalogue.files)
    assert "on the server" in page.locator(".answer .note").first.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_stroke_is_a_picture(page, address, site):
    page.goto(f"{address}/try")
    page.wait_for_selector("body[data-ready]")
    box = page.locator("#shown").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 200, steps=8)
    page.mouse.up()
    page.wait_for_selector("body[data-answered]")
    grey = page.evaluate(
        "Array.from(document.getElementById('seen').getContext('2d').getImageData(0, 0, 8, 8).data)"
    )
    pixels = np.asarray(grey, "uint8").reshape(8, 8, 4)[..., :1]
    assert pixels.max() > 60
    file = next(iter(site.catalogue.files.values()))
    outputs = site.predict(file, site.samples.of_picture(pixels)).outputs[0][0]
    shown = page.locator(".answer").first.locator("li").first.inner_text().split()
    assert shown[0] == str(outputs.argmax())
