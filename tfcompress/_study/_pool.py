"""Jobs one after another in this process, or side by side by whatever joblib is set to use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tfcompress._study._child import in_own_process, unpacked
from tfcompress.core import DataError, RecipeError, write_all

Job = TypeVar("Job")
Result = TypeVar("Result")


def workers(n_jobs: int) -> int:
    """How many jobs run side by side.

    That is `n_jobs`, or what `joblib.parallel_config` says where it is 1, joblib's own default.
    """
    import joblib

    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise RecipeError(
            f"n_jobs={n_jobs!r}: expected a number of processes (1, 2, …), or -1 for as many as "
            "there are cores."
        )
    return joblib.effective_n_jobs(_asked(n_jobs))  # pyright: ignore[reportArgumentType]


def pack(shared: object, path: Path) -> Path:
    """Write what all jobs share to `path` for other processes; DataError where that fails."""
    import cloudpickle

    try:
        data = cloudpickle.dumps(shared)
    except Exception as error:  # pickling runs the objects' own code
        raise DataError(
            "Cells in other processes need fit, samples and evaluate as pickles, which fails here "
            f"({type(error).__name__}: {error}). Give arrays, or a function that returns the data "
            "set, and optimizers by name or as Keras 3 objects; or use n_jobs=1."
        ) from error
    return write_all({path: data}, overwrite=True)[0]


def run_all(
    function: Callable[[Any, Job], Result], packed: Path, jobs: Sequence[Job], n_jobs: int
) -> Iterator[tuple[int, Result | Exception]]:
    """(place in `jobs`, function(what is packed, job)) of every job, as they finish.

    A job whose process dies is tried once more by itself; then its result is the exception.
    """
    import joblib

    calls = [
        joblib.delayed(_in_worker)(function, str(packed), number, job)
        for number, job in enumerate(jobs)
    ]
    finished: set[int] = set()
    try:
        for number, result in _parallel(n_jobs)(calls):
            finished.add(number)
            yield number, result
        return
    except Exception:  # whatever joblib's backend says of a worker that died
        left = [number for number in range(len(jobs)) if number not in finished]
    for number in left:
        try:
            ((_, result),) = list(_parallel(n_jobs)([calls[number]]))
        except Exception as error:
            result = error
        yield number, result


def _parallel(n_jobs: int) -> Callable[[Iterable[object]], Iterable[Any]]:
    import joblib

    options: dict[str, Any] = {"n_jobs": _asked(n_jobs), "batch_size": 1}
    try:
        parallel: Any = joblib.Parallel(return_as="generator_unordered", **options)
    except ValueError:  # an older backend that hands over everything at its end
        parallel = joblib.Parallel(**options)
    return parallel


def _asked(n_jobs: int) -> int | None:
    return None if n_jobs == 1 else n_jobs


def _in_worker(
    function: Callable[[Any, Job], Result], packed: str, number: int, job: Job
) -> tuple[int, Result]:
    """A job in a process of its own.

    Seeds belong to a process. A worker's thread (Dask's, or of the threading backend) shares its
    process with others, which draw random numbers too, so that it gets one of its own.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if threading.current_thread() is threading.main_thread():
        return number, function(unpacked(packed), job)
    return number, in_own_process(function, packed, job)
