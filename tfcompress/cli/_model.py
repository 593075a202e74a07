"""What `compress` and `convert` do: read a model and data, run the engine, write the artifact, say what it cost."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from tfcompress.cli._loading import load_tensorflow


@dataclass(frozen=True)
class Schooling:
    """How a technique trains. `teacher`: a model's file to distil from, "self" for the model that is compressed, "" for none."""

    epochs: int
    batch_size: int
    learning_rate: float
    teacher: str
    temperature: float
    alpha: float
    attention: bool


def compress(
    path: Path,
    recipe_name: str,
    data_name: str,
    out: Path | None,
    schooling: Schooling | None,
    samples: int,
    seed: int | None,
    strict: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compress the model at `path` by a recipe's name or file, save it beside its JSON and report accuracy, before and after."""
    from tfcompress._compress import compress as run
    from tfcompress._compress import load_model
    from tfcompress.core import TrainingError, artifact_files, refuse_existing
    from tfcompress.profiling import evaluate

    recipe = read_recipe(recipe_name)
    stem = out or path.with_name(f"{path.stem}-{recipe.name}")
    if not overwrite:
        refuse_existing(artifact_files(stem))  # before the training that ends in them
    samples = max(samples, recipe.wanted_samples)
    trains = bool(data_name and schooling and schooling.epochs and recipe.techniques)
    if schooling and schooling.teacher and not trains:
        raise TrainingError(
            "--teacher: nothing trains here; give --data, at least one of --epochs, and a recipe with techniques."
        )
    load_tensorflow()
    model = load_model(path)
    data = load_data(data_name, model) if data_name else None
    fit = _trainer(model, data, schooling) if trains else None
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
    said: dict[str, Any] = {
        **artifact.to_dict(),
        "files": [str(file) for file in files],
        "model_bytes": path.stat().st_size,
    }
    if data is not None and len(data.x_test):
        said["accuracy"] = evaluate(artifact, data.x_test, data.y_test)
        said["accuracy_before"] = evaluate(run(model, "float32"), data.x_test, data.y_test)
    if as_json:
        typer.echo(json.dumps(said, indent=2, sort_keys=True))
        return
    typer.echo(str(artifact))
    if "accuracy" in said:
        typer.echo(
            f"accuracy {said['accuracy']:.4f} (before {said['accuracy_before']:.4f}, {len(data.x_test):,} test images)"
        )
    typer.echo("wrote " + ", ".join(said["files"]))


def read_recipe(name: str) -> Any:
    """The recipe of that name, or in that .json file."""
    from tfcompress import recipes
    from tfcompress.core import Recipe, RecipeError

    if not name.endswith(".json"):
        return recipes.recipe(name)
    try:
        return Recipe.from_json(Path(name).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"No recipe can be read from {name}: {error}. Recipe.to_json and `sensitivity --recipe` write one."
        ) from error


def cost_of(path: Path) -> Any:
    """What the model at `path` costs for one input."""
    from tfcompress._compress import load_model
    from tfcompress.analysis import cost

    load_tensorflow()
    return cost(load_model(path))


def load_data(name: str, model: Any) -> Any:
    """The data set of that name or path, its images of the model's input size."""
    from tfcompress import zoo
    from tfcompress._backend import bridge as _keras

    shape = _keras.input_specs(model)[0][1]
    return zoo.load_data(name, input_shape=shape[1:])


def test_data(name: str, file: Path) -> tuple[Any, Any]:
    """Test images and labels of that data set, of the size that the `.tflite` takes."""
    from tfcompress import zoo
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    shape = open_interpreter(file).inputs[0].shape
    data = zoo.load_data(name, input_shape=tuple(shape[1:]))
    return data.x_test, data.y_test


def _trainer(model: Any, data: Any, schooling: Schooling) -> Any:
    """Fit, or Distill where there is a teacher."""
    from tfcompress._backend import bridge as _keras
    from tfcompress._compress import load_model
    from tfcompress.training import Distill, Fit

    options: dict[str, Any] = {"epochs": schooling.epochs, "batch_size": schooling.batch_size}
    options["validation_data"] = data.x_val, data.y_val
    optimizer = _keras.make_optimizer("Adam", schooling.learning_rate)
    if schooling.teacher:
        options |= {
            "temperature": schooling.temperature,
            "alpha": schooling.alpha,
            "optimizer": optimizer,
        }
        teacher = model if schooling.teacher == "self" else load_model(Path(schooling.teacher))
        return Distill(
            teacher,
            data.x_train,
            data.y_train,
            attention="auto" if schooling.attention else None,
            **options,
        )
    if not getattr(model, "compiled", getattr(model, "_is_compiled", False)):
        one = model.outputs[0].shape[-1] == 1
        loss = "binary_crossentropy" if one else "sparse_categorical_crossentropy"
        options |= {"optimizer": optimizer, "loss": loss, "metrics": ["accuracy"]}
    return Fit(data.x_train, data.y_train, **options)
