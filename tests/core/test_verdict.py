"""Scores that a user must be warned about: a base at chance level, a file far below its base."""

from typing import Any

import numpy as np
import pytest

from tfcompress.core._types import Array
from tfcompress.core._verdict import (
    MAX_LOSS_POINTS,
    chance_warning,
    loss_warning,
    majority_share,
    with_warnings,
)

LABELS = np.repeat(np.arange(10), 40)


@pytest.mark.parametrize(
    ("labels", "share"),
    [
        (LABELS, 0.1),
        (LABELS[:, None], 0.1),
        (np.eye(10)[LABELS], 0.1),
        (np.array([0, 1, 1, 1]), 0.75),
        (np.array([0.25, 1.5]), None),
        (np.zeros((4, 3, 3)), None),
        (None, None),
    ],
)
def test_the_share_of_the_most_frequent_class(labels: Array | None, share: float | None) -> None:
    assert majority_share(labels) == share


def test_chance_level_is_two_standard_errors_above_the_most_frequent_class() -> None:
    limit = 0.1 + 2 * np.sqrt(0.1 * 0.9 / 400)
    assert "chance level" in (chance_warning(limit - 1e-6, LABELS) or "")
    assert chance_warning(limit + 1e-6, LABELS) is None
    assert chance_warning(1.0, np.zeros(5)) is None  # one class: every answer is right


def test_a_loss_beyond_the_bound_is_named_in_points() -> None:
    assert loss_warning(0.90, 0.90 + MAX_LOSS_POINTS / 100 - 1e-9, "float32") is None
    assert "6.0 points below float32" in (loss_warning(0.90, 0.96, "float32") or "")


def test_every_row_is_held_against_the_base_of_its_seed() -> None:
    rows: list[dict[str, object]] = [
        {"recipe": "base", "seed": 0, "accuracy": 0.95},
        {"recipe": "small", "seed": 0, "accuracy": 0.80, "warnings": ["not trained"]},
        {"recipe": "base", "seed": 1, "accuracy": 0.10},
        {"recipe": "small", "seed": 1, "accuracy": 0.10},
        {"recipe": "broken", "seed": 1, "accuracy": 0.0, "error": "x"},
    ]
    judged: list[dict[str, Any]] = list(with_warnings(rows, "accuracy", "base", LABELS))
    good, small, base, equal, broken = judged
    assert "warnings" not in good and "warnings" not in equal and "warnings" not in broken
    assert small["warnings"][0] == "not trained" and "15.0 points" in small["warnings"][1]
    assert "chance level" in base["warnings"][0]
    assert with_warnings([small], "accuracy", "base", LABELS) == [small]
    assert with_warnings(rows, "mse", "base", LABELS) == rows
