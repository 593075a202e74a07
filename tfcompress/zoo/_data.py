"""Image data sets ready to train on: embedded digits, MNIST, CIFAR, your own `.npz` or folder of images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfcompress._backend.keras._datasets import keras_dataset, sklearn_digits
from tfcompress.core import DataError
from tfcompress.zoo._files import read_folder, read_npz

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASS_NAMES = {
    "digits": tuple("0123456789"),
    "mnist": tuple("0123456789"),
    "cifar10": CIFAR10,
    "cifar100": (),
}
POOLED = (0.7, 0.1, 0.2)


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Training, validation and test images (float32 [n, height, width, channels], or [n, values] when flat) and labels (int64 [n])."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    name: str = ""
    class_names: tuple[str, ...] = ()

    def __repr__(self) -> str:
        counts = " + ".join(f"{len(part):,}" for part in (self.x_train, self.x_val, self.x_test))
        return f"Data({self.name!r}, train + val + test = {counts} samples of shape {self.x_train.shape[1:]}, classes {self.class_names})"


def load_data(
    name: str | Path = "digits",
    folder: str | Path | None = None,
    *,
    classes: Sequence[str | int] | None = None,
    split: Sequence[float] | None = None,
    seed: int = 0,
    input_shape: Sequence[int | None] | None = None,
    flatten: bool = False,
    scale: float = 255.0,
) -> Data:
    """A data set by name ("digits", "mnist", "cifar10", "cifar100"), or from a `.npz` file or a folder of images.

    "digits" is inside scikit-learn. The others are read from `<name>.npz` (x_train y_train x_test y_test) in `folder` or in the
    folder that the environment variable TFCOMPRESS_DATA names, else loaded by Keras (which downloads them once).
    A `.npz` of your own has those keys, and x_val y_val if you like, or just x and y. A folder of images holds one folder per class,
    or such folders inside train/, val/ and test/.

    classes: keep these classes only (names or numbers), labelled 0, 1, … in this order.
    split: (train, validation, test) fractions of all images pooled and shuffled by `seed`; without it the set's own test images stay the
        test set and a tenth of the training images validates, except for "digits", for `classes` and for x/y alone: (0.7, 0.1, 0.2).
    input_shape: what the model takes, (height, width) or (height, width, channels) or (values,): images of a folder are resized to it,
    other images flattened where it says so, and must fit it.
    flatten: one vector per image. scale: integer images are divided by it (255: to 0..1; 1: left 0..255); floats are kept as they are.
    Raises DataError: unknown name, missing file and no download, wrong keys, lengths, NaN, unknown classes, an empty part.
    """
    flat = flatten or (input_shape is not None and len(input_shape) == 1)
    given, known, own = _read(name, folder, input_shape)
    if classes is not None:
        given, known = _choose(given, classes, known)
    if split is None and (classes is not None or "x_test" not in given):
        split = POOLED
    parts = _pool(given, split, seed) if split is not None else _own_split(given, seed)
    arrays = {}
    for part in ("train", "val", "test"):
        x, y = parts[part]
        if not len(x):
            raise DataError(
                f"{own}: no {part} images are left ({', '.join(f'{k}: {len(v[0])}' for k, v in parts.items())}); change `split`."
            )
        x = x.astype("float32") / np.float32(scale if np.issubdtype(x.dtype, np.integer) else 1)
        arrays[f"x_{part}"] = x.reshape(len(x), -1) if flat else x
        arrays[f"y_{part}"] = y.astype("int64" if np.issubdtype(y.dtype, np.integer) else "float32")
    came = arrays["x_train"].shape[1:]
    if (
        input_shape is not None
        and not flatten
        and any(want not in (None, have) for want, have in zip(input_shape, came))
    ):
        raise DataError(
            f"The images of {own!r} have shape {came}, the model takes {tuple(input_shape)}; only folders of images are resized."
        )
    return Data(**arrays, name=own, class_names=known)


def _read(
    name: str | Path, folder: str | Path | None, size: Any
) -> tuple[dict[str, np.ndarray], tuple[str, ...], str]:
    """Arrays as they are stored, class names, and what to call the set."""
    if str(name) in CLASS_NAMES:
        return _named(str(name), folder), CLASS_NAMES[str(name)], str(name)
    path = Path(name)
    if path.is_dir():
        arrays, names = read_folder(path, size)
        return arrays, names, path.name
    if path.is_file():
        return read_npz(path), (), path.stem
    raise DataError(
        f"No data set {str(name)!r}: expected {', '.join(CLASS_NAMES)}, a .npz file or a folder of images, and no such path exists."
    )


def _named(name: str, folder: str | Path | None) -> dict[str, np.ndarray]:
    if name == "digits":
        x, y = sklearn_digits()
        return {"x": (x / np.float32(16)).astype("float32"), "y": y}
    for place in (folder, os.environ.get("TFCOMPRESS_DATA")):
        path = Path(place) / f"{name}.npz" if place else None
        if path is not None and path.is_file():
            return read_npz(path)
        if folder is not None:
            raise DataError(
                f"No {path}; expected there x_train, y_train, x_test and y_test as numpy.savez writes them."
            )
    try:
        return read_npz(keras_dataset(name))
    except Exception as error:
        raise DataError(
            f"{name!r} could not be downloaded by Keras ({error}). Put {name}.npz (x_train, y_train, x_test, y_test) in "
            f"a folder and give folder=... or set TFCOMPRESS_DATA to it; 'digits' needs no download."
        ) from error


def _choose(
    given: Mapping[str, np.ndarray], classes: Sequence[str | int], known: tuple[str, ...]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Only the images of `classes`, relabelled 0, 1, … in that order."""
    numbers = []
    for one in classes:
        if isinstance(one, str) and one not in known:
            raise DataError(
                f"No class {one!r}; this set has {', '.join(known) or 'no class names: give numbers'}."
            )
        numbers.append(known.index(one) if isinstance(one, str) else int(one))
    if len(numbers) < 2 or len(set(numbers)) < len(numbers):
        raise DataError(f"classes={tuple(classes)}: expected two or more different classes.")
    out = {}
    for part in [key[1:] for key in given if key.startswith("x")]:
        x, y = given[f"x{part}"], given[f"y{part}"]
        absent = [str(number) for number in numbers if number not in y]
        if absent:
            raise DataError(
                f"No image of class {', '.join(absent)} among the labels {y.min()}..{y.max()} of y{part}."
            )
        keep = np.isin(y, numbers)
        out[f"x{part}"] = x[keep]
        out[f"y{part}"] = np.argmax(y[keep][:, None] == np.array(numbers), axis=1)
    return out, tuple(known[number] if known else str(number) for number in numbers)


def _pool(
    given: Mapping[str, np.ndarray], split: Sequence[float], seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """All images together, shuffled by `seed` and cut at the fractions of `split`."""
    if len(split) != 3 or min(split) < 0 or abs(sum(split) - 1) > 1e-6:
        raise DataError(
            f"split={tuple(split)}: expected three fractions (train, validation, test) that sum to 1, e.g. {POOLED}."
        )
    x = np.concatenate([value for key, value in given.items() if key.startswith("x")])
    y = np.concatenate([value for key, value in given.items() if key.startswith("y")])
    order = np.random.RandomState(seed).permutation(len(x))
    first, second = round(split[0] * len(x)), round((split[0] + split[1]) * len(x))
    rows = {"train": order[:first], "val": order[first:second], "test": order[second:]}
    return {part: (x[index], y[index]) for part, index in rows.items()}


def _own_split(
    given: Mapping[str, np.ndarray], seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The set's own test images; its own validation images or else a tenth of the training images, drawn by `seed`."""
    x, y = given["x_train"], given["y_train"]
    if "x_val" in given:
        val = given["x_val"], given["y_val"]
    else:
        order = np.random.RandomState(seed).permutation(len(x))
        held, kept = order[: len(x) // 10], order[len(x) // 10 :]
        val, (x, y) = (x[held], y[held]), (x[kept], y[kept])
    return {"train": (x, y), "val": val, "test": (given["x_test"], given["y_test"])}
