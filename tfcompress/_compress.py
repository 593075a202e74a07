"""The engine: for each technique apply → train → strip → check, then the target, then parity. It knows no member by name."""

from __future__ import annotations

import math
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
from tfcompress._backend.tflite import _converter as _converter
from tfcompress._backend.tflite import _precision as _precision
from tfcompress.core import (
    Artifact,
    Check,
    DataError,
    ModelError,
    Recipe,
    Skipped,
    SkippedError,
    Stage,
    Target,
    Technique,
    Training,
    TrainingError,
)
from tfcompress.core._types import Data, Model, Trainer
from tfcompress.training._curves import joined, recording

PARITY_INPUTS = 64
FEWEST_PARITY_INPUTS = 16
"""Where one input is large, so few are compared: as many as PARITY_VALUES input values make up."""
PARITY_VALUES = 2**22
MOST_SAMPLES = 1000
FAKE_QUANT_ERROR = 0.1
HALF_PRECISION_ERROR = 0.02
FLOAT32_BYTES = 4


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
    most 1,000 are taken, evenly or, of a stream, each as likely; `about["samples"]` says which) calibrate integer targets and are the inputs of the parity check (else random ones are).
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
    sampled = None
    if (
        samples is not None
    ):  # read once, since a generator can be read only once, and checked before anything is trained
        sampled = _samples.sampled(model, samples, max(MOST_SAMPLES, wanted), seed or 0)
        samples = sampled.arrays
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
        recording() as trainings,
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
        if fit is None and _only_rounds(recipe):
            checks.append(_check_rounding(model, data, recipe, samples))
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
    if curves := joined(trainings):
        about["training"] = curves
    if sampled is not None:
        about["samples"] = sampled.how
    if said := untrained_warnings(recipe, fit) + _size_warnings(work, target, data, samples):
        about["warnings"] = said
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


def _check_parity(model: Model, data: bytes, target: Target, samples: Data) -> Check:
    """The file against the model it was written from, on the samples or on random inputs."""
    inputs = _samples.take(model, samples, _parity_inputs(model))
    interpreter = open_interpreter(data)
    bound = target.max_relative_error if samples is not None else target.max_error_on_noise
    if _precision.is_quantization_aware(model):
        # The last bit in front of a rounding flips a step behind it, in any format.
        bound = max(bound, FAKE_QUANT_ERROR)
    if _precision.is_half_precision(model):
        bound = max(bound, HALF_PRECISION_ERROR)
    parity = _parity.check_parity(
        _keras.predict(model, inputs),
        interpreter.predict(inputs),
        bound=bound,
        differing=target.max_differing_decisions if samples is not None else 1.0,
        spread=_parity.SMALLEST_SPREAD if samples is not None else _parity.SPREAD_OF_NOISE,
        what=target.label,
        steps=interpreter.output_steps(),
    )
    return Check(target.label, _parity.describe(parity), parity.error, bound)


def _only_rounds(recipe: Recipe) -> bool:
    """Whether every technique of an untrained recipe only moves weights to nearby values."""
    stages = [technique.stage for technique in recipe.techniques]
    return bool(stages) and min(stages) >= Stage.SHARING


def _check_rounding(model: Model, data: bytes, recipe: Recipe, samples: Data) -> Check:
    """The file against the user's own model; a warning where one constant would be as near."""
    inputs = _samples.take(model, samples, _parity_inputs(model))
    parity = _parity.compare(
        _keras.predict(model, inputs), open_interpreter(data).predict(inputs), what=recipe.name
    )
    if parity.error >= 1:
        decided = f" ({parity.decisions})" if parity.decisions else ""
        warnings.warn(
            f"{recipe.name}: rounded without training, the file is off the model given by"
            f" {parity.error:.3g} of its spread{decided}, as far as one constant answer."
            " Pass fit= to train meanwhile, or round less.",
            stacklevel=3,
        )
    what = _parity.describe(parity).replace("the Keras model's", "those of the model given")
    return Check(recipe.name, what, parity.error, 1.0)


def _size_warnings(model: Model, target: Target, data: bytes, samples: Data) -> list[str]:
    """What is said of a file that is larger than the same model in float32."""
    if len(data) <= FLOAT32_BYTES * model.count_params():
        return []
    plain = len(_converter.convert(model, _converter.Format("float32"), samples))
    if len(data) <= plain:
        return []
    text = (
        f"{target.label}: the file has {len(data):,} bytes, more than the {plain:,} of the same"
        " model in float32. Formats pay for large weights; a recurrent layer written out step by"
        " step has operators of every step (see Int8's lstm, or take DynamicRange)."
    )
    warnings.warn(text, stacklevel=3)
    return [text]


def _parity_inputs(model: Model) -> int:
    """How many inputs are compared: fewer where one of them is large."""
    shapes = [shape[1:] for _, shape, _ in _keras.input_specs(model)]
    values = sum(math.prod(size or 1 for size in shape) for shape in shapes)
    return int(min(PARITY_INPUTS, max(FEWEST_PARITY_INPUTS, PARITY_VALUES // max(values, 1))))


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
