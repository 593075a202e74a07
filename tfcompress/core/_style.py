"""How the library's figures look: Matplotlib settings, as plain data."""

from __future__ import annotations

from typing import Any

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#6b7280",
    "axes.grid": True,
    "axes.labelcolor": "#1f2933",
    "axes.labelsize": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.size": 10,
    "grid.alpha": 0.25,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.markersize": 5,
    "xtick.color": "#4b5563",
    "xtick.labelsize": 9,
    "ytick.color": "#4b5563",
    "ytick.labelsize": 9,
}
"""For `matplotlib.pyplot.rc_context(STYLE)` or `matplotlib.pyplot.style.use(STYLE)`."""
