"""How many BLAS threads to use: a product that waits for a busy core collapses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@contextmanager
def blas_threads(threads: int | None = None) -> Iterator[int]:
    """Limit BLAS to `threads` while open.

    None takes the cores that are idle now, at least one, never more than BLAS was allowed before.
    """
    blas = _blas()
    if threads is None:
        allowed = min((library["num_threads"] for library in blas.info()), default=1)
        idle = len(os.sched_getaffinity(0)) - round(os.getloadavg()[0])
        threads = max(1, min(allowed, idle))
    with blas.limit(limits=threads):
        yield threads


@cache
def _blas() -> ThreadpoolController:
    """The BLAS of NumPy; to look through all loaded libraries takes as long as a small PCA."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")
