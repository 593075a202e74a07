"""Parity: whether a written file gives what the Keras model gives, as numbers and decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tfcompress.core._errors import ParityError
from tfcompress.core._types import Array

SMALLEST_SPREAD = 0.1
"""A model whose outputs vary over the inputs by less than this share of their norm is compared
with that share: untrained networks give nearly one answer, with 8-bit noise in all of it."""
SPREAD_OF_NOISE = 1.0
"""The same where the inputs are random: a trained network hardly tells them apart, so that the
error is relative to the norm."""
SMALLEST_VALUE = 1e-6
"""Outputs count as at least this much per element, so that an output of zeros can be compared."""
CLEAR_MARGIN = 0.1
"""How far the largest probability must lie above the second for an input to be clearly decided."""
FEW_DIFFERING = 2
"""So many clearly decided inputs may differ whatever their share: a few inputs give no share."""
WAYS_OUT = (
    "Calibrate with samples like those seen in training, train with QuantizeAware,"
    " or take Int16x8, DynamicRange or Float16."
)


@dataclass(frozen=True)
class Decisions:
    """How often the largest class is the same: `same` of `count`; `clear_differing` of the
    `clear` ones, in which the model's largest probability leads by CLEAR_MARGIN, differ."""

    count: int
    same: int
    clear: int
    clear_differing: int

    @property
    def differing(self) -> float:
        """The share of the clearly decided that differ; 0 where none is clearly decided."""
        return self.clear_differing / self.clear if self.clear else 0.0

    def __str__(self) -> str:
        return f"same decision in {self.same:,} of {self.count:,}"


@dataclass(frozen=True)
class Parity:
    """What a comparison measured: the worst output's `error`, and `decisions` if it makes any."""

    error: float
    decisions: Decisions | None = None

    @property
    def differing(self) -> float:
        """The share of clearly decided inputs that are decided otherwise; 0 without decisions."""
        return self.decisions.differing if self.decisions else 0.0


def compare(
    reference: Sequence[Array],
    outputs: Sequence[Array],
    *,
    what: str,
    spread: float = SMALLEST_SPREAD,
) -> Parity:
    """The parity of a file's `outputs` [n, ...] with the Keras model's `reference`, in its order.

    error = max over the outputs of ‖file − Keras‖ / ‖Keras − its mean over the inputs‖, with
    Frobenius norms over all inputs and elements: a file that ignores its input has an error of 1,
    whatever the mean. The divisor is at least `spread` · ‖Keras‖, and ‖Keras‖ for one input alone
    and for distributions.
    The decisions are those of the output with the largest share of differing ones.

    Raises ParityError where nothing can be compared: another number of outputs, other shapes, NaN
    or infinity. `what` names the file in messages.
    """
    errors, decisions = [0.0], []
    for _, wanted, came in _pairs(reference, outputs, what):
        errors.append(_error(wanted, came, spread))
        decided = _decisions(wanted, came)
        if decided is not None:
            decisions.append(decided)
    worst = max(decisions, key=lambda decided: decided.differing, default=None)
    return Parity(max(errors), worst)


def check_parity(
    reference: Sequence[Array],
    outputs: Sequence[Array],
    *,
    bound: float,
    differing: float = 1.0,
    what: str,
    spread: float = SMALLEST_SPREAD,
    steps: Sequence[float] = (),
) -> Parity:
    """`compare`, and ParityError where an output is off by `bound` or decides otherwise too often.

    Args:
        reference, outputs: the Keras model's and the file's outputs, each [n, ...], real numbers.
        bound: the error that no output may reach.
        differing: the share of clearly decided inputs that may be decided otherwise.
        what: names the file in messages.
        spread: the least that the outputs count as varying over the inputs, of their norm.
        steps: the distance of two neighbouring values of each output of an integer file, 0 where
            it is float; only for the message.
    """
    parity = compare(reference, outputs, what=what, spread=spread)
    for number, wanted, came in _pairs(reference, outputs, what):
        where = _where(what, number, len(outputs))
        error, decided = _error(wanted, came, spread), _decisions(wanted, came)
        step = steps[number] if number < len(steps) else 0.0
        if error >= bound:
            raise ParityError(_off_message(where, wanted, came, error, bound, step))
        if decided is None:
            continue
        if decided.clear_differing > max(FEW_DIFFERING, differing * decided.clear):
            raise ParityError(
                f"{where} decides {decided.clear_differing} of {decided.clear} inputs otherwise"
                f" that the Keras model decides clearly, allowed are {differing:.0%} ({decided};"
                f" relative error {error:.3g}). {WAYS_OUT}"
            )
    return parity


def describe(parity: Parity) -> str:
    """What the number of a Check is, with the decisions beside it."""
    decided = f" ({parity.decisions})" if parity.decisions else ""
    return f"relative error of the file's outputs to the Keras model's{decided}"


def _pairs(
    reference: Sequence[Array], outputs: Sequence[Array], what: str
) -> Iterator[tuple[int, Array, Array]]:
    """(number, the model's output, the file's) in double precision; ParityError if they differ
    in number or shape, or are not finite."""
    if len(reference) != len(outputs):
        raise ParityError(
            f"{what}: the file has {len(outputs)} outputs, the Keras model {len(reference)}."
        )
    for number, (wanted, came) in enumerate(zip(reference, outputs)):
        where = _where(what, number, len(outputs))
        wanted, came = np.asarray(wanted, np.float64), np.asarray(came, np.float64)
        if wanted.shape != came.shape:
            raise ParityError(
                f"{where} has shape {came.shape} in the file and {wanted.shape} in the Keras model."
            )
        if not np.isfinite(wanted).all():
            raise ParityError(
                f"{where} of the Keras model itself is {_not_finite(wanted)} on the parity inputs;"
                " nothing can be compared."
            )
        if not np.isfinite(came).all():
            raise ParityError(
                f"{where} of the file is {_not_finite(came)}; the Keras model's is finite."
            )
        yield number, wanted, came


def _where(what: str, number: int, count: int) -> str:
    return f"{what}: output {number}" if count > 1 else f"{what}: the output"


def _error(wanted: Array, came: Array, least: float) -> float:
    if not wanted.size:
        return 0.0
    if _decisions(wanted, came) is not None:
        # Where nearly all inputs are of one class, one flipped decision is as large as the spread;
        # and a distribution has no large mean that a constant could hide behind.
        least = 1.0
    norm = float(np.linalg.norm(wanted))
    spread = norm if len(wanted) == 1 else float(np.linalg.norm(wanted - wanted.mean(axis=0)))
    scale = max(spread, least * norm, SMALLEST_VALUE * np.sqrt(wanted.size))
    return float(np.linalg.norm(came - wanted)) / scale


def _decisions(wanted: Array, came: Array) -> Decisions | None:
    """The decisions of an output that is a distribution over its last axis; None for another."""
    if wanted.ndim < 2 or not wanted.size or wanted.min() < 0 or wanted.max() > 1:
        return None
    if wanted.shape[-1] == 1:  # the probability of one of two classes
        wanted = np.concatenate([wanted, 1 - wanted], axis=-1)
        came = np.concatenate([came, 1 - came], axis=-1)
    if not np.allclose(wanted.sum(axis=-1), 1, atol=1e-2):
        return None
    ordered = np.sort(wanted, axis=-1)
    clear = ordered[..., -1] - ordered[..., -2] >= CLEAR_MARGIN
    same = wanted.argmax(axis=-1) == came.argmax(axis=-1)
    return Decisions(same.size, int(same.sum()), int(clear.sum()), int((clear & ~same).sum()))


def _off_message(
    where: str, wanted: Array, came: Array, error: float, bound: float, step: float
) -> str:
    largest = float(np.abs(wanted).max())
    if step and largest < step:
        return (
            f"{where} of the Keras model stays below {largest:.3g}, less than one step of the"
            f" file's integers ({step:.3g}): the file cannot tell its values apart. Give the model"
            " trained weights, or let it return logits instead of probabilities."
        )
    decided = _decisions(wanted, came)
    agreement = f"; {decided}" if decided else ""
    return (
        f"{where} differs from the Keras model's by {error:.3g} of its spread over"
        f" {len(wanted)} inputs, bound {bound:g}"
        f" (largest difference {np.abs(came - wanted).max():.4g}{agreement}). {WAYS_OUT}"
    )


def _not_finite(values: Array) -> str:
    nans = int(np.isnan(values).sum())
    if nans:
        return f"NaN in {nans} of {values.size} places"
    return f"infinite in {int(np.isinf(values).sum())} of {values.size} places"
