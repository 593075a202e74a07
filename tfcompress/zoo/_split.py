"""Which images train, validate and test: classes chosen, sets pooled, validation images drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tfcompress.core import DataError
from tfcompress.core._types import Array

Arrays = Mapping[str, Array]
Parts = dict[str, tuple[Array, Array]]

POOLED = (0.7, 0.1, 0.2)
"""Shares of training, validation and test images where a set has no test images of its own."""


def choose_classes(
    arrays: Arrays, classes: Sequence[str | int], class_names: tuple[str, ...]
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Only the images of `classes`, labelled 0, 1, … in that order, and the names of the classes.

    Args:
        arrays: x [n, ...] and y [n], or x_train y_train and so on.
        classes: Names or numbers, at least two different ones.
        class_names: Names of all classes by number; empty where there are none.

    Raises DataError for a class that is unknown, or that no image has.
    """
    numbers = [_class_number(one, class_names) for one in classes]
    if len(numbers) < 2 or len(set(numbers)) < len(numbers):
        raise DataError(f"classes={tuple(classes)}: expected two or more different classes.")
    chosen: dict[str, Array] = {}
    for part in [key[1:] for key in arrays if key.startswith("x")]:
        x, y = arrays[f"x{part}"], arrays[f"y{part}"]
        absent = [str(number) for number in numbers if number not in y]
        if absent:
            raise DataError(
                f"No image of class {', '.join(absent)} among the labels "
                f"{y.min()}..{y.max()} of y{part}."
            )
        keep = np.isin(y, numbers)
        chosen[f"x{part}"] = x[keep]
        chosen[f"y{part}"] = np.argmax(y[keep][:, None] == np.array(numbers), axis=1)
    if class_names:
        return chosen, tuple(class_names[number] for number in numbers)
    return chosen, tuple(str(number) for number in numbers)


def _class_number(one: str | int, class_names: tuple[str, ...]) -> int:
    if not isinstance(one, str):
        return int(one)
    if one not in class_names:
        known = ", ".join(class_names) or "no class names: give numbers"
        raise DataError(f"No class {one!r}; this set has {known}.")
    return class_names.index(one)


def pooled_split(arrays: Arrays, split: Sequence[float], seed: int) -> Parts:
    """All images together, shuffled by `seed` and cut at the shares of `split`.

    Raises DataError unless `split` holds three shares that sum to 1.
    """
    if len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-6:
        raise DataError(
            f"split={tuple(split)}: expected three fractions (train, validation, test) "
            f"that sum to 1, e.g. {POOLED}."
        )
    x = np.concatenate([value for key, value in arrays.items() if key.startswith("x")])
    y = np.concatenate([value for key, value in arrays.items() if key.startswith("y")])
    order = np.random.RandomState(seed).permutation(len(x))
    first, second = round(split[0] * len(x)), round((split[0] + split[1]) * len(x))
    rows = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    return {part: (x[index], y[index]) for part, index in rows.items()}


def own_split(arrays: Arrays, seed: int) -> Parts:
    """The set's own test images, and its own validation images or a tenth of the training images.

    The tenth is drawn by `seed`.
    """
    x, y = arrays["x_train"], arrays["y_train"]
    if "x_val" in arrays:
        validation = arrays["x_val"], arrays["y_val"]
    else:
        order = np.random.RandomState(seed).permutation(len(x))
        held, kept = order[: len(x) // 10], order[len(x) // 10 :]
        validation, (x, y) = (x[held], y[held]), (x[kept], y[kept])
    return {"train": (x, y), "val": validation, "test": (arrays["x_test"], arrays["y_test"])}
