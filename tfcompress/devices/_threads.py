"""How many threads a device may use: checked, and part of its name."""

from __future__ import annotations

from tfcompress.core import RecipeError


def require_threads(device: str, threads: object) -> None:
    """RecipeError for what is no number of threads."""
    if not isinstance(threads, int) or threads < 1:
        raise RecipeError(f"{device} needs at least one thread; got threads={threads!r}.")


def with_threads(name: str, threads: int) -> str:
    """`litert`, or `litert-4threads`."""
    return name if threads == 1 else f"{name}-{threads}threads"
