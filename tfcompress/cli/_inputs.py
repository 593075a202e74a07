"""What the command reads: models, data on the model's scale, recipes, numbers in options."""

from __future__ import annotations

import importlib
import re
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tfcompress.core import DataError, ModelError, Recipe, RecipeError
from tfcompress.core._types import Array, Model

if TYPE_CHECKING:
    from tfcompress._study._scale import Scale
    from tfcompress.zoo import Data

UNITS = {"": 1, "b": 1, "k": 1000, "kb": 1000, "kib": 1024, "m": 10**6, "mb": 10**6, "mib": 2**20}


def load_tensorflow() -> None:
    """Import TensorFlow and Keras 3 silently, with one line on stderr because it takes seconds."""
    if "tensorflow" not in sys.modules:
        typer.echo("Loading TensorFlow …", err=True)
        with _quietly():
            importlib.import_module("keras")


def _quietly() -> AbstractContextManager[object]:
    """Keras and TensorFlow print nothing meanwhile, unless --verbose is given."""
    from tfcompress._backend.quiet import quiet

    return nullcontext() if "--verbose" in sys.argv else quiet()


def require_model_file(path: Path) -> None:
    """ModelError where there is no such file, before TensorFlow is loaded."""
    if not path.exists():
        raise ModelError(f"No model at {path}; expected a .keras or .h5 file, or a SavedModel.")


def read_model(path: Path, *, trust: bool) -> Model:
    """The Keras model in the file; code in it runs with `trust` only."""
    from tfcompress._compress import load_model

    require_model_file(path)
    load_tensorflow()
    with _quietly():
        return load_model(path, trusted=trust)


def require_data(name: str, purpose: str) -> None:
    """DataError without `--data`, saying what it is needed for, or for a name that is nothing."""
    from tfcompress.zoo._data import require_data as require_known

    if not name:
        raise DataError(f"{purpose}: pass --data digits, an .npz or a folder of images.")
    require_known(name)


def model_and_data(
    path: Path, name: str, scale: str, purpose: str, *, trust: bool
) -> tuple[Model, Data]:
    """The Keras model in the file, and the data set on the scale that it takes.

    ModelError or DataError before any work where one of them is not there; `purpose` says what the
    data are needed for.
    """
    require_model_file(path)
    require_data(name, purpose)
    model = read_model(path, trust=trust)
    return model, data_for_model(name, model, scale)[0]


def read_recipe(name: str) -> Recipe:
    """The recipe of that name, or in that .json file."""
    from tfcompress import recipes

    if not name.endswith(".json"):
        return recipes.recipe(name)
    try:
        return Recipe.from_json(Path(name).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"No recipe can be read from {name}: {error}. Recipe.to_json and "
            "`sensitivity --recipe` write one."
        ) from error


def data_for_model(name: str, model: Model, scale: str) -> tuple[Data, Scale]:
    """The data set on the scale that `model` takes, resized to its input, and what that scale is.

    `scale` is "auto" or a number that integer images are divided by.
    """
    from tfcompress import zoo
    from tfcompress._backend import bridge as keras
    from tfcompress._study._scale import scale_for_model

    divisor = scale_divisor(scale)
    shape = keras.input_specs(model)[0][1][1:]
    data = zoo.load_data(name, input_shape=shape, scale=1)
    return _on_scale(data, _given(data, divisor) or scale_for_model(data, model))


def test_data_for_file(name: str, file: Path, scale: str) -> tuple[tuple[Array, Array], Scale]:
    """Test images and labels on the scale that the `.tflite` takes, resized to its input."""
    data, chosen = data_for_file(name, file, scale)
    return (data.x_test, data.y_test), chosen


def data_for_file(name: str, file: Path, scale: str) -> tuple[Data, Scale]:
    """The data set on the scale that the `.tflite` takes, resized to its input."""
    from tfcompress import zoo
    from tfcompress._backend.interpreter._interpreter import open_interpreter
    from tfcompress._study._scale import find_scale

    divisor = scale_divisor(scale)
    interpreter = open_interpreter(file)
    shape = interpreter.inputs[0].shape[1:]
    data = zoo.load_data(name, input_shape=shape, scale=1)
    chosen = _given(data, divisor) or find_scale(data, lambda x: interpreter.predict([x])[0])
    return _on_scale(data, chosen)


def scale_divisor(text: str) -> float | None:
    """The number in `--scale`; None for auto."""
    if text == "auto":
        return None
    try:
        divisor = float(text)
    except ValueError:
        divisor = 0.0
    if not 0 < divisor < float("inf"):
        raise DataError(f"--scale {text}: expected auto or a positive number such as 255.")
    return divisor


def _given(data: Data, divisor: float | None) -> Scale | None:
    from tfcompress._study._scale import Scale

    if divisor is None:
        return None
    if not data.stored.startswith(("int", "uint")):
        return Scale(1.0, f"values as stored ({data.stored}); --scale is for integers")
    return Scale(divisor, f"images divided by {divisor:g} (--scale)")


def _on_scale(data: Data, scale: Scale) -> tuple[Data, Scale]:
    """`data` divided, and one line on stderr that says so where there was a choice."""
    from tfcompress._study._scale import scaled

    if data.stored.startswith(("int", "uint")):
        typer.echo(f"{data.name}: {scale.reason}", err=True)
    return scaled(data, scale.divisor), scale


def thread_counts(text: str, option: str = "--threads") -> tuple[int, ...]:
    """The whole numbers in `--threads`, or in another `option` of that form."""
    parts = text.split(",")
    if not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise RecipeError(f"{option} {text}: expected whole numbers of 1 or more, such as 1,2,4.")
    return tuple(int(part) for part in parts)


def counts_or_none(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers in an option that may be left out; none where it is."""
    return thread_counts(text, option) if text else ()


def byte_count(text: str) -> float | None:
    """The bytes in `--max-bytes`, e.g. 50000, 50kB or 1.5MB; None where nothing is given."""
    if not text:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in UNITS:
        raise RecipeError(f"--max-bytes {text}: expected a size such as 50000, 50kB or 1.5MB.")
    return float(match[1]) * UNITS[match[2]]
