"""How many BLAS threads to use: only the cores that are idle, because a product that waits for a busy core collapses."""

from __future__ import annotations

import os
from contextlib import contextmanager


@contextmanager
def blas_threads(threads: int | None = None):
    """Limit BLAS to `threads` while open; None takes the cores that are idle now (at least one), never more than allowed before."""
    from threadpoolctl import ThreadpoolController

    blas = ThreadpoolController().select(user_api="blas")
    allowed = min((library["num_threads"] for library in blas.info()), default=1)
    if threads is None:
        threads = max(1, min(allowed, len(os.sched_getaffinity(0)) - round(os.getloadavg()[0])))
    with blas.limit(limits=threads):
        yield threads
