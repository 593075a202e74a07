"""What was measured of a file: sizes, latency by threads, memory, time per operation.

Every number has its unit in its name.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Latency:
    """Times of one file at one thread count, over `runs` timed runs after `warmup_runs`.

    `preempted_fraction` is the share of runs in which the scheduler took the CPU away;
    `drift_fraction` is (largest − smallest) / overall median of the medians of successive
    windows; `uncertainty_fraction` is half the 95 % interval of the median, as a share of it.
    """

    threads: int
    runs: int
    warmup_runs: int
    latency_ms_p50: float
    latency_ms_p90: float
    latency_ms_p99: float
    latency_ms_mean: float
    latency_ms_std: float
    latency_ms_min: float
    latency_ms_max: float
    preempted_fraction: float
    drift_fraction: float
    uncertainty_fraction: float = 0.0


@dataclass(frozen=True)
class OpTime:
    """One operation of the file: its kind, multiply-accumulates, median time and kernel.

    Time and kernel are there where a runtime gives them. `index` is the operation's place in the
    file, or -1 for work that the runtime added.
    """

    index: int
    kind: str
    name: str
    macs: int
    time_us_p50: float | None = None
    kernel: str = ""


@dataclass(frozen=True)
class Profile:
    """Everything measured of one `.tflite`; `notes` says what could not be measured and why.

    `weights` counts the numbers that the graph computes with, however they are stored; `macs` is
    for one sample. `init_ms` and `first_ms` are loading and first run in a fresh process;
    `peak_memory_bytes` is how far the resident memory of a process rises that has already run
    another file, `anon_memory_bytes` what stays of it beside the mapped file. `ops_source` says
    where `ops` come from: "litert" (times measured inside the runtime) or "macs" (counted, no
    times).
    """

    name: str
    size_bytes: int
    gzip_bytes: int
    sha256: str
    runtime: str
    weights: int | None = None
    macs: int | None = None
    init_ms: float | None = None
    first_ms: float | None = None
    latency: tuple[Latency, ...] = ()
    peak_memory_bytes: int | None = None
    anon_memory_bytes: int | None = None
    ops: tuple[OpTime, ...] = ()
    ops_source: str = ""
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    environment: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def latency_ms_p50(self) -> float | None:
        """Median latency in milliseconds at the fewest threads measured; None if nothing ran."""
        if not self.latency:
            return None
        return min(self.latency, key=lambda item: item.threads).latency_ms_p50

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [
            f"{self.name}  ({self.runtime})",
            f"  size      {self.size_bytes:,} bytes, {self.gzip_bytes:,} gzipped",
        ]
        if self.weights is not None:
            lines.append(f"  weights   {self.weights:,}   MACs {self.macs:,}")
        if self.init_ms is not None:
            first = f"{self.init_ms:.2f} ms to load, {self.first_ms:.3f} ms first run"
            lines.append(f"  start     {first}, in a fresh process")
        lines += [_latency_line(row) for row in self.latency]
        if self.peak_memory_bytes is not None:
            lines.append(f"  memory    {self.peak_memory_bytes / 2**20:.1f} MiB at its peak")
        slowest = sorted(self.ops, key=lambda op: (-(op.time_us_p50 or 0.0), -op.macs))
        lines += [_op_line(op) for op in slowest[:8]]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


def _latency_line(row: Latency) -> str:
    plural = "s" if row.threads > 1 else " "
    return (
        f"  {row.threads} thread{plural} p50 {row.latency_ms_p50:.3f} ms"
        f"  p90 {row.latency_ms_p90:.3f}  p99 {row.latency_ms_p99:.3f}"
        f"  mean {row.latency_ms_mean:.3f} ± {row.latency_ms_std:.3f}  ({row.runs} runs)"
    )


def _op_line(op: OpTime) -> str:
    time = " " * 12 if op.time_us_p50 is None else f"{op.time_us_p50:9.1f} us"
    return f"  op {op.index:<4d} {op.kind:<22s} {time} {op.macs:>14,} MACs"
