"""The engine: for each technique apply → train → strip → check, then target and parity.

It knows no technique and no target by name.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tfcompress import recipes
from tfcompress._backend import bridge as _keras
from tfcompress._backend.keras import _samples
from tfcompress._backend.progress import reporter
from tfcompress._compress._checks import (
    check_parity,
    check_rounding,
    only_rounds,
    size_warnings,
)
from tfcompress._compress._memory import release
from tfcompress._compress._untrained import require_training, untrained_warnings
from tfcompress.core import (
    Artifact,
    Check,
    DataError,
    Recipe,
    Skipped,
    SkippedError,
    Target,
    Technique,
    Training,
)
from tfcompress.core._types import Array, Data, Model, Trainer
from tfcompress.core._versions import versions
from tfcompress.training._curves import joined, recording

MOST_SAMPLES = 1000
Result = TypeVar("Result")


def compress(
    model: Model,
    recipe: Recipe | Target | str,
    fit: Trainer | None = None,
    samples: Data | None = None,
    *,
    training: bool = True,
    strict: bool = False,
    seed: int | None = None,
    progress: Callable[[str, int, int], None] | bool | None = None,
) -> Artifact:
    """Carry out `recipe` on a copy of `model` and return the checked file.

    Args:
        model: a built Sequential or Functional model of Keras 3 or tf_keras; it is left exactly
            as it was.
        recipe: a Recipe, a Target, or a recipe's name. Its rules are decided on the samples, up
            to as many as they ask for; the Artifact's recipe holds what was decided.
        fit: any `(model, callbacks) -> None`, such as `Fit` or `Distill`.
        samples: inputs [n, ...] (array, tf.data set, generator). At most 1,000 are taken, evenly
            or, of a stream, each as likely; `about["samples"]` says which. They calibrate integer
            targets and are the inputs of the parity check, which else has random ones.
        training: False carries techniques out without the training that makes up for what they
            remove; the Artifact's warnings say so. Else a technique that loses accuracy untrained
            is refused where there is no `fit`.
        strict: raise SkippedError if anything is left alone.
        seed: makes training repeatable.
        progress: called with (what, done, total); True draws a bar, None draws one on a terminal
            only.

    Raises:
        ModelError, RecipeError, DataError, TrainingError: before anything runs.
        ConversionError, InvariantError, ParityError: where the file could not be handed over.
    """
    recipe = recipes.recipe(recipe)
    fit = fit if training else None
    _keras.require_graph(model)
    require_training(recipe, fit, training)
    recipe.target.require(model)
    sampled = _sampled(model, recipe, samples, seed)
    arrays = None if sampled is None else sampled.arrays
    # Automatic names are in the file: the same work gives the same bytes, whatever the process
    # made before.
    with (
        _keras.fresh_names(),
        reporter(progress, total=3 * len(recipe.techniques) + 2, title=recipe.name) as step,
        recording() as trainings,
    ):
        run = _Run(model, recipe, fit, arrays, strict, seed, _Clock(step))
        for technique in recipe.techniques:
            run.carry_out(technique)
        data = run.convert()
    about = run.about()
    curves = joined(trainings)
    if curves:
        about["training"] = curves
    if sampled is not None:
        about["samples"] = sampled.how
    artifact = run.artifact(data, about)
    release(model)
    return artifact


def convert(
    model: Model, target: Target | str, samples: Data | None = None, *, strict: bool = False
) -> Artifact:
    """Write `model` as it is in the format of `target`, checked like any recipe's file."""
    return compress(model, target, samples=samples, strict=strict)


def _sampled(
    model: Model, recipe: Recipe, samples: Data | None, seed: int | None
) -> _samples.Sampled | None:
    """The samples, read once, since a generator can be read only once, before anything trains."""
    if recipe.target.needs_samples:
        _samples.require(model, samples, recipe.target.label)
    wanted = recipe.wanted_samples
    if samples is None:
        if wanted:
            raise DataError(
                f"{recipe} decides by what the model makes of real inputs: pass samples=, "
                f"{wanted:,} of the training set's."
            )
        return None
    sampled = _samples.sampled(model, samples, max(MOST_SAMPLES, wanted), seed or 0)
    count = len(sampled.arrays[0])
    if count < wanted:
        warnings.warn(
            f"{recipe}: its techniques look at {count:,} samples and ask for {wanted:,}; what they "
            "measure, dimensions above all, changes with their number.",
            stacklevel=3,
        )
    return sampled


@dataclass
class _Run:
    """A recipe that is being carried out: the model so far, and what was found on the way."""

    given: Model
    recipe: Recipe
    fit: Trainer | None
    samples: list[Array] | None
    strict: bool
    seed: int | None
    clock: _Clock
    skipped: list[Skipped] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    decided: list[Technique] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.model = self.given
        self._set_seed()

    def _set_seed(self) -> None:
        if self.seed is not None:
            _keras.set_seed(self.seed)

    def carry_out(self, technique: Technique) -> None:
        """Decide, apply, train, strip and check one technique."""
        # The seed is set for each technique: what it does depends on the model that it gets, not
        # on who made that one.
        self._set_seed()
        if technique.rules() and self.samples is not None:
            decide = technique.decided
            technique = self.clock(
                f"{technique.label}: decide", decide, self.model, self._inputs(self.samples)
            )
        self.decided.append(technique)
        self._note_skipped(technique.skips(self.model))
        before = self.model
        self.model = self._changed(technique)
        self.checks += technique.check(before, self.model)
        del before
        release(self.given)

    @staticmethod
    def _inputs(samples: list[Array]) -> Data:
        """Samples as the user gives them: one array, or a list of them for several inputs."""
        return samples if len(samples) > 1 else samples[0]

    def _changed(self, technique: Technique) -> Model:
        what = f"{technique.label}: apply"
        with getattr(self.fit, "scope", nullcontext)():
            if technique.wanted_samples and self.samples is not None:
                inputs = self._inputs(self.samples)
                wrapped = self.clock(what, technique.apply_to, self.model, inputs)
            else:
                wrapped = self.clock(what, technique.apply, self.model)
        if self.fit is not None and technique.training is not Training.NEVER:
            release(self.given)
            callbacks = technique.callbacks()
            self.clock(f"{technique.label}: train", self.fit, wrapped, callbacks)
            release(self.given)
        return self.clock(f"{technique.label}: strip", technique.strip, wrapped)

    def convert(self) -> bytes:
        """Write the model in the format of the target and measure the file."""
        target = self.recipe.target
        data = self.clock(f"{target.label}: convert", target.convert, self.model, self.samples)
        release(self.given)
        self._note_skipped(target.skips(self.model, data))
        self.checks += target.check(self.model, data)
        parity = self.clock(
            f"{target.label}: parity", check_parity, self.model, data, target, self.samples
        )
        self.checks.append(parity)
        if self.fit is None and only_rounds(self.recipe):
            self.checks.append(check_rounding(self.given, data, self.recipe, self.samples))
        return data

    def _note_skipped(self, skipped: tuple[Skipped, ...]) -> None:
        self.skipped += skipped
        if self.strict and self.skipped:
            lines = "\n".join(f"  {item}" for item in dict.fromkeys(self.skipped))
            raise SkippedError(f"strict=True and these were left alone:\n{lines}")

    def about(self) -> dict[str, Any]:
        """Seed, seconds a step, versions, and which model it was."""
        return {
            "seed": self.seed,
            "seconds": self.clock.seconds,
            "versions": versions(),
            "flavour": _keras.flavour(self.given),
            "model": self.given.name,
        }

    def artifact(self, data: bytes, about: dict[str, Any]) -> Artifact:
        """What is handed over; the model in it is never the user's own."""
        recipe = self.recipe
        if self.decided != list(recipe.techniques):
            recipe = replace(recipe, techniques=tuple(self.decided))
        untrained = untrained_warnings(recipe, self.fit)
        sentences = untrained + size_warnings(self.model, recipe.target, data, self.samples)
        if sentences:
            about = {**about, "warnings": sentences}
        model = self.model if self.model is not self.given else _keras.clone(self.given)
        skipped = tuple(dict.fromkeys(self.skipped))
        return Artifact(data, recipe, model, skipped, tuple(self.checks), about)


class _Clock:
    """Calls a function as one announced step and keeps how many seconds it took."""

    def __init__(self, step: Callable[[str], None]):
        self.step = step
        self.seconds: dict[str, float] = {}

    def __call__(self, what: str, function: Callable[..., Result], *arguments: object) -> Result:
        self.step(what)
        start = time.perf_counter()
        result = function(*arguments)
        self.seconds[what] = round(time.perf_counter() - start, 3)
        return result
