"""Everything measurable of `.tflite` files, in child processes.

Each file is looked at in a fresh process of its own; all are timed interleaved in another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress._backend.isolate import in_child
from tfcompress.core import Device, InterpreterError, Latency, OpTime, Profile, Throughput
from tfcompress.profiling._environment import environment, usable_cores
from tfcompress.profiling._matching import matched
from tfcompress.profiling._on import profile_on
from tfcompress.profiling._source import File, Source, on_disk

OP_SECONDS = 1.0
THROUGHPUT_SECONDS = 1.0
CHILD = "tfcompress.profiling._child"


@dataclass(frozen=True)
class Timing:
    """How files are timed: `runs` of each (None: until the median is known to ± `precision`).

    `seconds` of time for each file end it earlier; `seed` is of the order in which they take turns.
    """

    runs: int | None
    precision: float
    seconds: float
    seed: int


@dataclass(frozen=True)
class Asker:
    """Sends jobs to child processes: the runtime as messages call it, options, patience."""

    called: str
    runtime: str
    delegates: bool
    timeout: float

    def __call__(
        self, job: str, what: str, arguments: dict[str, Any], *, extra_seconds: float = 0.0
    ) -> Any:
        """The result of a job of `_child` on the file that messages call `what`."""
        timeout = self.timeout + extra_seconds
        return in_child(CHILD, job, arguments, what=what, runtime=self.called, timeout=timeout)

    def opening(self, threads: int) -> dict[str, Any]:
        """The arguments that every job which opens an interpreter takes."""
        return {"runtime": self.runtime, "threads": threads, "delegates": self.delegates}


@overload
def profile(
    file: File,
    *,
    on: None = None,
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    runs: int | str = "auto",
    ops: bool = True,
    **options: Any,
) -> Profile: ...


@overload
def profile(file: File, *, on: Sequence[Device], **options: Any) -> list[Profile]: ...


def profile(
    file: File,
    *,
    on: Sequence[Device] | None = None,
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    runs: int | str = "auto",
    ops: bool = True,
    **options: Any,
) -> Profile | list[Profile]:
    """Measure one `.tflite`, given as path, bytes or Artifact.

    Args:
        file: path, bytes or Artifact.
        on: devices of `tfcompress.devices`: a list of profiles comes, one a device. One that
            cannot run the file gives its sizes and a `refusal`. Without it, this host is measured.
        threads, runtime, runs, ops, options: as for `profile_many`, which has the errors too.
    """
    if on is not None:
        return profile_on(file, on, options.get("name"))
    return profile_many([file], threads=threads, runtime=runtime, runs=runs, ops=ops, **options)[0]


def profile_many(
    files: Sequence[File],
    *,
    threads: Sequence[int] = (1,),
    batches: Sequence[int] = (),
    runtime: str = "auto",
    runs: int | str = "auto",
    ops: bool = True,
    names: Sequence[str] | None = None,
    precision: float = 0.02,
    seconds: float = 2.0,
    timeout: float = 120.0,
    delegates: bool = True,
    on_error: str = "raise",
    seed: int = 0,
) -> list[Profile]:
    """Measure several `.tflite`, their latencies interleaved so that drift meets all alike.

    No file is run in this process.

    Args:
        files: paths, bytes or Artifacts.
        threads: thread counts to time.
        batches: batch sizes to measure samples a second at, with every thread count; a file that
            does not take one says so in its notes.
        runtime: "auto", "litert", "tflite_runtime" or "tensorflow".
        runs: timed runs of each file and thread count; "auto" stops when every median is known to
            ± `precision` (95 %), or after `seconds` for each of them.
        ops: also time single operations (LiteRT; elsewhere their multiply-accumulates stand in, see
            `ops_source`).
        names: labels, else the files' or recipes' names.
        precision: half the 95 % interval of a median, as a share of it.
        seconds: of timing, for each file and thread count.
        timeout: seconds that a child process may take beyond its timing.
        delegates: False leaves XNNPACK out.
        on_error: "raise", or "note" for a Profile with the sizes and the error in its notes.
        seed: of the order in which files take turns.

    Raises:
        InterpreterError: a file does not load or run, crashes its interpreter or takes too long; it
            names file, runtime and reason.
        ValueError: a count below 1, or an `on_error` that is neither.
    """
    _check_options(threads, batches, runs, on_error)
    runtime = choose(runtime)
    labels = names or [None] * len(files)
    sources = [Source.of(file, name) for file, name in zip(files, labels)]
    ask = Asker(f"{runtime} {available()[runtime]}", runtime, delegates, timeout)
    timing = Timing(None if runs == "auto" else int(runs), precision, seconds, seed)
    times_ops = ops and delegates and runtime == "litert"
    here = environment()
    with on_disk(sources) as paths:
        profiles: list[Profile] = []
        for source, path in zip(sources, paths):
            try:
                profile = _look(ask, source, path, min(threads), times_ops)
            except InterpreterError as error:
                if on_error == "raise":
                    raise
                profile = replace(_sizes(source, ask.called), notes=(str(error),))
            profiles.append(replace(profile, environment=here))
        timed = _timed(ask, sources, paths, profiles, threads, timing)
        return [
            _with_throughput(ask, profile, path, threads, batches)
            for profile, path in zip(timed, paths)
        ]


def _check_options(
    threads: Sequence[int], batches: Sequence[int], runs: int | str, on_error: str
) -> None:
    for name, counts in (("threads", threads), ("batches", batches)):
        if isinstance(counts, int):
            raise ValueError(f"{name}={counts!r}: expected a sequence of counts, such as (1, 2).")
    counts_fit = bool(threads) and min([*threads, *batches]) >= 1
    runs_fit = runs == "auto" or int(runs) >= 1
    if not (counts_fit and runs_fit) or on_error not in ("raise", "note"):
        came = f"threads={threads!r}, batches={batches!r}, runs={runs!r}, on_error={on_error!r}"
        raise ValueError(f"{came}: counts start at 1; on_error is 'raise' or 'note'.")


def _sizes(source: Source, runtime: str) -> Profile:
    return Profile(source.name, len(source.data), source.gzip_bytes, source.sha256, runtime)


def _look(ask: Asker, source: Source, path: str, threads: int, times_ops: bool) -> Profile:
    """What one file contains, how it starts and what memory it takes; without latencies."""
    arguments = {"path": path, **ask.opening(threads)}
    contents = ask("look", source.what, arguments)
    memory = ask("memory", source.what, arguments)
    ops = tuple(OpTime(**op) for op in contents["ops"])
    profile = replace(
        _sizes(source, ask.called),
        weights=contents["weights"],
        macs=sum(op.macs for op in ops),
        init_ms=contents["init_ms"],
        first_ms=contents["first_ms"],
        peak_memory_bytes=memory["peak"],
        anon_memory_bytes=memory["anon"],
        ops=ops,
        ops_source="macs",
        inputs=tuple(contents["inputs"]),
        outputs=tuple(contents["outputs"]),
        notes=tuple(_notes(ask, contents, memory)),
    )
    return _with_op_times(ask, profile, path) if times_ops else profile


def _notes(ask: Asker, contents: dict[str, Any], memory: dict[str, Any]) -> list[str]:
    """What could not be counted or measured, and what is odd about the file."""
    notes = list(contents["notes"])
    if memory["peak"] is None:
        notes.append("peak memory not measured: this system has no /proc/self/status")
    elif not memory["exact"]:
        notes.append(
            "peak memory may include the runtime's own start: /proc/self/clear_refs is not writable"
        )
    if not contents["finite"]:
        notes.append("outputs are NaN or infinite on random inputs")
    if ask.delegates and not contents["delegate_parts"]:
        note = "no operation runs in XNNPACK"
        if ask.runtime == "tflite_runtime" and any(map(_has_open_batch, contents["inputs"])):
            note += ": tflite_runtime takes no dynamic batch there, convert with a batch of 1"
        notes.append(note)
    return notes


def _has_open_batch(tensor: dict[str, Any]) -> bool:
    return tensor["shape"][:1] == [None] and tensor["dtype"] == "float32"


def _with_op_times(ask: Asker, profile: Profile, path: str) -> Profile:
    """The profile with times of its operations, or with a note on why there are none."""
    arguments = {"path": path, "threads": 1, "seconds": OP_SECONDS}
    try:
        kernels = ask("ops", profile.name, arguments, extra_seconds=OP_SECONDS)
    except InterpreterError as error:
        note = f"no times of single operations: {error}"
        return replace(profile, notes=(*profile.notes, note))
    timed, complete = matched([tuple(kernel) for kernel in kernels], list(profile.ops))
    notes = profile.notes
    if not complete:
        note = "some kernels could not be put to an operation of the file: "
        notes = (*notes, note + "their MACs are missing from the list")
    return replace(profile, ops=tuple(timed), ops_source="litert", notes=notes)


def _timed(
    ask: Asker,
    sources: Sequence[Source],
    paths: Sequence[str],
    profiles: Sequence[Profile],
    threads: Sequence[int],
    timing: Timing,
) -> list[Profile]:
    """The profiles with latencies at every thread count, of the files that run."""
    timed = list(profiles)
    runs = [place for place, profile in enumerate(timed) if profile.init_ms is not None]
    for count in threads if runs else ():
        what = ", ".join(sources[place].what for place in runs)
        rows, settled = _clock(ask, what, [paths[place] for place in runs], count, timing)
        for place, row in zip(runs, rows):
            profile = timed[place]
            notes = (*profile.notes, *_timing_notes(row, settled, timing.precision))
            timed[place] = replace(profile, latency=(*profile.latency, row), notes=notes)
    return timed


def _with_throughput(
    ask: Asker, profile: Profile, path: str, threads: Sequence[int], batches: Sequence[int]
) -> Profile:
    """The profile with its throughput at every batch size and thread count, where it runs."""
    if profile.init_ms is None or not batches:
        return profile
    rows: list[Throughput] = []
    notes: list[str] = []
    for count in threads:
        arguments = {"path": path, **ask.opening(count), "batches": list(batches)}
        arguments["seconds"] = THROUGHPUT_SECONDS
        extra = 2 * THROUGHPUT_SECONDS * len(batches)
        measured = ask("throughput", profile.name, arguments, extra_seconds=extra)
        rows += [Throughput(**row) for row in measured["rows"]]
        notes += measured["refused"]
    kept = (*profile.notes, *dict.fromkeys(notes))
    return replace(profile, throughput=tuple(rows), notes=kept)


def _clock(
    ask: Asker, what: str, paths: list[str], threads: int, timing: Timing
) -> tuple[list[Latency], bool]:
    """The latency of every file at one thread count, and whether all medians settled.

    Each thread count has a process of its own: the waiting threads of one interpreter would disturb
    another that has fewer.
    """
    arguments = {
        "paths": paths,
        **ask.opening(threads),
        "runs": timing.runs,
        "precision": timing.precision,
        "seconds": timing.seconds,
        "seed": timing.seed,
    }
    answer = ask("clock", what, arguments, extra_seconds=timing.seconds * len(paths))
    return [Latency(**row) for row in answer["latency"]], answer["settled"]


def _timing_notes(row: Latency, settled: bool, precision: float) -> list[str]:
    notes: list[str] = []
    label = "1 thread" if row.threads == 1 else f"{row.threads} threads"
    if not settled and row.uncertainty_fraction > precision:
        known = f"known to ± {row.uncertainty_fraction:.1%} only"
        notes.append(f"{label}: time spent before the median settled ({known})")
    if row.threads > usable_cores():
        notes.append(f"{label} on {usable_cores()} usable cores")
    return notes
