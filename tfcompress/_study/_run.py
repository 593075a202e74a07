"""The order of a study's work: shared models before what starts from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tfcompress._study._bench import Bench
from tfcompress._study._cell import Cell, carry_out_job
from tfcompress._study._formats import Row
from tfcompress._study._live import Live
from tfcompress._study._node import Node, waves
from tfcompress._study._pool import pack, run_all
from tfcompress.core import Artifact

Result = tuple[Cell, Row, Artifact | None]
Errors = dict[str, str]
"""A shared model's address → what its making raised."""


def carry_out(
    bench: Bench,
    nodes: Sequence[Node],
    cells: Sequence[Cell],
    n_jobs: int,
    side_by_side: int,
    live: Live,
) -> Iterator[Result]:
    """Every cell with its row and, where it is kept in no file, its artifact, as they are made.

    One after another they go seed by seed; side by side all seeds at once. What a shared model's
    making raised is the error of all that starts from it.
    """
    errors: Errors = {}
    if side_by_side == 1:
        for seed in dict.fromkeys(cell.seed for cell in cells):
            of_seed = [node for node in nodes if node.seed == seed]
            for wave in waves(of_seed, [cell for cell in cells if cell.seed == seed]):
                yield from _one_by_one(bench, wave, errors, live)
        return
    if not cells:
        return
    packed = pack(bench, bench.shared / f"bench-{bench.key[:12]}.pkl")
    try:
        for wave in waves(nodes, cells):
            yield from _at_once(packed, wave, errors, n_jobs, live)
    finally:
        packed.unlink(missing_ok=True)


def _one_by_one(
    bench: Bench, wave: Sequence[Node | Cell], errors: Errors, live: Live
) -> Iterator[Result]:
    for job in wave:
        live.says(_words(job))
        error = _inherited(job, errors)
        result = error or carry_out_job(bench, job)
        yield from _taken(job, result, errors, live)


def _at_once(
    packed: Path, wave: Sequence[Node | Cell], errors: Errors, n_jobs: int, live: Live
) -> Iterator[Result]:
    ready: list[Node | Cell] = []
    for job in wave:
        if error := _inherited(job, errors):
            yield from _taken(job, error, errors, live)
        else:
            ready.append(job)
    for number, result in run_all(carry_out_job, packed, ready, n_jobs):
        job = ready[number]
        live.says(f"{_words(job)} done")
        if isinstance(result, BaseException):
            result = f"{type(result).__name__}: {result}"
        yield from _taken(job, result, errors, live)


def _taken(
    job: Node | Cell, result: str | tuple[Row, Artifact | None], errors: Errors, live: Live
) -> Iterator[Result]:
    """A job's result where it belongs: an error to its shared model, a row to its cell."""
    if isinstance(job, Node):
        if isinstance(result, str) and result:
            errors[job.key] = result
        live.finished()
    elif isinstance(result, str):
        yield job, job.failed(result), None
    else:
        yield job, *result


def _inherited(job: Node | Cell, errors: Errors) -> str:
    """The error of a shared model that `job` starts from; "" without one."""
    node = job.parent if isinstance(job, Node) else job.start
    while node is not None:
        if node.key in errors:
            return errors[node.key]
        node = node.parent
    return ""


def _words(job: Node | Cell) -> str:
    if isinstance(job, Cell):
        return f"{job.recipe.name}, seed {job.seed}"
    labels = "-".join(technique.label for technique in job.techniques)
    return f"{labels or 'base'}, seed {job.seed}"
