"""A browser: files run by LiteRT.js in a headless Chromium of this host."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.chromium import require_chromium
from tfcompress._backend.isolate import in_child
from tfcompress._backend.litert_js import HOW, LiteRtJs, find
from tfcompress.core import DataError, Device, InterpreterError, Latency, Profile, RecipeError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.devices._threads import require_threads, with_threads
from tfcompress.profiling._latency import Series, summary
from tfcompress.profiling._source import Source, on_disk

CHILD = "tfcompress.devices._browser_child"
ACCELERATORS = ("wasm", "webgpu")
TIMEOUT = 300.0
WARMUP_RUNS = 5  # of the page's script, which tells from them how long a block is


@dataclass(frozen=True, eq=False)
class Browser(Device):
    """LiteRT.js in a headless Chromium of this host, as a page of the web application runs it.

    `tfcompress serve` measures files in the browsers of other devices.

    Args:
        accelerator: "wasm", the processor by WebAssembly and XNNPACK; or "webgpu".
        threads: of WebAssembly.

    Raises:
        RecipeError: for another accelerator, or fewer than one thread.
    """

    accelerator: str = "wasm"
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.accelerator not in ACCELERATORS:
            raise RecipeError(
                f"Browser runs on {' or '.join(ACCELERATORS)}; got {self.accelerator!r}."
            )
        require_threads("Browser", self.threads)

    @property
    def name(self) -> str:
        """`browser`, `browser-4threads` or `browser-webgpu`."""
        if self.accelerator == "webgpu":
            return "browser-webgpu"
        return with_threads("browser", self.threads)

    def require(self) -> None:
        """See `Device.require`."""
        require_chromium()
        _litert_js()

    def run(self, data: bytes, x: Sequence[ArrayLike]) -> list[Array]:
        """See `Device.run`; for files with one input."""
        if len(x) != 1:
            raise DataError(f"Browser runs files with one input; {len(x)} came.")
        with tempfile.TemporaryDirectory(prefix="tfc-browser-") as folder:
            samples = Path(folder) / "x.npy"
            np.save(samples, np.asarray(x[0], "float32"))
            outputs = self._ask("run", data, "model", samples=str(samples))["outputs"]
        return [np.asarray(values, "float32") for values in outputs]

    def profile(self, data: bytes, name: str = "model") -> Profile:
        """Latency on random inputs, and the time from the file's bytes to its first answer.

        The percentiles are over blocks of runs, because browsers round their clocks.
        """
        measured = self._ask("measure", data, name)
        source = Source(name, data)
        timing = measured["timing"]
        note = f"latencies are means of blocks of {timing['runs_a_block']} runs"
        return Profile(
            name,
            len(data),
            source.gzip_bytes,
            source.sha256,
            f"LiteRT.js {_litert_js().version}, {measured['browser']}",
            init_ms=measured["cold_ms"],
            latency=(_latency(timing["times"], self.threads),),
            notes=(note,),
            device=self.name,
        )

    def _ask(self, job: str, data: bytes, name: str, **arguments: Any) -> Any:
        self.require()
        source = Source.of(data, name)
        asked = {"accelerator": self.accelerator, "threads": self.threads, **arguments}
        with on_disk([source]) as paths:
            return in_child(
                CHILD,
                job,
                {"path": paths[0], **asked},
                what=name,
                runtime="LiteRT.js",
                timeout=TIMEOUT,
            )


def _litert_js() -> LiteRtJs:
    """LiteRT.js; InterpreterError where it is not here."""
    runtime = find()
    if runtime is None:
        raise InterpreterError(f"Running files in a browser needs LiteRT.js: {HOW}")
    return runtime


def _latency(times: Sequence[float], threads: int) -> Latency:
    """What the host's latencies are summarized as, a block of runs taken for a run."""
    series = Series(
        threads,
        invoke=lambda: None,
        warmup_runs=WARMUP_RUNS,
        blocks=[[time_ms] for time_ms in times],
        preempted=[False] * len(times),
    )
    return summary(series)
