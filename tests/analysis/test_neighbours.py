"""Two nearest neighbours against all distances, on points chosen to break float32 products."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from tfcompress.analysis.dimension import _candidates
from tfcompress.analysis.dimension import _products as products
from tfcompress.analysis.dimension._duplicates import compact, unique_rows
from tfcompress.analysis.dimension._neighbours import two_nearest


def truth(points):
    distance = cdist(points.astype(float), points.astype(float))
    np.fill_diagonal(distance, np.inf)
    distance.sort(axis=1)
    return distance[:, 0], distance[:, 1]


def assert_exact(points, rtol=2e-7, **options):
    first, second = truth(points)
    result = two_nearest(points.copy(), **options)
    np.testing.assert_allclose(result.first, first, rtol=rtol)
    np.testing.assert_allclose(result.second, second, rtol=rtol)
    return result


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 11), (5, 300), (40, 1100), (700, 12), (2500, 40)])
def test_equals_all_distances(shape, dtype, overwrite):
    assert_exact(np.random.default_rng(0).normal(size=shape).astype(dtype), overwrite=overwrite)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(3, 200),
    d=st.integers(1, 40),
    spread=st.floats(1e-3, 1e3),
    offset=st.floats(-1e4, 1e4),
    clusters=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_equals_all_distances_wherever_points_lie(n, d, spread, offset, clusters, seed):
    rng = np.random.default_rng(seed)
    points = offset + rng.normal(size=(n, d)) * spread + 1e3 * rng.integers(0, clusters, (n, 1))
    points = points[unique_rows(points)]
    if len(points) >= 3:
        assert_exact(points, rtol=1e-9)


def test_far_clusters_are_proved_by_float64():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(1000, 100)) + 1e4 * rng.choice([-1, 1], (1000, 1))).astype("float32")
    result = assert_exact(points)
    assert result.rechecked == result.recomputed == 1000


@pytest.mark.parametrize("copies,rechecked,recomputed", [(3, 0, 0), (5, 900, 0), (10, 900, 900)])
def test_near_copies_beyond_float32_are_told_apart(copies, rechecked, recomputed):
    """Near copies look the same to products; past the candidates kept, only differences tell."""
    rng = np.random.default_rng(0)
    points = np.repeat(rng.normal(size=(900 // copies, 50)), copies, axis=0) + 1e-10 * rng.normal(
        size=(900, 50)
    )
    result = assert_exact(points, rtol=1e-6)
    assert (result.rechecked, result.recomputed) == (rechecked, recomputed)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("distance", [1e4, 1e7])
def test_one_point_far_away_leaves_the_others_to_float32(distance, overwrite):
    """Its norm must not enter their error bounds, nor its pull on the mean their products."""
    points = np.random.default_rng(0).normal(size=(1500, 60)).astype("float32")
    points[700] = distance
    result = assert_exact(points, rtol=1e-6, overwrite=overwrite)
    assert result.recomputed <= 1


def test_a_few_points_far_away_are_exact_beside_far_clusters():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(800, 50)) + 100.0 * rng.integers(0, 3, (800, 1))
    points[[5, 90, 400]] *= 1e5
    result = assert_exact(points, rtol=1e-9)
    assert result.recomputed < 100


def test_rows_in_order_of_their_place_are_searched_tile_by_tile(monkeypatch):
    """Every later tile is nearer than all before it: more than FEW of a row are below its limit."""
    monkeypatch.setattr(products, "CPU_SIDE", 100)
    searched = []
    search = _candidates.Nearest.search
    monkeypatch.setattr(
        _candidates.Nearest,
        "search",
        lambda self, *given: (searched.append(1), search(self, *given)),
    )
    rng = np.random.default_rng(0)
    radius = np.repeat([1e3, 1e2, 1e1, 1.0], 100)[:, None]
    assert_exact(radius * rng.normal(size=(400, 20)), rtol=1e-9)
    assert len(searched) > 4


@pytest.mark.parametrize("scale", [3e37, 1e38])
def test_sums_that_overflow_float32(scale):
    points = (scale * np.random.default_rng(0).uniform(0, 1, (300, 30))).astype("float32")
    assert_exact(points, rtol=1e-6)


def test_ties_of_integer_points():
    points = np.random.default_rng(0).integers(0, 3, (1500, 12)).astype("float32")
    assert_exact(points[unique_rows(points)])


@pytest.mark.parametrize("scale", [1e-25, 1e30])
def test_magnitudes_beyond_float32_squares(scale):
    points = scale * np.random.default_rng(0).normal(size=(300, 30))
    assert_exact(points, rtol=1e-12)
    assert_exact(points.astype("float32"), rtol=1e-6, overwrite=True)


def test_tiles_meet_at_their_edges(monkeypatch):
    monkeypatch.setattr(products, "CPU_SIDE", 64)
    assert_exact(np.random.default_rng(1).normal(size=(64 * 3 + 1, 20)).astype("float32"))


def test_over_budget_lies_on_disk_and_is_the_same():
    points = np.random.default_rng(0).normal(size=(500, 64)).astype("float32")
    on_disk = two_nearest(points, budget_bytes=1000)
    np.testing.assert_array_equal(on_disk.first, two_nearest(points).first)


def test_given_points_stay_as_they_were_unless_allowed():
    points = np.random.default_rng(0).normal(size=(300, 64)).astype("float32") + 3
    before = points.copy()
    two_nearest(points)
    np.testing.assert_array_equal(points, before)
    two_nearest(points, overwrite=True)
    np.testing.assert_allclose(points, before - before.mean(0), atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.5]), min_size=2, max_size=2),
        min_size=1,
        max_size=60,
    )
)
def test_unique_rows_are_numpys(rows):
    points = np.array(rows, "float32")
    keep = unique_rows(points)
    np.testing.assert_array_equal(keep, np.sort(np.unique(points, axis=0, return_index=True)[1]))
    expected = points[keep]
    np.testing.assert_array_equal(compact(points, keep, chunk_bytes=16), expected)


def test_products_on_a_tensorflow_device_find_the_same(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(products, "CPU_SIDE", 128)
    monkeypatch.setattr(products, "GPU_SIDE", 128)
    points = np.random.default_rng(2).normal(size=(300, 40)).astype("float32") + 5
    tf.config.experimental.enable_tensor_float_32_execution(True)
    seen = []
    offer = _candidates.Nearest.offer
    monkeypatch.setattr(
        _candidates.Nearest,
        "offer",
        lambda *given: (seen.append(_tf32(tf)), offer(*given)),
    )
    result = two_nearest(points, device="/CPU:0")
    assert seen and not any(seen)
    assert _tf32(tf)
    ours = two_nearest(points, device="numpy")
    np.testing.assert_array_equal(result.first, ours.first)
    np.testing.assert_array_equal(result.second, ours.second)


def test_the_gpu_is_taken_when_tensorflow_sees_one(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    assert products._first_gpu() == "numpy" or tf.config.list_physical_devices("GPU")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["one"])
    assert products._first_gpu() == "/GPU:0"
    monkeypatch.delitem(sys.modules, "tensorflow")
    assert products._first_gpu() == "numpy"


def _tf32(tf):
    return tf.config.experimental.tensor_float_32_execution_enabled()
