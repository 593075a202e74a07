"""A file behind HTTP under load: a bounded number of clients, and where their time goes."""

from __future__ import annotations

import http.client
import io
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np

from tfcompress.core import InterpreterError, write_all
from tfcompress.core._schema import FormatError, read_checked
from tfcompress.core._types import Array
from tfcompress.report import Report
from tfcompress.serve._catalogue import KEY_DIGITS

ANSWER_SECONDS = 30.0
PARTS = ("queue", "decode", "inference")


@dataclass(frozen=True)
class Load:
    """What `clients` clients, each asking again as soon as it has its answer, got of one file.

    Latencies are of whole requests, in milliseconds. `network_ms`, `queue_ms`, `decode_ms` and
    `inference_ms` are their parts' means: the way and the web server, waiting for the interpreter,
    reading the picture, the interpreter. `processor_cores` is how many are busy, and `memory_bytes`
    the resident memory at the end, of the server and its children.
    """

    clients: int
    seconds: float
    answered: int
    failed: int
    images_per_second: float
    latency_ms_p50: float
    latency_ms_p90: float
    latency_ms_p99: float
    network_ms: float
    queue_ms: float
    decode_ms: float
    inference_ms: float
    processor_cores: float
    memory_bytes: int
    memory_growth_bytes: int


@dataclass
class _Tally:
    """What one client got."""

    total_ms: list[float] = field(default_factory=list)
    parts: list[list[float]] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True)
class Request:
    """What every client posts: the address, the body and its type."""

    address: str
    body: bytes
    kind: str


def request_of(server: str, key: str) -> Request:
    """The request for the file `key`: the first sample, as a PNG where it is a picture."""
    described = json.loads(_get(server, "/api/samples"))
    values = np.frombuffer(_get(server, "/api/samples.bin"), "<f4").reshape(described["shape"])
    address = f"{server}/api/predict/{key}"
    if described["picture"] is None:
        return Request(address, values[0].tobytes(), "application/octet-stream")
    span = described["high"] - described["low"] or 1.0
    pixels = np.round(255 * (values[0] - described["low"]) / span).astype("uint8")
    return Request(address, _png(pixels), "image/png")


def measure(request: Request, clients: int, seconds: float, process: int | None = None) -> Load:
    """Load one file for `seconds` with so many clients at once.

    Args:
        request: what they post.
        clients: how many ask at once, each over one connection.
        seconds: how long.
        process: of the server, for its processor time and memory; None: not measured.

    Raises:
        InterpreterError: not one request was answered.
    """
    usage = Usage(process)
    tallies = [_Tally() for _ in range(clients)]
    end = time.perf_counter() + seconds
    threads = [threading.Thread(target=_ask_until, args=(request, tally, end)) for tally in tallies]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - start
    return _load(tallies, spent, usage)


class Usage:
    """Processor time and memory of a process and its children, from now on."""

    def __init__(self, process: int | None) -> None:
        self.process = process
        self.seconds, self.memory = self._now()

    def since(self) -> tuple[float, int, int]:
        """Processor seconds since the start, memory now, and how far it grew, in bytes."""
        seconds, memory = self._now()
        return seconds - self.seconds, memory, memory - self.memory

    def _now(self) -> tuple[float, int]:
        if self.process is None:
            return 0.0, 0
        import psutil

        server = psutil.Process(self.process)
        seconds, memory = 0.0, 0
        for one in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                seconds += times.user + times.system
                memory += one.memory_info().rss
        return seconds, memory


def _ask_until(request: Request, tally: _Tally, end: float) -> None:
    where = urlsplit(request.address)
    connection = http.client.HTTPConnection(where.netloc, timeout=ANSWER_SECONDS)
    headers = {"Content-Type": request.kind}
    while time.perf_counter() < end:
        start = time.perf_counter()
        try:
            connection.request("POST", where.path, request.body, headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            connection.close()
            tally.failed += 1
            continue
        if answer.status != 200:
            tally.failed += 1
            continue
        tally.total_ms.append(1000 * (time.perf_counter() - start))
        tally.parts.append([content["ms"][part] for part in PARTS])
    connection.close()


def _load(tallies: Sequence[_Tally], spent: float, usage: Usage) -> Load:
    total_ms = np.array([value for tally in tallies for value in tally.total_ms])
    failed = sum(tally.failed for tally in tallies)
    if not len(total_ms):
        raise InterpreterError(f"None of {failed} requests was answered.")
    parts = np.array([parts for tally in tallies for parts in tally.parts])
    queue_ms, decode_ms, inference_ms = map(float, parts.mean(0))
    p50, p90, p99 = map(float, np.percentile(total_ms, [50, 90, 99]))
    processor_seconds, memory, growth = usage.since()
    return Load(
        clients=len(tallies),
        seconds=spent,
        answered=len(total_ms),
        failed=failed,
        images_per_second=len(total_ms) / spent,
        latency_ms_p50=p50,
        latency_ms_p90=p90,
        latency_ms_p99=p99,
        network_ms=float((total_ms - parts.sum(1)).mean()),
        queue_ms=queue_ms,
        decode_ms=decode_ms,
        inference_ms=inference_ms,
        processor_cores=processor_seconds / spent,
        memory_bytes=memory,
        memory_growth_bytes=growth,
    )


class Loads:
    """Loads in a folder, one JSON file a served file; the newest takes the place of an older."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "online"

    def keep(self, key: str, loads: Iterable[Load]) -> None:
        """Keep the loads of the file `key`."""
        data = msgspec.json.encode([asdict(load) for load in loads])
        text = msgspec.json.format(data) + b"\n"
        write_all({self.folder / f"{key}.json": text}, overwrite=True)

    def of(self, sha256: str) -> list[Load]:
        """The loads kept of a file; none where there are none."""
        try:
            return read_checked(self.folder / f"{sha256[:KEY_DIGITS]}.json", list[Load])
        except (OSError, FormatError):
            return []


def with_loads(report: Report, loads: Loads) -> Report:
    """The report with columns of what every file did under load, by the number of clients."""
    rows: list[dict[str, Any]] = []
    for row in report.rows:
        more: dict[str, float] = {}
        for load in loads.of((row.get("made") or {}).get("sha256", "")):
            word = "client" if load.clients == 1 else "clients"
            device = f"online, {load.clients} {word}"
            more[f"latency_ms_p50@{device}"] = load.latency_ms_p50
            more[f"images_per_second@{device}"] = load.images_per_second
        rows.append({**row, **more})
    return Report(rows, report.title, report.about)


def all_loads(
    server: str,
    files: Sequence[Mapping[str, Any]],
    clients: Sequence[int],
    seconds: float,
    process: int | None = None,
    tell: Callable[[str], None] | None = None,
) -> dict[str, list[Load]]:
    """Key → loads, one for each number of clients, of those of `files` that the server runs.

    `files` are what `listed` gives.
    """
    files = [file for file in files if not file["refused"]]
    loads: dict[str, list[Load]] = {}
    for number, file in enumerate(files):
        if tell is not None:
            tell(f"{file['name']} ({number + 1} of {len(files)})")
        request = request_of(server, file["key"])
        measure(request, 1, min(0.5, seconds))  # opens the file and its connection
        loads[file["key"]] = [measure(request, count, seconds, process) for count in clients]
    return loads


def listed(server: str) -> list[dict[str, Any]]:
    """Every file of the server, as /api/files describes it."""
    return json.loads(_get(server, "/api/files"))


def _get(server: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=ANSWER_SECONDS)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    if answer.status != 200:
        raise InterpreterError(f"{path}: the server answered {answer.status}.")
    return body


def _png(pixels: Array) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "png")
    return buffer.getvalue()
