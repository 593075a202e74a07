"""The engine: for each technique apply → train → strip → check, then the target, then parity. It knows no member by name."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tfcompress import recipes
from tfcompress._backend import bridge as _keras
from tfcompress._backend import tfmot as _tfmot
from tfcompress._backend.interpreter import _parity as _parity
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.keras import _samples as _samples
from tfcompress._backend.progress import reporter
from tfcompress._backend.tflite import _precision as _precision
from tfcompress.core import (
    Artifact,
    Check,
    DataError,
    ModelError,
    Recipe,
    Skipped,
    SkippedError,
    Target,
    Technique,
    Training,
    TrainingError,
)
from tfcompress.core._types import Model, Trainer

PARITY_INPUTS = 16
MOST_SAMPLES = 1000
FAKE_QUANT_ERROR = 0.1


def compress(
    model: Any,
    recipe: Recipe | Target | str,
    fit: Callable[[Any, list], None] | None = None,
    samples: Any = None,
    *,
    training: bool = True,
    strict: bool = False,
    seed: int | None = None,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> Artifact:
    """Carry out `recipe` (a Recipe, a Target, or a recipe's name) on a copy of `model` and return the checked file.

    `model` is a built Sequential or Functional model of Keras 3 or tf_keras; it is left exactly as it was.
    `fit` is any `(model, callbacks) -> None`, such as `Fit` or `Distill`; `samples` [n, ...] (array, tf.data, generator; at
    most 1,000 are taken, evenly) calibrate integer targets and are the inputs of the parity check (else random ones are).
    `training=False` carries techniques out without the training that makes up for what they remove; the Artifact's warnings
    say so. Without it, a technique that loses accuracy untrained is refused where there is no `fit`.
    Rules in the recipe are decided on the samples (up to as many as they ask for); the Artifact's recipe holds what was decided.
    `strict` raises SkippedError if anything is left alone; `seed` makes training repeatable; `progress` is called with
    (what, done, total), True draws a bar, None draws one on a terminal only.

    Raises ModelError, RecipeError, DataError, TrainingError, ConversionError, InvariantError, ParityError.
    """
    recipe = recipes.recipe(recipe)
    _keras.require_graph(model)
    fit = fit if training else None
    require_training(recipe, fit, training)
    if recipe.target.needs_samples:
        _samples.require(model, samples, recipe.target.label)
    wanted = recipe.wanted_samples
    if wanted and samples is None:
        raise DataError(
            f"{recipe} decides by what the model makes of real inputs: pass samples=, {wanted:,} of the training set's."
        )
    if (
        samples is not None
    ):  # read once, since a generator can be read only once, and checked before anything is trained
        samples = _samples.as_samples(model, samples, max(MOST_SAMPLES, wanted))
        if len(samples[0]) < wanted:
            few = f"{recipe}: decided on {len(samples[0]):,} samples; its rules ask for {wanted:,}, and dimensions grow with their number."
            warnings.warn(few, stacklevel=2)
    if seed is not None:
        _keras.set_seed(seed)
    skipped: list[Skipped] = []
    checks: list[Check] = []
    work, target, decided = model, recipe.target, []
    # Automatic names are in the file: the same work gives the same bytes, whatever the process made before.
    with (
        _keras.fresh_names(),
        reporter(progress, total=3 * len(recipe.techniques) + 2, title=recipe.name) as step,
    ):
        clock = _Clock(step)
        for technique in recipe.techniques:
            if (
                seed is not None
            ):  # anew for each technique: what it does depends on the model it gets, not on who made that one
                _keras.set_seed(seed)
            if technique.rules():
                given = samples if len(samples) > 1 else samples[0]  # type: ignore[arg-type]
                technique = clock(f"{technique.label}: decide", technique.decided, work, given)
            decided.append(technique)
            skipped += technique.skips(work)
            _refuse_skipped(skipped, strict)
            before, work = work, _carry_out(technique, work, fit, clock)
            checks += technique.check(before, work)
        data = clock(f"{target.label}: convert", target.convert, work, samples)
        skipped += target.skips(work, data)
        _refuse_skipped(skipped, strict)
        checks += target.check(work, data)
        checks.append(clock(f"{target.label}: parity", _check_parity, work, data, target, samples))
    seconds = clock.seconds
    if decided != list(recipe.techniques):
        recipe = replace(recipe, techniques=tuple(decided))
    about = {
        "seed": seed,
        "seconds": seconds,
        "versions": _versions(),
        "flavour": _keras.flavour(model),
        "model": model.name,
    }
    if untrained := untrained_warnings(recipe, fit):
        about["warnings"] = untrained
    final = work if work is not model else _keras.clone(model)
    return Artifact(data, recipe, final, tuple(dict.fromkeys(skipped)), tuple(checks), about)


def require_training(recipe: Recipe, fit: Trainer | None, training: bool) -> None:
    """TrainingError where a technique of `recipe` needs training to keep accuracy and nothing would train.

    `training=False` says that this is meant; what cannot be made without training is refused all the same.
    """
    if fit is not None:
        return
    for technique in recipe.techniques:
        if technique.training is Training.REQUIRED:
            raise TrainingError(
                f"{technique.label} needs training: pass fit=Fit(x_train, y_train, ...) to compress()."
            )
        if technique.training is Training.OPTIONAL and training:
            raise TrainingError(
                f"{technique.label} loses accuracy without training: pass fit=Fit(x_train, y_train, ...), "
                f"or training=False where the untrained file is wanted."
            )


def untrained_warnings(recipe: Recipe, fit: Trainer | None) -> list[str]:
    """One sentence for every technique of `recipe` that is trained elsewhere and was not here."""
    if fit is not None:
        return []
    return [
        f"{technique.label} was not trained (training=False): nothing made up for what it removed"
        for technique in recipe.techniques
        if technique.training is not Training.NEVER
    ]


def convert(
    model: Any, target: Target | str, samples: Any = None, *, strict: bool = False
) -> Artifact:
    """Write `model` as it is in the format of `target` (a Target or its name), checked like any recipe's file."""
    return compress(model, target, samples=samples, strict=strict)


def load_model(path: str | Path, *, trusted: bool = False) -> Model:
    """The Keras model in a `.keras` or `.h5` file or SavedModel folder, quantization-aware too.

    Args:
        path: the file or folder.
        trusted: whether Python code in the file may run. A Lambda layer holds such code, and it
            can do anything that you can; without `trusted`, such a file is refused.

    Raises:
        ModelError: there is no such file, it cannot be read, or it asks for code to be run.
    """
    try:
        return _keras.load_model(path, trusted=trusted)
    except ModelError:
        if not Path(path).exists():
            raise
        # What QuantizeAware wraps can be read only with TFMOT's classes at hand.
        with _tfmot.quantize_scope():
            return _keras.load_model(path, trusted=trusted)


def _carry_out(technique: Technique, model: Any, fit: Any, clock: _Clock) -> Any:
    with getattr(fit, "scope", nullcontext)():
        wrapped = clock(f"{technique.label}: apply", technique.apply, model)
    if fit is not None and technique.training is not Training.NEVER:
        clock(f"{technique.label}: train", fit, wrapped, technique.callbacks())
    return clock(f"{technique.label}: strip", technique.strip, wrapped)


class _Clock:
    """Calls a function as one announced step and keeps how many seconds it took."""

    def __init__(self, step: Callable[[str], None]):
        self.step, self.seconds = step, {}

    def __call__(self, what: str, function: Callable, *arguments: Any) -> Any:
        self.step(what)
        start = time.perf_counter()
        result = function(*arguments)
        self.seconds[what] = round(time.perf_counter() - start, 3)
        return result


def _check_parity(model: Any, data: bytes, target: Target, samples: Any) -> Check:
    inputs = _samples.take(model, samples, PARITY_INPUTS)
    reference = _keras.predict(model, inputs)
    outputs = open_interpreter(data).predict(inputs)
    bound = target.max_relative_error
    if _precision.is_quantization_aware(
        model
    ):  # a last bit in front of a rounding flips a step behind it, in any format
        bound = max(bound, FAKE_QUANT_ERROR)
    error = _parity.relative_error(reference, outputs, bound=bound, what=target.label)
    return Check(
        target.label, "relative error of the file's outputs to the Keras model's", error, bound
    )


def _refuse_skipped(skipped: list[Skipped], strict: bool) -> None:
    if strict and skipped:
        raise SkippedError(
            "strict=True and these were left alone:\n"
            + "\n".join(f"  {item}" for item in dict.fromkeys(skipped))
        )


def _versions() -> dict[str, str]:
    out = {}
    for name in (
        "tfcompress",
        "tensorflow",
        "keras",
        "tf_keras",
        "tensorflow-model-optimization",
        "ai-edge-litert",
        "numpy",
    ):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "not installed"
    return out
