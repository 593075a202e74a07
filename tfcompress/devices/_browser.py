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
from tfcompress.profiling._source import Source, on_disk

CHILD = "tfcompress.devices._browser_child"
ACCELERATORS = ("wasm", "webgpu")
TIMEOUT = 300.0


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
        if not isinstance(self.threads, int) or self.threads < 1:
            raise RecipeError(f"Browser needs at least one thread; got threads={self.threads!r}.")

    @property
    def name(self) -> str:
        """`browser`, `browser-4threads` or `browser-webgpu`."""
        if self.accelerator == "webgpu":
            return "browser-webgpu"
        return "browser" if self.threads == 1 else f"browser-{self.threads}threads"

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
            latency=(_latency(timing, self.threads),),
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


def _latency(timing: dict[str, Any], threads: int) -> Latency:
    """The page's percentiles as a Latency; `runs` counts blocks."""
    blocks = np.asarray(timing["times"])
    windows = [float(np.median(part)) for part in np.array_split(blocks, min(8, len(blocks)))]
    low, high = np.percentile(blocks, [25, 75])
    p50 = float(timing["latency_ms_p50"])
    return Latency(
        threads=threads,
        runs=len(blocks),
        warmup_runs=5,
        latency_ms_p50=p50,
        latency_ms_p90=float(timing["latency_ms_p90"]),
        latency_ms_p99=float(timing["latency_ms_p99"]),
        latency_ms_mean=float(blocks.mean()),
        latency_ms_std=float(blocks.std(ddof=1)),
        latency_ms_min=float(blocks.min()),
        latency_ms_max=float(blocks.max()),
        preempted_fraction=0.0,
        drift_fraction=(max(windows) - min(windows)) / p50,
        uncertainty_fraction=float(1.57 * (high - low) / len(blocks) ** 0.5 / p50),
    )
