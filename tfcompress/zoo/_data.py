"""Image data sets ready to train on: digits, MNIST, CIFAR, your own `.npz` or folder of images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfcompress._backend.keras._datasets import keras_dataset, sklearn_digits
from tfcompress.core import DataError
from tfcompress.core._types import Array
from tfcompress.zoo._files import read_folder, read_npz
from tfcompress.zoo._split import POOLED, Parts, choose_classes, own_split, pooled_split

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CLASS_NAMES = {
    "digits": tuple("0123456789"),
    "mnist": tuple("0123456789"),
    "cifar10": CIFAR10,
    "cifar100": (),
}


@dataclass(frozen=True, eq=False, repr=False)
class Data:
    """Training, validation and test images with their labels.

    x: float32 [n, height, width, channels], or [n, values] when flat. y: int64 [n] for classes.
    `stored` is the type of the images where they came from, before any division: "uint8", say.
    """

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array
    name: str = ""
    class_names: tuple[str, ...] = ()
    stored: str = ""

    def __repr__(self) -> str:
        counts = " + ".join(f"{len(part):,}" for part in (self.x_train, self.x_val, self.x_test))
        return (
            f"Data({self.name!r}, train + val + test = {counts} samples of shape "
            f"{self.x_train.shape[1:]}, classes {self.class_names})"
        )


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
    """A data set by name ("digits", "mnist", "cifar10", "cifar100"), or from a file or folder.

    "digits" is inside scikit-learn. The others are read from `<name>.npz` (x_train y_train x_test
    y_test) in `folder` or in the folder that the environment variable TFCOMPRESS_DATA names, else
    loaded by Keras, which downloads them once. A `.npz` of your own has those keys, and x_val y_val
    if you like, or just x and y. A folder of images holds one folder per class, or such folders
    inside train/, val/ and test/.

    Args:
        name: A name, a `.npz` file or a folder of images.
        folder: Where the `.npz` of a name is.
        classes: Keep these classes only (names or numbers), labelled 0, 1, … in this order.
        split: (train, validation, test) shares of all images pooled and shuffled by `seed`.
            Without it the set's own test images stay the test set and a tenth of the training
            images validates; (0.7, 0.1, 0.2) for "digits", for `classes` and for x/y alone.
        seed: Of the split.
        input_shape: What the model takes, (height, width[, channels]) or (values,). Images of a
            folder are resized to it, other images flattened where it says so, and must fit it.
        flatten: One vector per image.
        scale: Images stored as integers are divided by it (255: to 0..1; 1: left as they are);
            floats are kept as they are.

    Raises DataError: unknown name, missing file and no download, wrong keys, lengths, types, NaN,
    unknown classes, a part without images.
    """
    arrays, class_names, label = _read(name, folder, input_shape)
    if classes is not None:
        arrays, class_names = choose_classes(arrays, classes, class_names)
    if split is None and (classes is not None or "x_test" not in arrays):
        split = POOLED
    parts = pooled_split(arrays, split, seed) if split is not None else own_split(arrays, seed)
    _require_images(parts, label)
    flat = flatten or (input_shape is not None and len(input_shape) == 1)
    ready: dict[str, Array] = {}
    for part, (x, y) in parts.items():
        images = _as_floats(x, scale)
        ready[f"x_{part}"] = images.reshape(len(images), -1) if flat else images
        ready[f"y_{part}"] = y.astype("int64" if np.issubdtype(y.dtype, np.integer) else "float32")
    if input_shape is not None and not flatten:
        _require_shape(ready["x_train"].shape[1:], input_shape, label)
    stored = str(parts["train"][0].dtype)
    return Data(**ready, name=label, class_names=class_names, stored=stored)


def require_data(name: str) -> None:
    """DataError where `name` is no data set's name and no file or folder: known before any work."""
    if name not in CLASS_NAMES and not Path(name).exists():
        raise DataError(
            f"No data set {name!r}: expected {', '.join(CLASS_NAMES)}, a .npz file or a folder of "
            "images, and no such path exists."
        )


def _as_floats(x: Array, scale: float) -> Array:
    """`x` as float32, divided by `scale` where it holds integers."""
    images = x.astype("float32")
    if scale != 1 and np.issubdtype(x.dtype, np.integer):
        images /= np.float32(scale)
    return images


def _require_images(parts: Parts, label: str) -> None:
    counts = ", ".join(f"{part}: {len(x)}" for part, (x, _) in parts.items())
    for part, (x, _) in parts.items():
        if not len(x):
            raise DataError(
                f"{label}: no {part} images are left ({counts}); add images (ten or more train "
                "and validate), or in Python and study files another `split`."
            )


def _require_shape(shape: tuple[int, ...], input_shape: Sequence[int | None], label: str) -> None:
    fits = [want in (None, have) for want, have in zip(input_shape, shape)]
    if not all(fits):
        raise DataError(
            f"The images of {label!r} have shape {shape}, the model takes {tuple(input_shape)}; "
            "only folders of images are resized."
        )


def _read(
    name: str | Path, folder: str | Path | None, size: Sequence[int | None] | None
) -> tuple[dict[str, Array], tuple[str, ...], str]:
    """Arrays as they are stored, class names, and what to call the set."""
    if str(name) in CLASS_NAMES:
        return _named(str(name), folder), CLASS_NAMES[str(name)], str(name)
    require_data(str(name))
    path = Path(name)
    if path.is_dir():
        arrays, class_names = read_folder(path, size)
        return arrays, class_names, path.name
    return read_npz(path), (), path.stem


def _named(name: str, folder: str | Path | None) -> dict[str, Array]:
    if name == "digits":
        x, y = sklearn_digits()
        return {"x": (x / np.float32(16)).astype("float32"), "y": y}
    for place in (folder, os.environ.get("TFCOMPRESS_DATA")):
        path = Path(place) / f"{name}.npz" if place else None
        if path is not None and path.is_file():
            return read_npz(path)
        if folder is not None:
            raise DataError(
                f"No {path}; expected there x_train, y_train, x_test and y_test as numpy.savez "
                "writes them."
            )
    try:
        return read_npz(keras_dataset(name))
    except Exception as error:
        raise DataError(
            f"{name!r} could not be downloaded by Keras ({error}). Put {name}.npz (x_train, "
            "y_train, x_test, y_test) in a folder and give folder=... or set TFCOMPRESS_DATA to "
            "it; 'digits' needs no download."
        ) from error
