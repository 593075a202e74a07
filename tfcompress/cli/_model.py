"""What `compress` and `convert` do: read a model and data, run the engine, write the artifact, say what it cost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import typer

from tfcompress.cli._loading import load_tensorflow


def compress(
    path: Path,
    recipe_name: str,
    data_name: str,
    out: Path | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    samples: int,
    seed: int | None,
    strict: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compress the model at `path` by a recipe's name or file, save it beside its JSON and report accuracy, before and after."""
    from tfcompress import recipes
    from tfcompress._compress import compress as run
    from tfcompress._compress import load_model
    from tfcompress.core import Recipe
    from tfcompress.profiling import evaluate

    load_tensorflow()
    if recipe_name.endswith(".json"):
        recipe = Recipe.from_json(Path(recipe_name).read_text())
    else:
        recipe = recipes.recipe(recipe_name)
    samples = max(samples, recipe.wanted_samples)
    model = load_model(path)
    data = load_data(data_name, model) if data_name else None
    fit = _trainer(model, data, epochs, batch_size, learning_rate) if data and epochs and recipe.techniques else None
    stem = out or path.with_name(f"{path.stem}-{recipe.name}")
    artifact = run(
        model,
        recipe,
        fit=fit,
        samples=data.x_train[:samples] if data else None,
        strict=strict,
        seed=seed,
        progress=sys.stderr.isatty(),
    )
    files = artifact.save(stem, overwrite=overwrite)
    said: dict[str, Any] = {**artifact.to_dict(), "files": [str(file) for file in files], "model_bytes": path.stat().st_size}
    if data is not None and len(data.x_test):
        said["accuracy"] = evaluate(artifact, data.x_test, data.y_test)
        said["accuracy_before"] = evaluate(run(model, "float32"), data.x_test, data.y_test)
    if as_json:
        typer.echo(json.dumps(said, indent=2, sort_keys=True))
        return
    typer.echo(str(artifact))
    if "accuracy" in said:
        typer.echo(f"accuracy {said['accuracy']:.4f} (before {said['accuracy_before']:.4f}, {len(data.x_test):,} test images)")
    typer.echo("wrote " + ", ".join(said["files"]))


def load_data(name: str, model: Any) -> Any:
    """The data set of that name or path, its images of the model's input size."""
    from tfcompress import zoo
    from tfcompress._backend import keras as _keras

    shape = _keras.input_specs(model)[0][1]
    return zoo.load_data(name, input_shape=shape[1:])


def test_data(name: str, file: Path) -> tuple[Any, Any]:
    """Test images and labels of that data set, of the size that the `.tflite` takes."""
    from tfcompress import zoo
    from tfcompress._backend.interpreter import open_interpreter

    shape = open_interpreter(file).inputs[0].shape
    data = zoo.load_data(name, input_shape=tuple(shape[1:]))
    return data.x_test, data.y_test


def _trainer(model: Any, data: Any, epochs: int, batch_size: int, learning_rate: float) -> Any:
    from tfcompress._backend import keras as _keras
    from tfcompress.training import Fit

    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "validation_data": (data.x_val, data.y_val)}
    if not getattr(model, "compiled", getattr(model, "_is_compiled", False)):
        one = model.outputs[0].shape[-1] == 1
        loss = "binary_crossentropy" if one else "sparse_categorical_crossentropy"
        options |= {"optimizer": _keras.make_optimizer("Adam", learning_rate), "loss": loss, "metrics": ["accuracy"]}
    return Fit(data.x_train, data.y_train, **options)
