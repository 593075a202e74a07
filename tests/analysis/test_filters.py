"""Accuracy against removed filters: equal to really pruned models; suggested ratios."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.graph._calls import trace_calls
from tfcompress.analysis import FilterCurves, filter_sensitivity, suggest_ratios
from tfcompress.analysis._blocks import blocks_of
from tfcompress.core import DataError, RecipeError
from tfcompress.techniques import PruneFilters
from tfcompress.testing import untouched
from tfcompress.zoo import resnet


def test_each_point_is_the_accuracy_of_the_pruned_model(trained, digits):
    x, y = digits[2], digits[3]
    with untouched(trained, x):
        measured = filter_sensitivity(trained, (x, y), (0.25, 0.75))
    assert (
        measured.base == pytest.approx(np.mean(trained.predict(x, verbose=0).argmax(1) == y))
        and measured.base > 0.8
    )
    assert list(measured.curves) == ["conv1", "conv2", "dense1"]
    for name in measured.curves:
        for ratio in (0.25, 0.75):
            pruned = PruneFilters({name: ratio}).apply(trained)
            assert measured[name][ratio] == pytest.approx(
                np.mean(pruned.predict(x, verbose=0).argmax(1) == y), abs=2 / len(y)
            )


def test_a_gate_that_is_not_zero_at_zero(keras_flavour):
    """sigmoid(0) is a half: a removed channel still has to count as gone."""
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6,))
    hidden = layers.Dense(8, activation="sigmoid", name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="out")(hidden))
    x = np.random.default_rng(0).normal(size=(20, 6)).astype("float32")
    total = filter_sensitivity(
        model, (x, np.zeros(20)), (0.5,), metric=lambda y, outputs: float(outputs.sum())
    )
    pruned = PruneFilters(0.5).apply(model)
    assert total["hidden"][0.5] == pytest.approx(
        float(pruned.predict(x, verbose=0).sum()), rel=1e-4
    )


def test_residual_blocks(keras_flavour):
    model = resnet(20, keras=keras_flavour, width=0.25)
    homes = blocks_of(trace_calls(model))
    assert homes["stage2_block1_shortcut"] == homes["stage2_block1_conv1"] == "stage2_block1_add"
    assert homes["stem_conv"] == "stage1_block1_add" and "output" not in homes
    rng = np.random.default_rng(0)
    data = rng.random((6, 32, 32, 3), dtype=np.float32), rng.integers(0, 10, 6)
    measured = filter_sensitivity(model, data, (0.5,), by="block")
    assert measured.layers["stage2_block2_add"] == (
        "stage2_block2_conv1",
    )  # its second convolution is joined to the other blocks'
    assert len(measured.curves) == 9
    one = filter_sensitivity(model, data, (0.5,), layers=["stage3_block2_conv1"])
    assert list(one.curves) == ["stage3_block2_conv1"]
    joined = [name for name in filter_sensitivity(model, data, (0.5,)).curves if "+" in name]
    assert len(joined) == 3 and joined[0].startswith("stem_conv + stage1_block1_conv2")


def curves(values, base=0.9):
    return FilterCurves(
        values, {name: tuple(name.split(" + ")) for name in values}, base, "accuracy", 100
    )


def test_suggested_ratios():
    measured = curves(
        {
            "a": {0.2: 0.9, 0.4: 0.88, 0.6: 0.5},
            "b + c": {0.2: 0.5, 0.4: 0.9},
            "d": {0.2: 0.91, 0.4: 0.89, 0.6: 0.885},
        }
    )
    assert suggest_ratios(measured, 0.02) == {"a": 0.4, "d": 0.6}
    assert suggest_ratios(measured, 0.02, largest=0.4) == {"a": 0.4, "d": 0.4}
    assert suggest_ratios(measured, 0.5) == {"a": 0.6, "b": 0.4, "c": 0.4, "d": 0.6}
    assert suggest_ratios(measured, 0.0) == {"a": 0.2, "d": 0.2}
    for options in ({"max_drop": -0.1}, {"max_drop": float("nan")}, {"largest": 1.5}):
        with pytest.raises(RecipeError, match=f"{next(iter(options))}="):
            suggest_ratios(measured, **options)


def test_suggested_ratios_keep_the_accuracy(trained, digits):
    x, y = digits[2], digits[3]
    measured = filter_sensitivity(trained, (x, y))
    ratios = suggest_ratios(measured, 0.01)
    assert ratios
    pruned = PruneFilters(ratios).apply(trained)
    assert pruned.count_params() < trained.count_params()
    assert np.mean(pruned.predict(x, verbose=0).argmax(1) == y) > measured.base - 0.15


def test_plot(tmp_path):
    figure = curves({"a": {0.2: 0.9, 0.4: 0.8}, "b": {0.2: 0.7, 0.4: 0.6}}).plot(
        0.1, path=tmp_path / "curves.png"
    )
    axis = figure.axes[0]
    assert [line.get_label() for line in axis.lines] == ["a", "b", "0.1 lost"]
    points = np.asarray(axis.lines[0].get_xydata())
    np.testing.assert_allclose(points, [[0, 0.9], [0.2, 0.9], [0.4, 0.8]])
    assert (tmp_path / "curves.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratios": (1.0,)}, "ratios"),
        ({"ratios": ()}, "ratios"),
        ({"by": "stage"}, "by="),
        ({"by": "block"}, "by='layer'"),
        ({"importance": "taylor"}, "taylor"),
        ({"layers": ["conv9"]}, "conv9"),
        ({"metric": "f1"}, "metric"),
    ],
)
def test_wrong_options(options, message, small_cnn, digits):
    with pytest.raises(RecipeError, match=message):
        filter_sensitivity(small_cnn("keras"), digits[2:], **options)


def test_wrong_data(small_cnn, digits):
    with pytest.raises(DataError, match="labels"):
        filter_sensitivity(small_cnn("keras"), (digits[2], digits[3][:-1]))
