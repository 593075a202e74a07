"""`online`: what files do behind HTTP under load, beside what they do on this machine."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from tfcompress.cli import _inputs, _options, _output
from tfcompress.cli._serve import Kept, Sources, kept_folder, require_packages, require_sources
from tfcompress.core import DataError, InterpreterError

if TYPE_CHECKING:
    from tfcompress.serve._load import Load

MOST_CLIENTS = 64
MIB = 2**20
HEADS = (
    "clients",
    "images/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "network ms",
    "queue ms",
    "decode ms",
    "inference ms",
    "failed",
    "processor, cores",
    "memory MiB",
    "growth MiB",
)

Clients = Annotated[str, typer.Option(help="Clients that ask at once, e.g. 1,2,4,8; at most 64.")]
Seconds = Annotated[
    float, typer.Option(min=0.1, max=3600, help="How long each file is asked by so many clients.")
]


def online(
    sources: Sources = None,
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    clients: Clients = "1,2,4,8",
    seconds: Seconds = 5.0,
    out: Kept = None,
    as_json: _options.Json = False,
) -> None:
    """Serve files on loopback and load them: throughput, latency, and where the time goes.

    Each client asks again as soon as it has its answer. The numbers become columns of the report
    that `serve` shows.
    """
    require_packages()
    from tfcompress.serve._load import Loads, all_loads, listed

    counts = _inputs.thread_counts(clients, "--clients")
    if max(counts) > MOST_CLIENTS:
        raise DataError(f"--clients {clients}: at most {MOST_CLIENTS} ask at once.")
    if data:
        _inputs.require_data(data, "the first test image is what clients post")
    paths = require_sources(sources)
    folder = kept_folder(paths, out)
    options = ["--out", str(folder), *(["--data", data, "--scale", scale] if data else [])]
    with _server([*map(str, paths), *options]) as (address, process):
        files = listed(address)
        loads = all_loads(address, files, counts, seconds, process, _tell)
    names = {file["key"]: file["name"] for file in files}
    kept = Loads(folder)
    for key, of_file in loads.items():
        kept.keep(key, of_file)
    if as_json:
        _output.print_json({names[key]: _plain(of_file) for key, of_file in loads.items()})
    else:
        typer.echo(_table({names[key]: of_file for key, of_file in loads.items()}))
    if any(load.failed for of_file in loads.values() for load in of_file):
        raise typer.Exit(1)


def _tell(what: str) -> None:
    typer.echo(what, err=True)


def _plain(loads: Sequence[Load]) -> list[dict[str, object]]:
    return [dataclasses.asdict(load) for load in loads]


@contextmanager
def _server(arguments: Sequence[str]) -> Iterator[tuple[str, int]]:
    """A server in a child process: its address and process; InterpreterError where it ends."""
    command = [sys.executable, "-m", "tfcompress.cli", "serve", *arguments]
    child = subprocess.Popen(
        [*command, "--port", "0", "--rate", "0"], stderr=subprocess.PIPE, text=True
    )
    assert child.stderr is not None
    try:
        said: list[str] = []
        for line in child.stderr:
            said.append(line.strip())
            address = re.match(r"Open (http://\S+?)/ ", line)
            if address:
                yield address[1], child.pid
                return
        raise InterpreterError(said[-1].removeprefix("tfcompress: ") if said else "no server")
    finally:
        child.terminate()
        child.communicate()


def _table(loads: Mapping[str, Sequence[Load]]) -> str:
    """A Markdown table, one line a file and number of clients."""
    lines = ["| file | " + " | ".join(HEADS) + " |", "|---|" + "---:|" * len(HEADS)]
    for name, of_file in loads.items():
        for load in of_file:
            lines.append(f"| {name} | " + " | ".join(_cells(load)) + " |")
    return "\n".join(lines)


def _cells(load: Load) -> list[str]:
    times = (
        load.latency_ms_p50,
        load.latency_ms_p90,
        load.latency_ms_p99,
        load.network_ms,
        load.queue_ms,
        load.decode_ms,
        load.inference_ms,
    )
    return [
        str(load.clients),
        f"{load.images_per_second:,.0f}",
        *(f"{time_ms:.2f}" for time_ms in times),
        str(load.failed),
        f"{load.processor_cores:.2f}",
        f"{load.memory_bytes / MIB:.0f}",
        f"{load.memory_growth_bytes / MIB:+.1f}",
    ]
