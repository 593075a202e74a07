"""Arrays from a `.npz` file and from folders of images, checked on the way in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tfcompress.core import DataError
from tfcompress.core._types import Array

KEYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "x", "y")
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
NUMBERS = "biuf"
"""NumPy's kinds of real numbers: bool, int, unsigned int, float."""


def read_npz(source: Path | Mapping[str, Array]) -> dict[str, Array]:
    """The image and label arrays of a `.npz` file (or mapping).

    They are x and y, or x_train y_train with x_val y_val and x_test y_test as far as there. Grey
    images [n, height, width] get a channel axis; labels [n, 1] become [n].

    Raises DataError for a file that cannot be read, missing keys, numbers of samples that differ,
    values that are no finite real numbers, negative class numbers, and parts of different shapes.
    """
    where = str(source) if isinstance(source, Path) else "The data set"
    arrays, keys = _stored(source)
    if not ({"x_train", "y_train"} <= set(arrays) or {"x", "y"} <= set(arrays)):
        raise DataError(
            f"{where} holds {', '.join(keys) or 'nothing'}; expected x and y, or x_train, y_train, "
            "x_test, y_test."
        )
    if "x_train" in arrays:
        arrays = {key: value for key, value in arrays.items() if key not in ("x", "y")}
    for key in [key for key in arrays if key.startswith("x")]:
        label_key = "y" + key[1:]
        if label_key not in arrays:
            raise DataError(f"{where} holds {key} and no {label_key}.")
        x, y = arrays[key], arrays[label_key]
        _require_samples(where, key, x, label_key, y)
        arrays[key] = x[..., None] if x.ndim == 3 else x
        arrays[label_key] = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    _require_alike(where, arrays)
    return arrays


def _stored(source: Path | Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """The arrays of KEYS that are there, and the names of all."""
    if not isinstance(source, Path):
        return {key: source[key] for key in KEYS if key in source}, list(source)
    try:
        with open(source, "rb") as handle:
            file = np.load(handle, allow_pickle=False)
            if not hasattr(file, "files"):
                return {}, ["one array without a name"]
            return {key: file[key] for key in KEYS if key in file.files}, list(file.files)
    except Exception as error:  # a damaged file raises whatever zip, zlib and NumPy's parser do
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{source} cannot be read as a .npz file ({reason}); write it with "
            "numpy.savez(path, x=..., y=...)."
        ) from error


def _require_samples(where: str, key: str, x: Array, label_key: str, y: Array) -> None:
    """DataError unless x and y hold equally many samples, at least one, of finite real numbers."""
    for name, array in ((key, x), (label_key, y)):
        if array.dtype.kind not in NUMBERS:
            raise DataError(f"{where}: {name} holds {array.dtype}; expected real numbers.")
        if array.ndim == 0:
            raise DataError(f"{where}: {name} is one number; expected one entry for each sample.")
    if len(x) == 0 or len(x) != len(y):
        raise DataError(
            f"{where}: {key} has {len(x)} samples and {label_key} {len(y)} labels; expected as "
            "many, and at least one."
        )
    for name, array in ((key, x), (label_key, y)):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise DataError(
                f"{where}: {name} holds NaN or infinite values in {count} places; clean it first."
            )
    if y.dtype.kind == "i" and y.min() < 0:
        raise DataError(
            f"{where}: {label_key} holds {y.min()}; class numbers count from 0 (store values to "
            "predict as floats)."
        )


def _require_alike(where: str, arrays: Mapping[str, Array]) -> None:
    """DataError where training, validation and test samples, or labels, differ in shape."""
    for axis in ("x", "y"):
        shapes = {key: array.shape[1:] for key, array in arrays.items() if key.startswith(axis)}
        if len(set(shapes.values())) > 1:
            listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
            raise DataError(f"{where}: samples of different shapes: {listed}; expected one.")


def read_folder(
    path: Path, size: Sequence[int | None] | None
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The images below `path` and the names of the classes.

    `path` holds class folders, or train/, val/, test/ with class folders in each. Images become
    uint8 [n, height, width, channels], resized to `size` (height, width[, channels: 1 or 3]); the
    same size is expected of all when `size` is None or leaves the height or width open.

    Raises DataError: no images, no Pillow, an unreadable file, different sizes.
    """
    fixed = None
    if size is not None and len(size) in (2, 3) and None not in size[:2]:
        fixed = [side for side in size if side is not None]
    parts = [part for part in ("train", "val", "test") if (path / part).is_dir()]
    roots = {f"_{part}": path / part for part in parts} if "train" in parts else {"": path}
    class_names = _class_names(roots.values())
    arrays: dict[str, Array] = {}
    for suffix, root in roots.items():
        images, labels = _images_below(root, class_names, fixed)
        arrays[f"x{suffix}"], arrays[f"y{suffix}"] = images, labels
    return arrays, class_names


def _class_names(roots: Iterable[Path]) -> tuple[str, ...]:
    """Names of the folders in `roots`, sorted."""
    folders = [entry for root in roots for entry in root.iterdir() if entry.is_dir()]
    return tuple(sorted({folder.name for folder in folders}))


def _images_below(
    root: Path, class_names: Sequence[str], size: Sequence[int] | None
) -> tuple[Array, Array]:
    """Images [n, height, width, channels] and class numbers [n] of the class folders in `root`."""
    images: list[Array] = []
    labels: list[int] = []
    for number, name in enumerate(class_names):
        files = [file for file in (root / name).glob("**/*") if file.suffix.lower() in IMAGES]
        images += [_image(file, size) for file in sorted(files)]
        labels += [number] * len(files)
    if not images:
        raise DataError(
            f"No images in the class folders of {root}; expected {root}/<class>/*.png or .jpg."
        )
    shapes = sorted({image.shape for image in images})
    if len(shapes) > 1:
        raise DataError(
            f"The images of {root} have different shapes, e.g. {shapes[0]} and {shapes[-1]}; "
            "give input_shape=(height, width)."
        )
    return np.stack(images), np.array(labels, "int64")


def _image(file: Path, size: Sequence[int] | None) -> Array:
    """One image as uint8 [height, width, 1 or 3]."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("Reading images needs Pillow: pip install 'tfcompress[images]'.") from error
    channels = size[2] if size is not None and len(size) == 3 else None
    try:
        with Image.open(file) as image:
            grey = channels == 1 or (channels is None and image.mode in ("1", "L", "LA"))
            picture = image.convert("L" if grey else "RGB")
            if size is not None:
                picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            array = np.asarray(picture, "uint8")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file} cannot be read as an image ({error}); remove or replace it."
        ) from error
    return array[..., None] if grey else array
