"""`compress` and `convert`: a model through a recipe, its file beside what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer

from tfcompress.cli import _inputs, _options, _output, _training
from tfcompress.core import Artifact, Recipe, artifact_files
from tfcompress.core._types import Array, Model, Trainer
from tfcompress.core._verdict import chance_warning, loss_warning

if TYPE_CHECKING:
    from tfcompress.zoo import Data


def compress(
    model: _options.ModelFile,
    recipe: _options.RecipeName = "int8",
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    out: _options.Stem = None,
    epochs: _options.Epochs = 3,
    training: _options.Training = True,
    batch_size: _options.BatchSize = 32,
    learning_rate: _options.LearningRate = None,
    teacher: _options.Teacher = "",
    temperature: _options.Temperature = 4.0,
    alpha: _options.Alpha = 0.9,
    attention: _options.Attention = False,
    samples: _options.Samples = 200,
    metric: _options.Metric = "",
    seed: _options.Seed = 0,
    strict: _options.Strict = False,
    trust: _options.Trust = False,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """Compress a trained model by a recipe."""
    how = _training.TrainingOptions(
        epochs, batch_size, learning_rate, teacher, temperature, alpha, attention, training
    )
    job = Job(model, data, scale, samples, metric, seed, strict, trust, overwrite)
    run(job, _inputs.read_recipe(recipe), out, how, as_json=as_json)


def convert(
    model: _options.ModelFile,
    target: _options.TargetName = "float32",
    data: _options.DataName = "",
    scale: _options.ScaleOption = "auto",
    out: _options.Stem = None,
    samples: _options.Samples = 200,
    metric: _options.Metric = "",
    strict: _options.Strict = False,
    trust: _options.Trust = False,
    overwrite: _options.Overwrite = False,
    as_json: _options.Json = False,
) -> None:
    """Convert a model as it is: no training, only another number format."""
    job = Job(model, data, scale, samples, metric, None, strict, trust, overwrite)
    run(job, _inputs.read_recipe(target), out, None, as_json=as_json)


@dataclass(frozen=True)
class Job:
    """The options that `compress` and `convert` have in common."""

    path: Path
    data_name: str
    scale: str
    samples: int
    metric: str
    seed: int | None
    strict: bool
    trust: bool
    overwrite: bool


@dataclass(frozen=True)
class Scores:
    """What a file answers on test images, before and after, under the metric's name."""

    metric: str
    before: float
    after: float
    examples: int

    def warnings(self, labels: Array, base: str) -> list[str]:
        """A sentence where the base is at chance level, or the file far below it."""
        if self.metric != "accuracy":
            return []
        sentences = [
            chance_warning(self.before, labels),
            loss_warning(self.after, self.before, base),
        ]
        return [sentence for sentence in sentences if sentence]


def run(
    job: Job,
    recipe: Recipe,
    out: Path | None,
    how: _training.TrainingOptions | None,
    *,
    as_json: bool,
) -> None:
    """Compress the model, save it beside its JSON, and report the metric before and after."""
    stem = out or job.path.with_name(f"{job.path.stem}-{recipe.name}")
    _require_inputs(job, recipe)
    trains = _training.trains(recipe, job.data_name, how)
    _output.require_writable(artifact_files(stem), overwrite=job.overwrite)
    model = _inputs.read_model(job.path, trust=job.trust)
    data = scale = fit = None
    if job.data_name:
        data, scale = _inputs.data_for_model(job.data_name, model, job.scale)
    if trains and how is not None and data is not None:
        fit = _training.make_trainer(model, data, how, trust=job.trust)
    with _output.stopped_means("nothing was written"):
        artifact, scores = _compressed(job, recipe, model, data, fit)
    if scale is not None:
        artifact = _with_facts(artifact, input_scale=scale.reason)
    files = artifact.save(stem, overwrite=job.overwrite)
    _output.warn(artifact.warnings)
    if as_json:
        _output.print_json(_as_dict(artifact, scores, files, job.path))
    else:
        _print(artifact, scores, files)


def _require_inputs(job: Job, recipe: Recipe) -> None:
    """What must be there is there: the model's file, and data where the recipe needs them."""
    _inputs.require_model_file(job.path)
    _inputs.scale_divisor(job.scale)
    if recipe.target.needs_samples or recipe.wanted_samples or job.data_name:
        _inputs.require_data(job.data_name, f"{recipe.name} needs samples of real inputs")


def _compressed(
    job: Job, recipe: Recipe, model: Model, data: Data | None, fit: Trainer | None
) -> tuple[Artifact, Scores | None]:
    """The artifact, with warnings, and its scores where there are labels."""
    from tfcompress._backend.interpreter._file import runtime_for
    from tfcompress._compress import compress as carry_out
    from tfcompress.profiling import evaluate

    samples = max(job.samples, recipe.wanted_samples)
    measured = data is not None and len(data.x_test) > 0
    metric = job.metric or _default_metric(data)
    before = 0.0
    if measured and data is not None:  # an unknown metric is an error before any training
        base = carry_out(model, "float32", progress=False)
        before = evaluate(base, data.x_test, data.y_test, metric=metric)
    artifact = carry_out(
        model,
        recipe,
        fit=fit,
        samples=data.x_train[:samples] if data is not None else None,
        training=fit is not None,
        strict=job.strict,
        seed=job.seed,
    )
    if not measured or data is None:
        return artifact, None
    runtime = runtime_for(artifact.data)
    after = evaluate(artifact, data.x_test, data.y_test, metric=metric, runtime=runtime)
    scores = Scores(metric, before, after, len(data.x_test))
    warnings = [*artifact.warnings, *scores.warnings(data.y_test, "the model")]
    artifact = _with_facts(artifact, measured=asdict(scores))
    return _with_facts(artifact, warnings=warnings) if warnings else artifact, scores


def _default_metric(data: Data | None) -> str:
    """Accuracy for class labels, the mean squared error for values."""
    if data is None or np.issubdtype(data.y_test.dtype, np.integer):
        return "accuracy"
    return "mse"


def _with_facts(artifact: Artifact, **facts: object) -> Artifact:
    return replace(artifact, about={**artifact.about, **facts})


def _as_dict(
    artifact: Artifact, scores: Scores | None, files: Sequence[Path], path: Path
) -> dict[str, object]:
    facts: dict[str, object] = {
        **artifact.to_dict(),
        "files": [str(file) for file in files],
        "model_bytes": path.stat().st_size,
        "warnings": list(artifact.warnings),
    }
    if scores is not None:
        facts[scores.metric] = scores.after
        facts[f"{scores.metric}_before"] = scores.before
    return facts


def _print(artifact: Artifact, scores: Scores | None, files: Sequence[Path]) -> None:
    typer.echo(str(artifact))
    if scores is not None:
        typer.echo(
            f"{scores.metric} {scores.after:.4f} (before {scores.before:.4f}, "
            f"{scores.examples:,} test images)"
        )
    typer.echo("wrote " + ", ".join(str(file) for file in files))
