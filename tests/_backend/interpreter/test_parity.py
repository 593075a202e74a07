"""Parity: the error is centred, decisions are counted, and what cannot be compared is an error."""

import numpy as np
import pytest

from tfcompress._backend.interpreter._parity import check_parity, compare, describe
from tfcompress.core import ParityError

ONES = np.ones((4, 2))
NORMAL = np.random.default_rng(0).standard_normal((64, 3))


def probabilities(logits):
    raised = np.exp(logits)
    return raised / raised.sum(1, keepdims=True)


def test_is_the_relative_norm_of_the_worst_output():
    # One input has no spread: ‖(3, 4)‖ = 5 against ‖(0.3, 0.4)‖ = 0.5.
    wanted, came = [np.array([[3.0, 4.0]]), ONES[:1]], [np.array([[3.3, 4.4]]), ONES[:1]]
    assert compare(wanted, came, what="f").error == pytest.approx(0.1)


def test_zero_output_compares_in_absolute_terms():
    parity = compare([np.zeros((1, 4))], [np.full((1, 4), 1e-8)], what="f")
    assert parity.error == pytest.approx(0.01)


@pytest.mark.parametrize(("mean", "bound"), [(3, 0.25), (8, 0.1), (150, 0.01)])
def test_a_file_that_ignores_its_input_cannot_pass_whatever_the_mean(mean, bound):
    wanted = mean + NORMAL
    constant = np.broadcast_to(wanted.mean(0), wanted.shape)
    with pytest.raises(ParityError, match="of its spread over 64 inputs"):
        check_parity([wanted], [constant], bound=bound, what="int8")


def test_a_file_that_ignores_its_input_has_an_error_of_one():
    wanted = 3 + NORMAL
    constant = np.broadcast_to(wanted.mean(0), wanted.shape)
    assert compare([wanted], [constant], what="f").error == pytest.approx(1)
    assert compare([wanted], [2 * constant - wanted], what="f").error == pytest.approx(2)


def test_decisions_are_counted_where_the_output_is_a_distribution():
    wanted = probabilities(4 * NORMAL)
    came = wanted.copy()
    came[:3] = came[:3, ::-1]
    parity = compare([wanted], [came], what="f")
    differ = int(np.sum(wanted.argmax(1) != came.argmax(1)))
    assert parity.decisions is not None
    assert (parity.decisions.count, parity.decisions.same) == (64, 64 - differ)
    assert describe(parity).endswith(f"(same decision in {64 - differ} of 64)")
    assert compare([4 * NORMAL], [4 * NORMAL], what="f").decisions is None


def test_the_probability_of_one_of_two_classes_is_a_decision():
    wanted = np.array([[0.9], [0.2], [0.52], [0.7]])
    decisions = compare([wanted], [wanted - 0.3], what="f").decisions
    assert decisions is not None
    assert (decisions.count, decisions.same, decisions.clear, decisions.clear_differing) == (
        4,
        2,
        3,
        1,
    )


def test_clear_decisions_that_differ_are_an_error_though_the_error_is_small():
    wanted = np.tile([[0.56, 0.44]], (64, 1))
    came = wanted.copy()
    came[:8] = [0.49, 0.51]
    with pytest.raises(ParityError, match=r"decides 8 of 64 inputs otherwise .* allowed are 10%"):
        check_parity([wanted], [came], bound=1, differing=0.1, what="int8")
    came[2:] = wanted[2:]
    decisions = check_parity([wanted], [came], bound=1, differing=0, what="int8").decisions
    assert decisions is not None and decisions.same == 62


def test_two_flips_among_inputs_of_one_class_pass_and_a_constant_does_not():
    wanted = np.tile([[0.98, 0.02]], (64, 1))
    wanted[:3] = wanted[:3, ::-1]
    came = wanted.copy()
    came[:2] = came[:2, ::-1]
    assert check_parity([wanted], [came], bound=0.25, differing=0.1, what="int8").error < 0.25
    balanced = np.tile(np.eye(2), (32, 1))
    with pytest.raises(ParityError, match="of its spread"):
        check_parity([balanced], [np.full((64, 2), 0.5)], bound=0.25, what="int8")


def test_outputs_below_one_step_are_named_with_what_to_do():
    wanted = probabilities(0.01 * np.random.default_rng(0).standard_normal((8, 1000)))
    with pytest.raises(
        ParityError, match=r"less than one step .*0\.00391.*trained weights.*logits"
    ):
        check_parity([wanted], [0 * wanted], bound=0.25, what="int8", steps=[1 / 256])


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
            r"int8: output 1 differs .* by 10 of its spread over 4 inputs, bound 0\.5"
            r" \(largest difference 1",
        ),
        (
            [np.eye(4)],
            [np.eye(4)[::-1]],
            r"same decision in 0 of 4\).*Calibrate with samples like those seen in training",
        ),
    ],
)
def test_what_cannot_pass(reference, outputs, message):
    with pytest.raises(ParityError, match=message):
        check_parity(reference, outputs, bound=0.5, what="int8")
