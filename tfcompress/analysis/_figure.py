"""Figures of the analyses: the library's style, and a file where one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING

from tfcompress.core import STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FilePath = str | PathLike[str] | None


def styled(draw: Callable[[], Figure], path: FilePath) -> Figure:
    """The figure that `draw` makes in the library's style; saved to `path` if given.

    Matplotlib's own settings stay as they are.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = draw()
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
