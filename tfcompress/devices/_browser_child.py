"""The jobs of Browser in a child process: `python -m tfcompress.devices._browser_child OUT`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.chromium import evaluate
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.isolate import answer
from tfcompress._backend.litert_js import find, refusal
from tfcompress.core import DataError, InterpreterError
from tfcompress.core._types import Array

Announce = Callable[[str], None]
PAGE_SECONDS = 240.0
PAGE = b"""<!doctype html>
<link rel="icon" href="data:,">
<script type="importmap">
{"imports": {"@litertjs/core": "/litert/core.js", "@litertjs/wasm-utils": "/litert/wasm-utils.js"}}
</script>
"""
RUN = """async ({file, options, shape}) => {
  const {Runner, answers, bytes} = await import('/runtime.js');
  const values = new Float32Array((await bytes('/x.bin')).buffer);
  const length = values.length / shape[0];
  const runner = await Runner.open(file, await bytes('/net.tflite'), options);
  return answers(runner, shape[0], (at) => values.slice(at * length, (at + 1) * length));
}"""
MEASURE = """async ({file, options}) => {
  const {Runner, bytes, load, percentiles} = await import('/runtime.js');
  const values = new Float32Array((await bytes('/x.bin')).buffer);
  const data = await bytes('/net.tflite');
  await load(options.threads > 1);
  const begin = performance.now();
  const runner = await Runner.open(file, data, options);
  await runner.run(values);
  const cold_ms = performance.now() - begin;
  return {cold_ms, isolated: self.crossOriginIsolated, timing: await percentiles(runner, values)};
}"""


def run(
    announce: Announce, path: str, accelerator: str, threads: int, samples: str
) -> dict[str, Any]:
    """The outputs for the samples in the .npy file, real numbers as nested lists."""
    return {"outputs": _in_page(announce, RUN, path, accelerator, threads, np.load(samples))[0]}


def measure(announce: Announce, path: str, accelerator: str, threads: int) -> dict[str, Any]:
    """Latency on one random input, the first answer from the file's bytes, and the browser."""
    found, browser = _in_page(announce, MEASURE, path, accelerator, threads, None)
    if threads > 1 and not found["isolated"]:
        raise InterpreterError("this Chromium gives pages no threads")
    return {**found, "browser": browser}


def _in_page(
    announce: Announce, script: str, path: str, accelerator: str, threads: int, x: Array | None
) -> tuple[Any, str]:
    """What the script returns in a page beside the file, and the browser's name."""
    file = _described(path)
    values = _samples(file, x)
    runtime = find()
    assert runtime is not None
    contents: dict[str, bytes | Path] = {
        "/": PAGE,
        "/runtime.js": (files("tfcompress.devices") / "pages" / "runtime.js").read_bytes(),
        "/net.tflite": Path(path),
        "/x.bin": np.ascontiguousarray(values, "<f4").tobytes(),
    }
    contents |= {f"/litert/{name}": place for name, place in runtime.files.items()}
    options = {"accelerator": accelerator, "threads": threads}
    announce("running it in Chromium")
    argument = {"file": file, "options": options, "shape": list(values.shape)}
    return evaluate(contents, script, argument, PAGE_SECONDS)


def _described(path: str) -> dict[str, Any]:
    """The file's inputs and outputs; InterpreterError where the runtime does not take them."""
    opened = open_interpreter(path)
    inputs = [info.to_dict() for info in opened.inputs]
    outputs = [info.to_dict() for info in opened.outputs]
    refused = refusal(inputs, outputs)
    if refused:
        raise InterpreterError(refused)
    return {"inputs": inputs, "outputs": outputs}


def _samples(file: dict[str, Any], x: Array | None) -> Array:
    """`x` [n, ...], or one uniform input in 0..1, where it fits the file; else DataError."""
    shape = [side or 1 for side in file["inputs"][0]["shape"]]
    if x is None:
        return np.random.default_rng(0).random(shape, "float32")
    if list(x.shape[1:]) != shape[1:]:
        raise DataError(f"The file takes samples of shape {shape[1:]}; {list(x.shape[1:])} came.")
    return x


JOBS = {"run": run, "measure": measure}


if __name__ == "__main__":
    answer(JOBS)
