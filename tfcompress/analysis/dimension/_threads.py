"""How many BLAS threads to use: a product that waits for a busy core collapses."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def blas_threads(threads: int | None = None) -> Iterator[int]:
    """Limit BLAS to `threads` while open.

    None takes the cores that are idle now, at least one, never more than BLAS was allowed before.
    """
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    if threads is None:
        allowed = min((library["num_threads"] for library in blas.info()), default=1)
        idle = len(os.sched_getaffinity(0)) - round(os.getloadavg()[0])
        threads = max(1, min(allowed, idle))
    with blas.limit(limits=threads):
        yield threads
