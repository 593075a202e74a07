"""Levels are found from the values alone, exactly, and never where there are none."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress.core._types import Array
from tfcompress.targets.packing import TOLERANCE, detect
from tfcompress.targets.packing._levels import relative_error, round_to_int8

WeightsOn = Callable[..., Array]

SAID = {
    "binary": "binary",
    "ternary": "ternary",
    "int2": "4 integer levels in -2..1",
    "2-bit": "2-bit symmetric",
    "3-bit": "3-bit symmetric",
    "4-bit": "4-bit symmetric",
    "8-bit": "8-bit symmetric",
    "int4": "16 integer levels in -8..7",
    "int8": "255 integer levels in -127..127",
    "clusters": "16 clusters",
    "clusters and zeros": "7 clusters",
}


@pytest.mark.parametrize("levels", SAID)
@pytest.mark.parametrize("shape, axis", [((24, 512), 0), ((24, 3, 3, 32), 0), ((1, 16, 16, 24), 3)])
def test_one_scale_is_found_bit_for_bit(
    weights_on: WeightsOn, levels: str, shape: tuple[int, ...], axis: int
) -> None:
    weights = weights_on(levels, shape, axis)
    found = detect(weights, axis)
    assert str(found) == SAID[levels]
    assert found.scale.shape == (1,)
    np.testing.assert_array_equal(found.weights(), weights)


@pytest.mark.parametrize("levels", SAID)
def test_a_factor_for_each_channel_is_found(weights_on: WeightsOn, levels: str) -> None:
    """BatchNormalization folded in: every channel times its own factor, some negative."""
    factor = np.random.RandomState(3).uniform(0.3, 2, (24, 1, 1, 1)).astype(np.float32)
    factor[::5] *= -1
    weights = weights_on(levels, (24, 3, 3, 64)) * factor
    found = detect(weights)
    assert str(found).split(" in ")[0].replace("-2..1", "-1..2") in (
        SAID[levels].split(" in ")[0],
        "5 integer levels",
        "17 integer levels",
    )
    assert found.scale.shape == (24,)
    assert relative_error(found.weights(), weights) <= TOLERANCE


def test_dead_channels_and_channels_of_one_value_are_levels_too(weights_on: WeightsOn) -> None:
    weights = weights_on("2-bit", (24, 512))
    weights[3], weights[5] = 0, weights[5].max()
    found = detect(weights)
    np.testing.assert_array_equal(found.weights(), weights)


@pytest.mark.parametrize("shape", [(24, 512), (32, 3, 3, 3), (1, 16), (16, 1), (1, 3, 3, 8)])
def test_trained_floats_are_no_levels(shape: tuple[int, ...]) -> None:
    weights = np.random.RandomState(0).normal(0, 0.1, shape).astype(np.float32)
    assert detect(weights, 3 if shape[0] == 1 and len(shape) == 4 else 0).kind == "float"


def test_nearly_levels_are_no_levels(weights_on: WeightsOn) -> None:
    weights = weights_on("2-bit", (24, 512))
    weights[7, 100] *= 1 + 1e-6
    assert detect(weights).kind != "grid"


def test_not_finite_is_float(weights_on: WeightsOn) -> None:
    weights = weights_on("binary", (24, 512))
    weights[0, 0] = np.nan
    assert detect(weights).kind == "float"


@settings(max_examples=60, deadline=None)
@given(
    step=st.floats(1e-6, 1e3),
    codes=st.lists(st.integers(-127, 127), min_size=16, max_size=64).filter(lambda c: any(c)),
)
def test_any_integers_times_any_step_come_back(step: float, codes: list[int]) -> None:
    weights = (np.array(codes, np.float32) * np.float32(step)).reshape(1, -1)
    found = detect(weights)
    assert found.kind == "grid"
    np.testing.assert_array_equal(found.weights(), weights)


def test_rounding_keeps_zeros_and_the_number_of_clusters(weights_on: WeightsOn) -> None:
    weights = weights_on("clusters and zeros", (24, 512))
    rounded = round_to_int8(weights, detect(weights))
    assert rounded.rounded and len(np.unique(rounded.codes)) <= 7
    np.testing.assert_array_equal(rounded.codes == 0, weights == 0)
    floats = np.random.RandomState(0).normal(0, 0.1, (24, 512)).astype(np.float32)
    rounded = round_to_int8(floats, detect(floats))
    half_steps = np.abs(rounded.weights() - floats) / rounded.scale[:, None]
    assert half_steps.max() <= 0.5001 and np.abs(rounded.codes).max() == 127


def test_a_zero_that_is_not_zero_is_infinitely_off() -> None:
    zeros, tiny = np.zeros(3, np.float32), np.full(3, 1e-30, np.float32)
    assert relative_error(tiny, zeros) == np.inf
    assert relative_error(zeros, zeros) == 0
    assert relative_error(np.array([0, 2.5]), np.array([0, 2])) == 0.25
    assert relative_error(zeros, tiny) == 1


def test_pruned_weights_with_a_trace_left_are_not_on_clusters_with_zero(
    weights_on: WeightsOn,
) -> None:
    weights = weights_on("clusters and zeros", (24, 512))
    zero = tuple(np.argwhere(weights == 0)[0])
    weights[zero] = 1e-30
    np.testing.assert_array_equal(detect(weights).weights()[zero], np.float32(1e-30))
