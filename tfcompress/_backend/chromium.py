"""A page in a headless Chromium, by Playwright, whose every request is answered from here."""

from __future__ import annotations

import mimetypes
import shutil
from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfcompress.core._errors import InterpreterError

if TYPE_CHECKING:
    from playwright.sync_api import Route

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ORIGIN = "http://device.localhost"
"""Browsers trust names below localhost as they trust HTTPS: threads and WebGPU need that."""
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
HOW = "pip install playwright, and a Chromium: apt install chromium, or playwright install chromium"


def require_chromium() -> None:
    """InterpreterError where Playwright is not installed."""
    if find_spec("playwright") is None:
        raise InterpreterError(f"Running files in a browser needs Playwright and Chromium: {HOW}.")


def evaluate(
    files: Mapping[str, bytes | Path], script: str, argument: object, timeout_s: float
) -> tuple[Any, str]:
    """What `script`, a function in JavaScript, gives for `argument` in the page "/" of `files`.

    Nothing but `files` (address → content) can be reached from the page.

    Returns:
        The result as JSON data, and the browser's name with its version.

    Raises:
        InterpreterError: there is no Chromium, it does not start, or the script throws.
    """
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as kit:
        try:
            browser = kit.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        except Error as error:
            raise InterpreterError(f"No Chromium starts here ({_said(error)}): {HOW}.") from error
        page = browser.new_page()
        page.set_default_timeout(1000 * timeout_s)
        page.route("**/*", partial(_answer, files))
        page.goto(f"{ORIGIN}/")
        try:
            return page.evaluate(script, argument), f"Chromium {browser.version}"
        except Error as error:
            raise InterpreterError(_said(error)) from error
        finally:
            browser.close()


def _answer(files: Mapping[str, bytes | Path], route: Route) -> None:
    """Answer one request of the page from `files`."""
    name = route.request.url.removeprefix(ORIGIN).partition("?")[0]
    content = files.get(name)
    if content is None:
        route.fulfill(status=404, body="no such file")
        return
    kind = "text/html" if name == "/" else mimetypes.guess_type(name)[0]
    body = content.read_bytes() if isinstance(content, Path) else content
    headers = {**HEADERS, "Content-Type": kind or "application/octet-stream"}
    route.fulfill(body=body, headers=headers)


def _said(error: Exception) -> str:
    """The first line of what a page threw, without Playwright's words around it."""
    line = str(error).splitlines()[0]
    return line.rpartition("Error: ")[2] or line


def executable() -> str | None:
    """The system's Chromium; None: the one that Playwright installed."""
    found = (shutil.which(name) for name in NAMES)
    return next((path for path in found if path), None)
