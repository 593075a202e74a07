"""Parity: the number is the relative L2 error of the worst output; anything that cannot be compared is an error."""

import numpy as np
import pytest

from tfcompress._backend.interpreter._parity import relative_error
from tfcompress.core import ParityError

ONES = np.ones((4, 2))


def test_is_the_relative_norm_of_the_worst_output():
    # ‖(3, 4)‖ = 5 against ‖0.3, 0.4‖ = 0.5
    assert relative_error(
        [np.array([[3.0, 4.0]]), ONES], [np.array([[3.3, 4.4]]), ONES], bound=1, what="f"
    ) == pytest.approx(0.1)


def test_zero_output_compares_in_absolute_terms():
    assert relative_error(
        [np.zeros((1, 4))], [np.full((1, 4), 1e-8)], bound=1, what="f"
    ) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("reference", "outputs", "message"),
    [
        ([ONES], [ONES, ONES], r"int8: the file has 2 outputs, the Keras model 1"),
        ([ONES], [np.ones((4, 3))], r"shape \(4, 3\) in the file and \(4, 2\) in the Keras model"),
        ([ONES], [ONES * np.nan], r"output of the file is NaN in 8 of 8 places"),
        ([ONES], [ONES * np.inf], r"output of the file is infinite in 8 of 8 places"),
        ([ONES * np.nan], [ONES], r"of the Keras model itself is NaN"),
        (
            [ONES, ONES],
            [ONES, ONES * 2],
            r"int8: output 1 differs .* by 1 of its norm over 4 inputs, bound 0\.5 \(largest difference 1",
        ),
        (
            [np.eye(4)],
            [np.eye(4)[::-1]],
            r"same largest class in 0%\).*Calibrate with samples like those seen in training",
        ),
    ],
)
def test_what_cannot_pass(reference, outputs, message):
    with pytest.raises(ParityError, match=message):
        relative_error(reference, outputs, bound=0.5, what="int8")
