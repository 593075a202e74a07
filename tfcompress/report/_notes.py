"""Sentences that the numbers of a report need beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tfcompress.core import LATENCY
from tfcompress.report._table import Table

DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Instructions that multiply and add four 8-bit integers at once, as Linux calls them."""
INTEGERS_ALONE = re.compile(r"(?:^|[^a-z0-9])u?int8(?:io)?$", re.IGNORECASE)
"""How the name of a recipe or a file ends whose target computes with 8-bit integers throughout."""
WITHOUT = (
    "no VNNI, AMX or ARM dot product, so that an 8-bit product costs as many instructions as a "
    "float one: int8 saves memory here, and time only where such instructions are"
)


def notes(table: Table) -> list[str]:
    """See `Report.notes`."""
    slower = _slower_integers(table)
    return [_explained(table, slower)] if slower else []


def _slower_integers(table: Table) -> dict[str, float]:
    """int8 recipe → how many times slower than the base, beyond the noise of the measurement."""
    lines = {line["recipe"]: line for line in table.summary()}
    base = lines.get(table.base or "", {})
    if not base.get(LATENCY.name):
        return {}
    slower: dict[str, float] = {}
    for recipe, line in lines.items():
        if not _is_integer(recipe) or _is_integer(base["recipe"]) or LATENCY.name not in line:
            continue
        ratio = line[LATENCY.name] / base[LATENCY.name]
        if ratio > 1 + table.noise(recipe, base["recipe"]):
            slower[recipe] = ratio
    return slower


def _explained(table: Table, slower: Mapping[str, float]) -> str:
    names = ", ".join(f"{recipe} ({ratio:.2f}×)" for recipe, ratio in slower.items())
    verb = "is" if len(slower) == 1 else "are"
    machine = table.about.get("machine") or _profiled_machine(table)
    return f"{names} {verb} slower than {table.base} on this processor. {_processor(machine)}"


def _processor(machine: Mapping[str, Any]) -> str:
    instructions: Sequence[str] | None = machine.get("integer_instructions")
    name = machine.get("cpu", "The processor")
    if instructions is None:
        return f"{name}: which integer instructions it has is not known here."
    have = ", ".join(instructions) or "none that are known"
    fast = [one for one in instructions if one in DOT_PRODUCTS]
    if not fast:
        return f"{name} has the integer instructions {have}: {WITHOUT}."
    return (
        f"{name} has {', '.join(fast)}, which int8 kernels use; look at the times of single "
        "operations: small layers, and operations without an int8 kernel, cost more than they save."
    )


def _is_integer(recipe: str) -> bool:
    """Whether the recipe's target computes with 8-bit integers throughout."""
    return INTEGERS_ALONE.search(recipe) is not None


def _profiled_machine(table: Table) -> Mapping[str, Any]:
    """The environment that the first profile was measured in."""
    for recipe in table.recipes():
        environment = table.profile(recipe).get("environment")
        if environment:
            return environment
    return {}
