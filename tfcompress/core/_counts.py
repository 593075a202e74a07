"""Whole numbers among the options of a value."""

from __future__ import annotations


def is_count(value: object) -> bool:
    """Whether `value` is a whole number of at least 1; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
