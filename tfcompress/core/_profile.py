"""What was measured of a file: sizes, latency by threads, memory, time per operation.

Every number has its unit in its name.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from tfcompress.core._notebook import table

OPS_SHOWN = 8


@dataclass(frozen=True)
class Latency:
    """Invoke times of one file at one thread count, in milliseconds.

    They are of `runs` timed runs after `warmup_runs`. `preempted_fraction` is the share of runs in
    which the scheduler took the CPU away; `drift_fraction` is (largest − smallest) / overall median
    of the medians of successive windows; `uncertainty_fraction` is half the 95 % interval of the
    median, as a share of it.
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
    """One operation of the file: its kind, its multiply-accumulates, its median time and kernel.

    A loop or a branch is one operation with all that runs inside it. Time and kernel are there
    where the runtime gives them. `index` is the operation's place in the file, or -1 for work that
    the runtime added.
    """

    index: int
    kind: str
    name: str
    macs: int
    time_us_p50: float | None = None
    kernel: str = ""


@dataclass(frozen=True)
class Throughput:
    """Samples a second of one file in batches of `batch`, run one after another.

    `processor_cores` is processor time over time, of all threads: how many cores are busy.
    `memory_bytes` is the process's resident memory at the end; None where it is not known.
    """

    batch: int
    threads: int
    images_per_second: float
    processor_cores: float
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Profile:
    """Everything measured of one `.tflite`; `notes` says what could not be measured and why.

    `weights` counts the numbers that the graph computes with, however they are stored; `macs` is
    for one sample. `init_ms` and `first_ms` are loading and first run in a fresh process;
    `peak_memory_bytes` is how far the resident memory of a process rises that has already run
    another file, `anon_memory_bytes` what stays of it beside the mapped file. `ops_source` says
    where `ops` come from: "litert" (times measured inside the runtime) or "macs" (counted, no
    times).

    `device` is the Device's name, and `refusal` says why it cannot run the file. Of a
    microcontroller, `arena_bytes` is the memory that the file takes while it runs, of which
    `arena_parts` names the (what, bytes), and `flash_bytes` is the file itself. The `estimated_…`
    fields are a compiler's, measured on no device: SRAM and flash, cycles and time of one run;
    `cpu_ops` are the operators that its accelerator leaves to the processor.
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
    throughput: tuple[Throughput, ...] = ()
    device: str = ""
    refusal: str = ""
    arena_bytes: int | None = None
    arena_parts: tuple[tuple[str, int], ...] = ()
    flash_bytes: int | None = None
    estimated_sram_bytes: int | None = None
    estimated_flash_bytes: int | None = None
    estimated_cycles: int | None = None
    estimated_latency_ms: float | None = None
    cpu_ops: tuple[str, ...] = ()

    @property
    def latency_ms_p50(self) -> float | None:
        """Median latency at the smallest thread count measured, milliseconds; None: nothing ran."""
        if not self.latency:
            return None
        return min(self.latency, key=lambda item: item.threads).latency_ms_p50

    @property
    def throughput_per_second(self) -> float | None:
        """The most samples a second over all batch sizes and threads measured."""
        best = self._fastest()
        return best.images_per_second if best else None

    @property
    def processor_cores(self) -> float | None:
        """How many cores are busy where the throughput is highest."""
        best = self._fastest()
        return best.processor_cores if best else None

    @property
    def running_memory_bytes(self) -> int | None:
        """Resident memory of the process where the throughput is highest."""
        best = self._fastest()
        return best.memory_bytes if best else None

    def _fastest(self) -> Throughput | None:
        return max(self.throughput, key=lambda item: item.images_per_second, default=None)

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.name}  ({self._where()})"]
        lines += [f"  {name:<9} {text}" for name, text in self._facts()]
        for op in self._costliest():
            time = "" if op.time_us_p50 is None else f"{op.time_us_p50:9.1f} us"
            lines.append(f"  op {op.index:<4d} {op.kind:<22s} {time:<12} {op.macs:>14,} MACs")
        hidden = len(self.ops) - OPS_SHOWN
        if hidden > 0:
            lines.append(f"  and {hidden} more operations")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _repr_html_(self) -> str:
        rows = [[name, text] for name, text in self._facts()]
        facts = table(["", ""], rows, title=f"{self.name} ({self._where()})", notes=self.notes)
        ops: list[list[str]] = []
        for op in self._costliest():
            time = "" if op.time_us_p50 is None else f"{op.time_us_p50:,.1f}"
            ops.append([op.kind, time, f"{op.macs:,}"])
        return facts + (table(["operation", "time, µs", "MACs"], ops) if ops else "")

    def _facts(self) -> list[tuple[str, str]]:
        """What was measured of the whole file, as names and words."""
        facts = [("size", f"{self.size_bytes:,} bytes, {self.gzip_bytes:,} gzipped")]
        if self.weights is not None:
            facts.append(("weights", f"{self.weights:,}   MACs {self.macs:,}"))
        if self.init_ms is not None:
            first = f"{self.first_ms:.3f} ms first run, in a fresh process"
            facts.append(("start", f"{self.init_ms:.2f} ms to load, {first}"))
        for row in self.latency:
            name = f"{row.threads} thread" if row.threads == 1 else f"{row.threads} threads"
            percentiles = f"p90 {row.latency_ms_p90:.3f}  p99 {row.latency_ms_p99:.3f}"
            mean = f"mean {row.latency_ms_mean:.3f} ± {row.latency_ms_std:.3f}"
            text = f"p50 {row.latency_ms_p50:.3f} ms  {percentiles}  {mean}  ({row.runs} runs)"
            facts.append((name, text))
        for item in self.throughput:
            name = f"batch {item.batch}"
            rate = f"{item.images_per_second:,.0f} samples/s at {_threads(item.threads)}"
            facts.append((name, f"{rate}, {item.processor_cores:.2f} cores busy"))
        if self.peak_memory_bytes is not None:
            facts.append(("memory", f"{self.peak_memory_bytes / 2**20:.1f} MiB at its peak"))
        return facts + self._device_facts()

    def _device_facts(self) -> list[tuple[str, str]]:
        """What was measured or estimated of a device that is not this host."""
        facts: list[tuple[str, str]] = []
        if self.refusal:
            facts.append(("refused", self.refusal))
        if self.arena_bytes is not None:
            facts.append(("arena", f"{self.arena_bytes:,} bytes"))
        facts += [("", f"{size:,} bytes of {what}") for what, size in self.arena_parts]
        if self.flash_bytes is not None:
            facts.append(("flash", f"{self.flash_bytes:,} bytes, the file"))
        if self.estimated_cycles is not None:
            memory = f"{self.estimated_sram_bytes:,} bytes of SRAM"
            flash = f"{self.estimated_flash_bytes:,} of flash"
            time = f"{self.estimated_cycles:,} cycles, {self.estimated_latency_ms:.3f} ms"
            facts.append(("estimate", f"{memory}, {flash}, {time}"))
            facts.append(("on the CPU", ", ".join(self.cpu_ops) or "no operator"))
        return facts

    def _where(self) -> str:
        """The runtime, behind the device where one is named."""
        return f"{self.device}: {self.runtime}" if self.device else self.runtime

    def _costliest(self) -> list[OpTime]:
        """The operations that take most time, or multiply most where no time was measured."""
        cost = sorted(self.ops, key=lambda op: (-(op.time_us_p50 or 0.0), -op.macs))
        return cost[:OPS_SHOWN]


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
