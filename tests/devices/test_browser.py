"""Files in a headless Chromium: outputs as the host's, latencies, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from tfcompress._backend import chromium, litert_js
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress.core import DataError, InterpreterError, RecipeError
from tfcompress.devices import Browser, by_name


@pytest.fixture(autouse=True)
def _runtime(litert_js: object) -> None:
    try:
        chromium.evaluate({"/": b""}, "() => 1", None, 20.0)
    except InterpreterError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", ["float32", "dynamic", "float16"])
def test_outputs_are_the_hosts(name: str, nets: SimpleNamespace) -> None:
    data = getattr(nets, name)
    expected = open_interpreter(data).predict([nets.x])[0]
    np.testing.assert_allclose(Browser().run(data, [nets.x])[0], expected, atol=5e-3)


def test_threads_are_measured(nets: SimpleNamespace) -> None:
    profile = Browser(threads=2).profile(nets.float32, "net")
    assert profile.device == "browser-2threads"
    (latency,) = profile.latency
    assert latency.threads == 2
    assert 0 < latency.latency_ms_min <= latency.latency_ms_p50 <= latency.latency_ms_p99
    assert profile.init_ms is not None
    assert profile.init_ms > latency.latency_ms_p50
    assert profile.runtime.startswith("LiteRT.js 2")


def test_what_does_not_fit_is_refused(nets: SimpleNamespace) -> None:
    with pytest.raises(DataError, match="one input; 2 came"):
        Browser().run(nets.float32, [nets.x, nets.x])
    with pytest.raises(InterpreterError, match=r"samples of shape \[12, 12, 8\]"):
        Browser().run(nets.float32, [nets.x[:, :4]])
    with pytest.raises(InterpreterError, match=r"its input is int8.*float ends"):
        Browser().profile(nets.int8)
    with pytest.raises(RecipeError, match="wasm or webgpu; got 'npu'"):
        Browser("npu")
    with pytest.raises(RecipeError, match="threads=0"):
        Browser(threads=0)


def test_names_are_read_back() -> None:
    for device in (Browser(), Browser(threads=4), Browser("webgpu")):
        assert by_name(device.name) == device


def test_without_the_runtime_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, nets: SimpleNamespace
) -> None:
    monkeypatch.setattr("tfcompress.devices._browser.find", lambda: None)
    with pytest.raises(InterpreterError, match=r"needs LiteRT\.js.*npm install"):
        Browser().profile(nets.float32)
    monkeypatch.setattr(chromium, "find_spec", lambda name: None)
    with pytest.raises(InterpreterError, match="pip install playwright"):
        Browser().require()
    assert litert_js.VERSION in litert_js.HOW


def test_an_error_of_the_page_is_one_line(nets: SimpleNamespace) -> None:
    with pytest.raises(InterpreterError, match="no such thing") as caught:
        chromium.evaluate({"/": b""}, "() => { throw new Error('no such thing') }", None, 20.0)
    assert "\n" not in str(caught.value)
