"""Multiply–accumulates of an Einstein sum."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

Size = tuple[int, ...]


def einsum_macs(equation: str, sizes: Sequence[Size]) -> int | None:
    """MACs of an Einstein sum of two operands: one for every combination of its letters.

    0 where nothing is multiplied and added up; None for more than two operands, whose order of
    products is the runtime's choice, and for equations without "->".

    Args:
        equation: Such as "...x,xy->...y".
        sizes: The operands' full sizes, the batch axis as 1.
    """
    terms, arrow, result = equation.replace(" ", "").partition("->")
    operands = terms.split(",")
    if len(operands) == 1:
        return 0
    if len(operands) != 2 or not arrow:
        return None
    lengths: dict[str, int] = {}
    for term, size in zip(operands, sizes):
        for label, length in zip(_labels(term, len(size)), size):
            lengths[label] = max(length, lengths.get(label, 1))
    kept = set(result.replace("...", ""))
    summed = [label for label in lengths if len(label) == 1 and label not in kept]
    return prod(lengths.values()) if summed else 0


def _labels(term: str, axes: int) -> list[str]:
    """One label an axis; those of an ellipsis are numbered from the last, as they broadcast."""
    before, dots, after = term.partition("...")
    between = axes - len(before) - len(after) if dots else 0
    return [*before, *(f"...{axis}" for axis in range(between, 0, -1)), *after]
