"""Parity: whether a written file gives what the Keras model gives, in one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfcompress.core._errors import ParityError


def relative_error(
    reference: Sequence[np.ndarray], outputs: Sequence[np.ndarray], *, bound: float, what: str
) -> float:
    """max over the model's outputs of ‖file − Keras‖₂ / ‖Keras‖₂, each over all parity inputs and elements.

    `reference` and `outputs` are the Keras model's and the file's real-valued outputs [n, ...] in the same order; `what`
    names the file in messages. A reference below 1e-6 per element counts as that much, so that a zero output compares.
    Raises ParityError: another number of outputs, other shapes, NaN or infinity, or an error of `bound` or more.
    """
    if len(reference) != len(outputs):
        raise ParityError(
            f"{what}: the file has {len(outputs)} outputs, the Keras model {len(reference)}."
        )
    worst = 0.0
    for number, (wanted, came) in enumerate(zip(reference, outputs)):
        where = f"{what}: output {number}" if len(outputs) > 1 else f"{what}: the output"
        wanted, came = np.asarray(wanted, np.float64), np.asarray(came, np.float64)
        if wanted.shape != came.shape:
            raise ParityError(
                f"{where} has shape {came.shape} in the file and {wanted.shape} in the Keras model."
            )
        if not np.isfinite(wanted).all():
            raise ParityError(
                f"{where} of the Keras model itself is {_not_finite(wanted)} on the parity inputs; nothing can be compared."
            )
        if not np.isfinite(came).all():
            raise ParityError(
                f"{where} of the file is {_not_finite(came)}; the Keras model's is finite."
            )
        scale = max(np.linalg.norm(wanted), 1e-6 * np.sqrt(wanted.size))
        error = float(np.linalg.norm(came - wanted) / scale) if wanted.size else 0.0
        if error >= bound:
            raise ParityError(
                f"{where} differs from the Keras model's by {error:.3g} of its norm over {len(wanted)} inputs, bound {bound:g}"
                f" (largest difference {np.abs(came - wanted).max():.4g}{_agreement(wanted, came)})."
                " Calibrate with samples like those seen in training, train with QuantizeAware, or take Int16x8, DynamicRange or Float16."
            )
        worst = max(worst, error)
    return worst


def _not_finite(values: np.ndarray) -> str:
    nans = int(np.isnan(values).sum())
    return (
        f"NaN in {nans} of {values.size} places"
        if nans
        else f"infinite in {int(np.isinf(values).sum())} of {values.size} places"
    )


def _agreement(wanted: np.ndarray, came: np.ndarray) -> str:
    if wanted.ndim != 2 or wanted.shape[1] < 2:
        return ""
    return f"; same largest class in {np.mean(wanted.argmax(1) == came.argmax(1)):.0%}"
