"""Which tensors are compared, on chains and graphs of both Kerases, and what comes out of them."""

import importlib
import json

import numpy as np
import pytest

from tfcompress.analysis import (
    LayerScores,
    PCADimension,
    TwoNN,
    _activations,
    activations,
    allocate_bits,
    significance,
)
from tfcompress.core import DataError, RecipeError, Significance


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return (
        (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 64)))
        .reshape(300, 8, 8, 1)
        .astype("float32")
    )


def residual(flavour):
    keras = importlib.import_module(flavour)
    layers = keras.layers
    image = layers.Input((8, 8, 1), name="image")
    h = layers.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(image)
    h = layers.ReLU(name="stem_relu")(layers.BatchNormalization(name="stem_bn")(h))
    side = layers.Conv2D(4, 3, padding="same", name="side")(h)
    h = layers.Activation("relu", name="joined_relu")(layers.Add(name="joined")([h, side]))
    h = layers.MaxPooling2D(name="pool")(h)
    h = layers.Conv2D(6, 3, name="after", activation="relu")(h)
    h = layers.GlobalAveragePooling2D(name="gap")(h)
    return keras.Model(image, layers.Dense(3, name="head", activation="softmax")(h))


def test_graph_is_compared_with_what_it_consumes(keras_flavour, images):
    model = residual(keras_flavour)
    result = significance(model, images, TwoNN("linear"))
    assert list(result) == ["stem", "side", "after", "head"]
    details = result.details
    assert details["inputs"] == {
        "stem": ["image"],
        "side": ["stem"],
        "after": ["joined"],
        "head": ["after"],
    }
    assert details["ends"] == ["stem", "head"]
    keras = importlib.import_module(keras_flavour)
    for name, layer in {
        "stem": "stem_relu",
        "side": "side",
        "joined": "joined_relu",
        "after": "after",
        "head": "head",
    }.items():
        values = keras.Model(model.inputs, model.get_layer(layer).output).predict(images, verbose=0)
        assert details["dimension"][name] == pytest.approx(
            TwoNN("linear")(values.reshape(300, -1)), rel=1e-4
        )
    dims = details["dimension"]
    assert result["after"] == pytest.approx(abs(dims["after"] - dims["joined"]))
    assert result["side"] == pytest.approx(abs(dims["side"] - dims["stem"]))
    assert json.loads(json.dumps(result.to_dict()))["scores"] == dict(result.scores)
    assert Significance.from_dict(result.to_dict()).rank() == result.rank()


def test_rise_counts_only_a_rise(keras_flavour, images):
    change = significance(residual(keras_flavour), images, PCADimension())
    rise = significance(residual(keras_flavour), images, PCADimension(), rule="rise")
    for layer, difference in rise.details["difference"].items():
        assert rise[layer] == max(difference, 0.0)
        assert change[layer] == pytest.approx(abs(change.details["difference"][layer]))


def test_channels_are_positions(small_cnn, images):
    model = small_cnn("keras")
    result = significance(model, images, PCADimension(), view="channels", points=300 * 64)
    values = activations(model, images)["conv1"]
    assert values.shape == (300, 8, 8, 8)
    assert result.details["dimension"]["conv1"] == PCADimension()(values.reshape(-1, 8))
    drawn = significance(model, images, PCADimension(), view="channels")
    assert {dimension["n_rows"] for dimension in drawn.details["measured"].values()} == {300}
    assert drawn.details["measured"]["conv1"]["n_rows"] == 300


def test_shared_layer_takes_its_largest_change(keras_flavour, images):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    image = layers.Input((8, 8, 1))
    flat = layers.Flatten()(image)
    shared = layers.Dense(64, activation="relu", name="shared")
    model = keras.Model(image, layers.Dense(1, name="head")(shared(shared(flat))))
    result = significance(model, images)
    dims = result.details["dimension"]
    steps = [
        abs(dims["shared"] - next(iter(dims.values()))),
        abs(dims["shared (call 2)"] - dims["shared"]),
    ]
    assert result["shared"] == pytest.approx(max(steps))


def test_one_forward_pass_and_disk_change_nothing(monkeypatch, small_cnn, images):
    model = small_cnn("keras")
    passes = []
    runner = _activations.Runner
    monkeypatch.setattr(_activations, "Runner", lambda *a: passes.append(a) or runner(*a))
    in_memory = significance(model, images, batch_size=64)
    assert len(passes) == 1
    on_disk = significance(model, images, batch_size=77, budget_bytes=200_000)
    assert len(passes) == 2
    for name, value in in_memory.details["dimension"].items():
        assert on_disk.details["dimension"][name] == pytest.approx(value, rel=1e-5)
    monkeypatch.setattr(
        _activations.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 400_000})()
    )
    in_parts = significance(model, images, budget_bytes=300_000)
    assert len(passes) > 4
    assert in_parts.scores == pytest.approx(in_memory.scores, rel=1e-4)


def test_layers_progress_and_model_untouched(small_cnn, images):
    model = small_cnn("tf_keras")
    before = [w.copy() for w in model.get_weights()]
    steps = []
    result = significance(
        model, images, layers=["conv2"], progress=lambda *step: steps.append(step)
    )
    assert list(result) == ["conv2"] and set(result.details["dimension"]) == {"conv1", "conv2"}
    assert [what for what, *_ in steps] == ["forward pass", "conv1", "conv2", "done"]
    assert allocate_bits(result, threshold=0) == {"conv2": 2}, (
        "the only layer asked for is neither the first nor the last of the model"
    )
    for old, new in zip(before, model.get_weights()):
        np.testing.assert_array_equal(old, new)
    assert model.optimizer is not None


def test_other_peoples_estimators(small_cnn, images):
    from skdim.id import MLE
    from skdim.id import TwoNN as TheirTwoNN

    model = small_cnn("keras")
    theirs = TheirTwoNN()
    result = significance(model, images, theirs)
    ours = significance(model, images, TwoNN("linear"))
    assert result.scores == pytest.approx(ours.scores, rel=1e-4)
    assert not hasattr(theirs, "dimension_"), "the object given is not fitted"
    assert significance(model, images, MLE(), layers=["conv1"])["conv1"] >= 0
    counted = significance(model, images, lambda points: points.shape[1], layers=["dense1"])
    assert counted["dense1"] == 4 * 4 * 16 - 32


def test_scikit_dimension_on_one_number_and_on_dead_layers(quantnet):
    from skdim.id import TwoNN as TheirTwoNN

    model = quantnet("keras")
    x = np.random.default_rng(0).random((100, 32, 32, 3), "float32")
    result = significance(model, x, TheirTwoNN(), layers=["linear2", "output"])
    assert result.details["dimension"]["output"] == pytest.approx(
        TwoNN("linear")(activations(model, x)["output"]), rel=1e-4
    )
    model.get_layer("linear1").set_weights([np.zeros((4096, 128)), np.full(128, -1.0)])
    dead = significance(model, x, TheirTwoNN(), layers=["linear2"])
    assert dead.details["dimension"]["linear1"] == 0.0


def test_dead_layer_has_dimension_zero(keras_flavour, images):
    model = residual(keras_flavour)
    layer = model.get_layer("after")
    layer.set_weights([layer.get_weights()[0], np.full(6, -1e9, "float32")])
    result = significance(model, images)
    assert result.details["dimension"]["after"] == 0.0
    assert "all rows are the same" in result.details["measured"]["after"]["warnings"][0]


def test_plot(tmp_path, small_cnn, images):
    pytest.importorskip("matplotlib")
    result = significance(small_cnn("keras"), images, PCADimension())
    figure = result.plot(threshold=2, path=tmp_path / "profile.png")
    assert (tmp_path / "profile.png").stat().st_size > 5000
    profile, bars, curves = figure.axes
    assert len(bars.patches) == len(result) == 4
    marked = [patch.get_facecolor() for patch in bars.patches]
    above = [score > 2 for score in result.scores.values()]
    assert len({colour for colour, yes in zip(marked, above) if yes}) <= 1
    assert len(set(marked)) == len(set(above))
    assert len(curves.lines) == len(result.details["dimension"]) == len(profile.get_xticks())
    assert result.significant(2) == [layer for layer in result if result[layer] > 2]
    assert len(LayerScores({"a": 1.0, "b": 2.0}, "by hand").plot().axes) == 1


def test_refuses(small_cnn, images):
    model = small_cnn("keras")
    poisoned = images.copy()
    poisoned[3] = np.nan
    for x, options, error, words in [
        (images[:2], {}, DataError, "2 inputs have no dimension"),
        (poisoned, {}, DataError, "NaN"),
        (images, {"view": "rows"}, RecipeError, "view="),
        (images, {"rule": "fall"}, RecipeError, "rule="),
        (images, {"layers": ["conv9"]}, RecipeError, "conv9.*conv1, conv2, dense1, dense2"),
        (images, {"by": 5}, RecipeError, "no estimator"),
        (images, {"by": lambda points: float("nan")}, DataError, "no dimension by"),
    ]:
        with pytest.raises(error, match=words):
            significance(model, x, **options)
