"""Everything measurable of `.tflite` files: each looked at in its own fresh process, all timed interleaved in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress.core import InterpreterError, Latency, OpTime, Profile
from tfcompress.profiling._environment import environment, usable_cores
from tfcompress.profiling._isolate import in_child
from tfcompress.profiling._matching import matched
from tfcompress.profiling._source import Source, on_disk

OP_SECONDS = 1.0


def profile(
    file: Any,
    *,
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    runs: int | str = "auto",
    ops: bool = True,
    **options,
) -> Profile:
    """Measure one `.tflite`, given as path, bytes or Artifact; `profile_many` has the options and the errors."""
    return profile_many([file], threads=threads, runtime=runtime, runs=runs, ops=ops, **options)[0]


def profile_many(
    files: Sequence[Any],
    *,
    threads: Sequence[int] = (1,),
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
    """Measure several `.tflite` (paths, bytes or Artifacts), their latencies interleaved so that drift meets all alike.

    threads: thread counts to time. runtime: "auto", "litert", "tflite_runtime" or "tensorflow". runs: timed runs of each
    file and thread count; "auto" stops when every median is known to ± `precision` (95 %), or after `seconds` for each of
    them. ops: also time single operations (LiteRT; elsewhere their multiply-accumulates stand in, see `ops_source`).
    names: labels, else the files' or recipes' names. delegates: False leaves XNNPACK out. timeout: seconds that a child
    process may take beyond its timing. on_error: "raise", or "note" for a Profile with the sizes and the error in its notes.

    No file is run in this process. Raises InterpreterError naming file, runtime and reason when one does not load or run,
    also when it crashes its interpreter or takes too long.
    """
    if (
        not threads
        or min(threads) < 1
        or (runs != "auto" and int(runs) < 1)
        or on_error not in ("raise", "note")
    ):
        raise ValueError(
            f"threads={threads!r}, runs={runs!r}, on_error={on_error!r}: counts start at 1; on_error is 'raise' or 'note'."
        )
    runtime = choose(runtime)
    sources = [Source.of(file, name) for file, name in zip(files, names or [None] * len(files))]
    ask = _Asker(
        f"{runtime} {available()[runtime]}", {"runtime": runtime, "delegates": delegates}, timeout
    )
    here = environment()
    with on_disk(sources) as paths:
        profiles = []
        for source, path in zip(sources, paths):
            try:
                found = _look(ask, source, path, min(threads))
                found = (
                    _time_ops(ask, found, path)
                    if ops and delegates and runtime == "litert"
                    else found
                )
            except InterpreterError as error:
                if on_error == "raise":
                    raise
                found = replace(_sizes(source, ask.runtime), notes=(str(error),))
            profiles.append(replace(found, environment=here))
        good = [i for i, found in enumerate(profiles) if found.init_ms is not None]
        timing = {
            "runs": None if runs == "auto" else int(runs),
            "precision": precision,
            "seconds": seconds,
            "seed": seed,
        }
        for count in threads if good else ():
            rows, settled = _clock(
                ask, [sources[i].what for i in good], [paths[i] for i in good], count, timing
            )
            for i, row in zip(good, rows):
                notes = profiles[i].notes + _timing_notes(row, settled, precision)
                profiles[i] = replace(profiles[i], latency=(*profiles[i].latency, row), notes=notes)
    return profiles


@dataclass(frozen=True)
class _Asker:
    """Sends jobs to child processes with what they have in common."""

    runtime: str
    common: dict[str, Any]
    timeout: float

    def __call__(
        self,
        job: str,
        what: str,
        *,
        extra_seconds: float = 0.0,
        common: bool = True,
        **arguments: Any,
    ) -> Any:
        arguments |= self.common if common else {}
        return in_child(
            job, arguments, what=what, runtime=self.runtime, timeout=self.timeout + extra_seconds
        )


def _sizes(source: Source, runtime: str) -> Profile:
    return Profile(source.name, len(source.data), source.gzip_bytes, source.sha256, runtime)


def _look(ask: _Asker, source: Source, path: str, threads: int) -> Profile:
    said = ask("look", source.what, path=path, threads=threads)
    ops = tuple(OpTime(**op) for op in said["ops"])
    notes = list(said["notes"])
    memory = ask("memory", source.what, path=path, threads=threads)
    if memory["peak"] is None:
        notes.append("peak memory not measured: this system has no /proc/self/status")
    elif not memory["exact"]:
        notes.append(
            "peak memory may include the runtime's own start: /proc/self/clear_refs is not writable"
        )
    if not said["finite"]:
        notes.append("outputs are NaN or infinite on random inputs")
    if ask.common["delegates"] and not said["delegate_parts"]:
        dynamic = any(
            item["shape"][:1] == [None] and item["dtype"] == "float32" for item in said["inputs"]
        )
        cure = (
            ": tflite_runtime takes no dynamic batch there, convert with a batch of 1"
            if dynamic and "tflite_runtime" in ask.runtime
            else ""
        )
        notes.append(f"no operation runs in XNNPACK{cure}")
    return replace(
        _sizes(source, ask.runtime),
        weights=said["weights"],
        macs=sum(op.macs for op in ops),
        init_ms=said["init_ms"],
        first_ms=said["first_ms"],
        peak_memory_bytes=memory["peak"],
        anon_memory_bytes=memory["anon"],
        ops=ops,
        ops_source="macs",
        inputs=tuple(said["inputs"]),
        outputs=tuple(said["outputs"]),
        notes=tuple(notes),
    )


def _time_ops(ask: _Asker, found: Profile, path: str) -> Profile:
    try:
        kernels = ask(
            "ops",
            found.name,
            common=False,
            path=path,
            threads=1,
            seconds=OP_SECONDS,
            extra_seconds=OP_SECONDS,
        )
    except InterpreterError as error:
        return replace(found, notes=(*found.notes, f"no times of single operations: {error}"))
    timed, complete = matched([tuple(item) for item in kernels], list(found.ops))
    notes = (
        ()
        if complete
        else (
            "some kernels could not be put to an operation of the file: their MACs are missing from the list",
        )
    )
    return replace(found, ops=tuple(timed), ops_source="litert", notes=found.notes + notes)


def _clock(
    ask: _Asker, names: list[str], paths: list[str], threads: int, timing: dict[str, Any]
) -> tuple[list[Latency], bool]:
    # A process for each thread count: the waiting threads of one interpreter would disturb another that has fewer.
    said = ask(
        "clock",
        ", ".join(names),
        extra_seconds=timing["seconds"] * len(paths),
        paths=paths,
        threads=threads,
        **timing,
    )
    return [Latency(**row) for row in said["latency"]], said["settled"]


def _timing_notes(row: Latency, settled: bool, precision: float) -> tuple[str, ...]:
    notes = []
    label = f"{row.threads} thread{'s' * (row.threads > 1)}"
    if not settled and row.uncertainty_fraction > precision:
        notes.append(
            f"{label}: time spent before the median settled (known to ± {row.uncertainty_fraction:.1%} only)"
        )
    if row.threads > usable_cores():
        notes.append(f"{label} on {usable_cores()} usable cores")
    return tuple(notes)
