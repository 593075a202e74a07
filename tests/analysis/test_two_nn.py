"""TwoNN: known manifolds, scikit-dimension as the oracle, duplicates, degenerate points."""

import json

import numpy as np
import pytest

from tfcompress.analysis import PCADimension, TwoNN
from tfcompress.core import DataError, RecipeError, Value

FITS = ("mle", "linear")


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    "kind,d",
    [
        ("gauss", 1),
        ("gauss", 2),
        ("gauss", 5),
        ("gauss", 10),
        ("sphere", 1),
        ("sphere", 3),
        ("sphere", 10),
    ],
)
def test_manifolds_within_ten_percent(manifold, kind, d, fit):
    points = manifold(kind, d, 4000)
    assert TwoNN(fit)(points) == pytest.approx(d, rel=0.1)


@pytest.mark.parametrize("fit", FITS)
def test_swiss_roll(manifold, fit):
    assert TwoNN(fit)(manifold("swiss", 2, 2000)) == pytest.approx(2, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kind", ["gauss", "sphere"])
@pytest.mark.parametrize("d", range(1, 11))
def test_every_dimension_up_to_ten(manifold, kind, d, fit):
    assert TwoNN(fit)(manifold(kind, d, 8000)) == pytest.approx(d, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("d", [12, 15, 20])
def test_high_dimensions_are_underestimated_as_documented(manifold, d):
    assert 0.6 * d < TwoNN()(manifold("gauss", d, 4000)) < d


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind,d", [("gauss", 2), ("gauss", 8), ("swiss", 2), ("sphere", 20)])
def test_linear_equals_scikit_dimension(manifold, kind, d, dtype):
    from skdim.id import TwoNN as Oracle

    points = manifold(kind, d, 1500, dtype=dtype)
    expected = Oracle().fit(points.astype("float64")).dimension_
    assert TwoNN("linear")(points) == pytest.approx(expected, rel=1e-6)
    assert TwoNN("linear", discard=0.25)(points) == pytest.approx(
        Oracle(discard_fraction=0.25).fit(points.astype("float64")).dimension_, rel=1e-6
    )


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")  # theirs, of log 0
@pytest.mark.parametrize("discard", [0.0, 0.1])
def test_likelihood_equals_scikit_dimension(manifold, discard):
    from skdim.id import TwoNN as Oracle

    points = manifold("gauss", 6, 1500)
    expected = (
        Oracle(method="mle", discard_fraction=discard).fit(points.astype("float64")).dimension_
    )
    assert TwoNN("mle", discard)(points) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_duplicates_do_not_move_the_dimension(share):
    """scikit-dimension gives 0.1 here."""
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(2000, 8)) @ rng.normal(size=(8, 3072))).astype("float32")
    copies = points[rng.choice(2000, int(2000 * share), replace=False)]
    alone, result = (
        TwoNN()(points),
        TwoNN().measure(np.concatenate([points, copies]), overwrite=True),
    )
    assert result.id == pytest.approx(alone, rel=0.01)
    assert (result.n_rows, result.n_unique) == (2000 + len(copies), 2000)
    assert f"{len(copies):,} of" in result.warnings[0]


def test_dead_layer_rows_count_once():
    points = np.abs(np.random.default_rng(0).normal(size=(500, 40))).astype("float32")
    points[100:] = 0
    assert TwoNN().measure(points).n_unique == 101


def test_near_copies_are_warned_of():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(1500, 8)) @ rng.normal(size=(8, 200))).astype("float32")
    assert TwoNN().measure(points).warnings == ()
    near = np.concatenate([points, points[:60] * (1 + 1e-4)])
    assert "near copies" in TwoNN().measure(near).warnings[0]


@pytest.mark.parametrize("estimator", [TwoNN(), TwoNN("linear"), PCADimension()])
def test_degenerate_points(estimator):
    constant = estimator.measure(np.ones((50, 7), "float32"))
    assert (
        constant.id == 0.0
        and "all rows are the same" in constant.warnings[0]
        and constant.n_unique == 1
    )
    assert estimator(np.repeat(np.eye(2, 30), 10, axis=0)) == 0.0
    for bad, words in [
        (np.zeros((5, 3, 2)), "reshape"),
        (np.zeros((2, 3)), "at least 3"),
        (np.array([[0.0], [1.0], [np.nan], [2.0]]), "Row 2 holds NaN"),
        (np.array([["a"], ["b"], ["c"]]), "real numbers"),
        (np.zeros((5, 0)), r"\[n, d\]"),
    ]:
        with pytest.raises(DataError, match=words):
            estimator(bad)


@pytest.mark.parametrize("fit", FITS)
def test_three_points_and_one_feature_and_integers(fit):
    assert np.isfinite(TwoNN(fit)(np.array([[0.0], [1.0], [3.0]])))
    images = np.random.default_rng(0).integers(0, 256, (300, 5)).astype("uint8")
    assert TwoNN(fit)(images) == TwoNN(fit)(images.astype("float32"))
    assert 3 < TwoNN(fit)(images) < 7


@pytest.mark.parametrize("fit", FITS)
def test_grid_has_no_dimension(fit):
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), -1).reshape(-1, 3)
    result = TwoNN(fit).measure(grid)
    assert np.isnan(result.id) and "grid" in result.warnings[0]


def test_scales_and_interval(manifold):
    result = TwoNN().measure(manifold("gauss", 5, 2000), scales=True)
    assert result.ids_by_n is not None and result.sd_by_n is not None
    assert result.ci is not None and result.max_mu is not None and result.mean_r1 is not None
    assert list(result.ids_by_n) == list(result.sd_by_n) == [1000, 500, 250]
    assert all(abs(value - 5) < 0.5 for value in result.ids_by_n.values())
    low, high = result.ci
    assert low < 5 < high and high - low == pytest.approx(
        2 * 1.96 * 1.3 / np.sqrt(2000) * result.id
    )
    assert json.loads(json.dumps(result.to_dict()))["ids_by_n"]["1000"] == result.ids_by_n[1000]
    assert float(result) == result.id and result.max_mu > 1 and result.mean_r1 > 0


@pytest.mark.slow
def test_interval_covers(manifold):
    """300 fresh samples: the 95 % interval holds the mean estimate at least 93 % of the time."""
    for kind, d in (("gauss", 5), ("swiss", 2)):
        result = [TwoNN().measure(manifold(kind, d, 500, seed)[:, :60]) for seed in range(300)]
        centre = np.mean([f.id for f in result])
        intervals = [f.ci for f in result if f.ci is not None]
        assert len(intervals) == len(result)
        assert np.mean([low <= centre <= high for low, high in intervals]) >= 0.93


def test_is_a_value():
    assert TwoNN("linear", 0.2) == TwoNN("linear", 0.2) != TwoNN()
    assert Value.from_dict(json.loads(TwoNN("linear", 0.2).to_json())) == TwoNN("linear", 0.2)


@pytest.mark.parametrize(
    "options",
    [{"fit": "median"}, {"discard": 1.0}, {"discard": -0.1}, {"fit": "linear", "discard": 0}],
)
def test_refuses_options(options):
    with pytest.raises(RecipeError, match=r"TwoNN\("):
        TwoNN(**options)
