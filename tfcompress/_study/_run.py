"""The order of a study's work: shared models before what starts from them, seed by seed or all seeds side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tfcompress._study._bench import Bench
from tfcompress._study._cell import Cell, make_cell, make_node
from tfcompress._study._live import Live
from tfcompress._study._node import Node, waves
from tfcompress._study._pool import pack, run_all
from tfcompress.core import Artifact

Made = tuple[Cell, dict[str, Any], Artifact | None]


def carry_out(
    bench: Bench,
    nodes: Sequence[Node],
    cells: Sequence[Cell],
    n_jobs: int,
    side_by_side: int,
    live: Live,
) -> Iterator[Made]:
    """Every cell with its row and, where it is kept in no file, its artifact, as they are made.

    What a shared model's making raised is the error of all that starts from it.
    """
    broken: dict[str, str] = {}
    if side_by_side == 1:
        for seed in dict.fromkeys(cell.seed for cell in cells):
            for wave in waves(
                [n for n in nodes if n.seed == seed], [c for c in cells if c.seed == seed]
            ):
                yield from _one_by_one(bench, wave, broken, live)
        return
    if not cells:
        return
    packed = pack(bench, bench.shared / f"bench-{bench.key[:12]}.pkl")
    try:
        for wave in waves(nodes, cells):
            yield from _at_once(packed, wave, broken, n_jobs, live)
    finally:
        packed.unlink(missing_ok=True)


def _one_by_one(
    bench: Bench, wave: Sequence[Any], broken: dict[str, str], live: Live
) -> Iterator[Made]:
    for job in wave:
        live.says(_told(job))
        error = _inherited(job, broken)
        if isinstance(job, Node):
            if error or (error := make_node(bench, job)):
                broken[job.key] = error
            live.finished()
        else:
            row, artifact = (job.failed(error), None) if error else make_cell(bench, job)
            yield job, row, artifact


def _at_once(
    packed: Any, wave: Sequence[Any], broken: dict[str, str], n_jobs: int, live: Live
) -> Iterator[Made]:
    ready = []
    for job in wave:
        if not (error := _inherited(job, broken)):
            ready.append(job)
        elif isinstance(job, Node):
            broken[job.key] = error
            live.finished()
        else:
            yield job, job.failed(error), None
    for number, result in run_all(do, packed, ready, n_jobs):
        job = ready[number]
        live.says(f"{_told(job)} done")
        died = f"{type(result).__name__}: {result}" if isinstance(result, BaseException) else ""
        if isinstance(job, Node):
            if error := died or str(result):
                broken[job.key] = error
            live.finished()
        else:
            row, artifact = (job.failed(died), None) if died else result
            yield job, row, artifact


def do(bench: Bench, job: Any) -> Any:
    """What a worker process does with a job."""
    return make_node(bench, job) if isinstance(job, Node) else make_cell(bench, job)


def _inherited(job: Any, broken: dict[str, str]) -> str:
    node = job.parent if isinstance(job, Node) else job.start
    while node is not None:
        if node.key in broken:
            return broken[node.key]
        node = node.parent
    return ""


def _told(job: Any) -> str:
    what = (
        "-".join(technique.label for technique in job.techniques) or "base"
        if isinstance(job, Node)
        else job.recipe.name
    )
    return f"{what}, seed {job.seed}"
