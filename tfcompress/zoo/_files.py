"""Arrays from a `.npz` file and from folders of images, checked on the way in."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfcompress.core import DataError

KEYS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test", "x", "y")
IMAGES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}


def read_npz(source: Path | Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The image and label arrays of a `.npz` file (or mapping): x and y, or x_train y_train with x_val y_val and x_test y_test.

    Grey images [n, height, width] get a channel axis; labels [n, 1] become [n]. Raises DataError.
    """
    where = str(source) if isinstance(source, Path) else "The data set"
    if isinstance(source, Path):
        try:
            with open(source, "rb") as handle:
                file = np.load(handle, allow_pickle=False)
                found = list(getattr(file, "files", ["one array without a name"]))
                arrays = {key: file[key] for key in KEYS if key in found}
        except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
            raise DataError(
                f"{where} cannot be read as a .npz file ({error}); write it with numpy.savez(path, x=..., y=...)."
            ) from error
    else:
        arrays, found = {key: source[key] for key in KEYS if key in source}, list(source)
    if not ({"x_train", "y_train"} <= set(arrays) or {"x", "y"} <= set(arrays)):
        raise DataError(
            f"{where} holds {', '.join(found) or 'nothing'}; expected x and y, or x_train, y_train, x_test, y_test."
        )
    if "x_train" in arrays:
        arrays = {key: value for key, value in arrays.items() if key not in ("x", "y")}
    for key in [key for key in arrays if key.startswith("x")]:
        other = "y" + key[1:]
        if other not in arrays:
            raise DataError(f"{where} holds {key} and no {other}.")
        x, y = arrays[key], arrays[other]
        if len(x) == 0 or len(x) != len(y):
            raise DataError(
                f"{where}: {key} has {len(x)} samples and {other} {len(y)} labels; expected as many, and at least one."
            )
        if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
            raise DataError(
                f"{where}: {key} holds NaN or infinite values in {int((~np.isfinite(x)).sum())} places; clean it first."
            )
        arrays[key] = x[..., None] if x.ndim == 3 else x
        arrays[other] = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    return arrays


def read_folder(
    path: Path, size: Sequence[int] | None
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """The images below `path` and the names of the classes: class folders, or train/, val/, test/ with class folders in each.

    Images become uint8 [n, height, width, channels], resized to `size` (height, width[, channels: 1 or 3]); the same size is expected
    of all when `size` is None. Raises DataError (no images, no Pillow, an unreadable file, different sizes).
    """
    if size is not None and (len(size) not in (2, 3) or None in size[:2]):
        size = None
    parts = [part for part in ("train", "val", "test") if (path / part).is_dir()]
    roots = {f"_{part}": path / part for part in parts} if "train" in parts else {"": path}
    names = tuple(
        sorted(
            {entry.name for root in roots.values() for entry in root.iterdir() if entry.is_dir()}
        )
    )
    arrays = {}
    for suffix, root in roots.items():
        images, labels = [], []
        for number, name in enumerate(names):
            files = sorted(
                file for file in (root / name).glob("**/*") if file.suffix.lower() in IMAGES
            )
            images += [_image(file, size) for file in files]
            labels += [number] * len(files)
        if not images:
            raise DataError(
                f"No images in the class folders of {root}; expected {root}/<class>/*.png or .jpg."
            )
        shapes = sorted({image.shape for image in images})
        if len(shapes) > 1:
            raise DataError(
                f"The images of {root} have different shapes, e.g. {shapes[0]} and {shapes[-1]}; give input_shape=(height, width)."
            )
        arrays["x" + suffix], arrays["y" + suffix] = np.stack(images), np.array(labels, "int64")
    return arrays, names


def _image(file: Path, size: Sequence[int] | None) -> np.ndarray:
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError("Reading images needs Pillow: pip install 'tfcompress[images]'.") from error
    channels = size[2] if size is not None and len(size) == 3 else None
    try:
        with Image.open(file) as image:
            grey = channels == 1 or (channels is None and image.mode in ("1", "L", "LA"))
            image = image.convert("L" if grey else "RGB")
            if size is not None:
                image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            array = np.asarray(image, "uint8")
    except OSError as error:
        raise DataError(
            f"{file} cannot be read as an image ({error}); remove or replace it."
        ) from error
    return array[..., None] if grey else array
