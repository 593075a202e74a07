"""PCA's count against a float64 SVD."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfcompress.analysis import PCADimension
from tfcompress.core import DataError, RecipeError


def svd_count(points, variance):
    values = (
        np.linalg.svd(points.astype(float) - points.astype(float).mean(0), compute_uv=False) ** 2
    )
    return int(
        np.searchsorted(np.cumsum(values) / values.sum(), variance * (1 - 1e-12))
    ) + 1, values


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(3, 80),
    d=st.integers(1, 80),
    rank=st.integers(1, 30),
    offset=st.sampled_from([0.0, 10.0, 1000.0]),
    variance=st.sampled_from([0.5, 0.9, 0.99, 0.999]),
    dtype=st.sampled_from(["float32", "float64"]),
    seed=st.integers(0, 9),
)
def test_counts_as_a_float64_svd(n, d, rank, offset, variance, dtype, seed):
    rng = np.random.default_rng(seed)
    points = (
        rng.normal(size=(n, rank)) * rng.geometric(0.2, rank) @ rng.normal(size=(rank, d)) + offset
    ).astype(dtype)
    count, values = svd_count(points, variance)
    share = np.cumsum(values) / values.sum()
    result = PCADimension(variance).measure(points)
    if np.abs(share - variance).min() > 1e-9:  # else rounding decides in either
        assert result.id == count
    assert result.pr == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-4)


@pytest.mark.parametrize("shape", [(200, 1500), (1500, 200)])
def test_both_sides_and_the_curve(shape):
    rng = np.random.default_rng(0)
    points = (
        rng.normal(size=(shape[0], 60)) @ rng.normal(size=(60, shape[1]))
        + 0.05 * rng.normal(size=shape)
        + 5
    ).astype("float32")
    count, values = svd_count(points, 0.99)
    result = PCADimension().measure(points)
    assert result.id == count and result.curve is not None
    share = np.cumsum(values) / values.sum()
    for k, part in result.curve:
        assert part == pytest.approx(share[k - 1], abs=1e-5)


def test_a_share_on_the_edge_is_decided_in_float64():
    """Eigenvalues 99 and 1 make exactly 0.99; a hair more or less must tell."""
    axes = np.zeros((4, 2))
    axes[0, 0], axes[1, 0] = np.sqrt(99), -np.sqrt(99)
    for tilt, count in ((1 - 1e-7, 1), (1 + 1e-7, 2)):
        axes[2, 1], axes[3, 1] = tilt, -tilt
        assert PCADimension(0.99)(axes) == count


def test_rows_are_drawn_when_the_budget_is_small():
    points = np.random.default_rng(0).normal(size=(800, 900)).astype("float32")
    result = PCADimension().measure(points, budget_bytes=20 * 200**2)
    assert result.n_used == 200 and "200 of 800 rows" in result.warnings[0]


@pytest.mark.parametrize("scale", [1e-25, 1e-21, 1e25])
@pytest.mark.parametrize("shape", [(60, 200), (200, 60)])
def test_magnitudes_beyond_float32_squares(scale, shape):
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(shape[0], 5)) @ rng.normal(size=(5, shape[1]))).astype("float32")
    expected = PCADimension().measure(points)
    result = PCADimension().measure(points * np.float32(scale))
    assert result.id == expected.id and result.pr == pytest.approx(expected.pr, rel=1e-4)


def test_variance_beyond_float64_is_told():
    with pytest.raises(DataError, match="scale them down"):
        PCADimension()(1e200 * np.random.default_rng(0).normal(size=(20, 5)))


@pytest.mark.parametrize("variance", [0, 1.2, -1])
def test_refuses_shares(variance):
    with pytest.raises(RecipeError, match="0 < variance"):
        PCADimension(variance)
