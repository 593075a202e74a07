"""Time of every operation from inside LiteRT.

This is its C interface, by ctypes, since its Python one has no profiler. The library is only ever
used in a short-lived child process, so nothing here is freed by hand.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tfcompress.core._errors import InterpreterError

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_CPU, _WRITE = 1, 1
_OP, _DELEGATED_OP = 2, 8
_CALLERS = (b"WHILE", b"IF")


class _Event(ctypes.Structure):
    """`ProfiledEventData` of LiteRT 2.1 to 2.3."""

    _fields_ = [
        ("tag", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory", ctypes.c_int64 * 6),
        ("metadata1", ctypes.c_uint64),
        ("metadata2", ctypes.c_uint64),
        ("source", ctypes.c_int),
    ]


@dataclass(frozen=True)
class TimedOp:
    """One operation as it ran: `op` is its index in the file, or None for a kernel of XNNPACK.

    The time has a resolution of 1 µs.
    """

    kernel: str
    op: int | None
    time_us_p50: float


def library() -> Path | None:
    """LiteRT's shared library with the C interface (ai-edge-litert ≥ 2.1.6); None without one."""
    try:
        spec = importlib.util.find_spec("ai_edge_litert")
    except ValueError:
        return None
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or []:
        path = Path(folder) / "libLiteRt.so"
        if path.exists():
            return path
    return None


def time_ops(
    path: str | os.PathLike, *, threads: int = 1, seconds: float = 1.0, warmup: int = 3
) -> list[TimedOp]:
    """Median time of every operation of a `.tflite`, in the order in which they run.

    It is over 10 runs or more, with inputs of zeros and an open batch of 1. Raises
    InterpreterError where the library is missing, refuses the file, or gives times that cannot be
    (their sum beyond the time of the whole run).
    """
    model = _Profiled(path, threads)
    for _ in range(warmup):
        model.run()
    runs: list[list[_Event]] = []
    walls: list[float] = []
    end = time.perf_counter() + seconds
    while len(runs) < 10 or (time.perf_counter() < end and len(runs) < 500):
        events, wall = model.profiled_run()
        runs.append(events)
        walls.append(wall)
    layouts = {_layout(events) for events in runs}
    if len(layouts) != 1 or not runs[0]:
        raise InterpreterError(
            f"LiteRT's profiler gave {len(layouts)} different lists of operations for {path}."
        )
    inner = _inner(runs)
    kept = [place for place in range(len(runs[0])) if place not in inner]
    times = [_median_us(runs, place) for place in kept]
    if sum(times) > 1.5 * statistics.median(walls):
        raise InterpreterError(
            f"LiteRT's profiler gave {sum(times)} µs for operations of a run of"
            f" {statistics.median(walls):.0f} µs."
        )
    return [
        TimedOp(
            (runs[0][place].tag or b"").decode("utf-8", "replace"),
            int(runs[0][place].metadata1) if runs[0][place].type == _OP else None,
            float(taken),
        )
        for place, taken in zip(kept, times)
    ]


def _layout(events: list[_Event]) -> tuple[tuple[int, bytes, int], ...]:
    """Which operations ran, in order."""
    return tuple((event.type, event.tag, event.metadata1) for event in events)


def _median_us(runs: list[list[_Event]], place: int) -> float:
    """The median over the runs of the time of one operation."""
    return statistics.median(events[place].elapsed_us for events in runs)


def _inner(runs: list[list[_Event]]) -> set[int]:
    """Places of the events inside a loop or a branch, whose own event has their time already.

    They follow it and began before it had ended; at a resolution of 1 µs most runs decide.
    """
    inner: set[int] = set()
    for place, event in enumerate(runs[0]):
        if event.type != _OP or event.tag not in _CALLERS or place in inner:
            continue
        for later in range(place + 1, len(runs[0])):
            inside = sum(
                events[later].start_us < events[place].start_us + events[place].elapsed_us
                for events in runs
            )
            if 2 * inside <= len(runs):
                break
            inner.add(later)
    return inner


class _Profiled:
    """A compiled model with its buffers and its profiler."""

    def __init__(self, path: str | os.PathLike, threads: int):
        file = library()
        if file is None:
            raise InterpreterError(
                "No libLiteRt.so: times per operation need ai-edge-litert ≥ 2.1.6"
                " (pip install -U ai-edge-litert)."
            )
        self.library = ctypes.CDLL(str(file))
        self.libc = ctypes.CDLL(None)
        self.libc.strdup.restype = _POINTER
        self.kept: list[object] = []
        self.environment = self._new("LiteRtCreateEnvironment", ctypes.c_int(0), None)
        self.model = self._new("LiteRtCreateModelFromFile", self.environment, os.fsencode(path))
        options = self._new("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        self._option(options, b"xnnpack", f"num_threads = {threads}\n".encode())
        self._option(options, b"runtime_options_string", b"enable_profiling = true\n")
        self.compiled = self._new(
            "LiteRtCreateCompiledModel", self.environment, self.model, options
        )
        graph = self._new("LiteRtGetModelSubgraph", self.model, _SIZE(0))
        self.inputs = self._buffers(graph, "Input")
        self.outputs = self._buffers(graph, "Output")
        self.profiler = self._new("LiteRtCompiledModelGetProfiler", self.compiled)

    def run(self) -> None:
        """Run once on what is in the buffers."""
        counts = _SIZE(len(self.inputs)), _SIZE(len(self.outputs))
        self._call(
            "LiteRtRunCompiledModel",
            self.compiled,
            _SIZE(0),
            counts[0],
            self.inputs,
            counts[1],
            self.outputs,
        )

    def profiled_run(self) -> tuple[list[_Event], float]:
        """The operations of one run, and how many µs the whole took.

        Starting the profiler clears what it had.
        """
        self._call("LiteRtStartProfiler", self.profiler)
        start = time.perf_counter()
        self.run()
        wall = (time.perf_counter() - start) * 1e6
        self._call("LiteRtStopProfiler", self.profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self.profiler, ctypes.byref(count))
        events = (_Event * max(count.value, 1))()
        self._call("LiteRtGetProfilerEvents", self.profiler, count, events)
        operations = [
            event for event in events[: count.value] if event.type in (_OP, _DELEGATED_OP)
        ]
        return operations, wall

    def _call(self, name: str, *arguments: object) -> None:
        """Call a function of the library; InterpreterError for a status that is not 0."""
        try:
            function = getattr(self.library, name)
        except AttributeError as error:
            raise InterpreterError(
                f"This libLiteRt.so has no {name}: pip install -U ai-edge-litert."
            ) from error
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status:
            raise InterpreterError(f"LiteRT's {name} failed with status {status}.")

    def _new(self, name: str, *arguments: object) -> ctypes.c_void_p:
        """What a function of the library creates behind its last argument."""
        handle = _POINTER()
        self._call(name, *arguments, ctypes.byref(handle))
        return handle

    def _option(self, options: ctypes.c_void_p, identifier: bytes, toml: bytes) -> None:
        """Add the options of one part of LiteRT, written as TOML."""
        # LiteRT owns the text and gives it back with free(), so it has to be malloc's.
        text = _POINTER(self.libc.strdup(toml))
        self._call(
            "LiteRtAddOpaqueOptions",
            options,
            self._new("LiteRtCreateOpaqueOptions", identifier, text, self.libc.free),
        )

    def _buffers(self, graph: ctypes.c_void_p, side: str) -> ctypes.Array[ctypes.c_void_p]:
        """A buffer for every "Input" or "Output", inputs filled with zeros."""
        count = _SIZE()
        self._call(f"LiteRtGetNumSubgraph{side}s", graph, ctypes.byref(count))
        buffers = (_POINTER * count.value)()
        for number in range(count.value):
            tensor = self._new(f"LiteRtGetSubgraph{side}", graph, _SIZE(number))
            kind = ctypes.create_string_buffer(512)
            self._call("LiteRtGetRankedTensorType", tensor, kind)
            # LiteRtRankedTensorType, each an int32: element type, rank (7 bits) and flag,
            # dimensions; -1 is an open one.
            words = ctypes.cast(kind, ctypes.POINTER(ctypes.c_int32))
            for axis in range(words[1] & 0x7F):
                words[2 + axis] = max(words[2 + axis], 1)
            needs = self._new(
                f"LiteRtGetCompiledModel{side}BufferRequirements",
                self.compiled,
                _SIZE(0),
                _SIZE(number),
            )
            buffers[number] = self._new(
                "LiteRtCreateManagedTensorBufferFromRequirements", self.environment, kind, needs
            )
            self.kept.append(kind)
            if side == "Input":
                self._fill_with_zeros(buffers[number])
        return buffers

    def _fill_with_zeros(self, handle: int) -> None:
        buffer, size = _POINTER(handle), _SIZE()
        self._call("LiteRtGetTensorBufferSize", buffer, ctypes.byref(size))
        address = _POINTER()
        self._call("LiteRtLockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(_WRITE))
        ctypes.memset(address, 0, size.value)
        self._call("LiteRtUnlockTensorBuffer", buffer)
