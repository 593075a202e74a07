"""Low rank: full rank is the original, low kernels are found again, budgets are met."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tfcompress as tfc
from tfcompress.analysis import cost
from tfcompress.core import ModelError, RecipeError
from tfcompress.techniques import LowRank
from tfcompress.techniques.low_rank import _factors as low_rank
from tfcompress.techniques.low_rank._rebuild import factored
from tfcompress.testing import check_technique, untouched
from tfcompress.training import Fit


@pytest.mark.parametrize(
    "technique",
    [LowRank(target_params=0.5), LowRank(energy=0.6), LowRank(rank=2, conv="spatial")],
    ids=lambda technique: technique.label,
)
def test_contract(technique, keras_flavour, tiny):
    check_technique(technique, keras_flavour, tiny(keras_flavour))


def kernel_of(layer, conv):
    """The layer's kernel, which can be factored."""
    kernel = low_rank.read(layer, conv)
    assert isinstance(kernel, low_rank.Kernel)
    return kernel


def one_layer(flavour, kind, size, channels, outputs, **options):
    """A net of one layer, with random weights, on random inputs."""
    layers = importlib.import_module(flavour).layers
    rank = {"Dense": 0, "Conv1D": 1, "Conv2D": 2, "Conv3D": 3}[kind]
    inputs = layers.Input((*(9, 8, 7)[:rank], channels))
    layer = getattr(layers, kind)(outputs, *([size] if rank else []), name="it", **options)
    model = importlib.import_module(flavour).Model(inputs, layer(inputs))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype("float32") for w in model.get_weights()])
    return model, layer, rng.normal(size=(3, *inputs.shape[1:])).astype("float32")


FORMS = [
    ("Dense", None, "tucker", {"activation": "tanh"}),
    ("Conv2D", 1, "tucker", {"strides": 2}),
    ("Conv2D", 3, "tucker", {"strides": 2, "padding": "same", "activation": "relu"}),
    ("Conv2D", (3, 2), "tucker", {"dilation_rate": 2}),
    ("Conv2D", (3, 2), "spatial", {"padding": "same"}),
    ("Conv2D", 3, "spatial", {"strides": (2, 1), "use_bias": False}),
    ("Conv2D", 3, "spatial", {"dilation_rate": (1, 2)}),
    ("Conv1D", 3, "tucker", {"padding": "causal"}),
    ("Conv3D", 2, "tucker", {}),
]


@pytest.mark.parametrize(("kind", "size", "conv", "options"), FORMS, ids=lambda value: str(value))
def test_full_rank_is_the_original(kind, size, conv, options, keras_flavour):
    model, layer, x = one_layer(keras_flavour, kind, size, 5, 6, **options)
    kernel = kernel_of(layer, conv)
    new = factored(model, {id(layer): (kernel, kernel.full())})
    assert len(new.layers) == len(model.layers) + (2 if kernel.form == "tucker" else 1)
    np.testing.assert_allclose(
        new.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(("kind", "size", "conv", "options"), FORMS, ids=lambda value: str(value))
def test_counts_are_those_of_the_model(kind, size, conv, options, keras_flavour):
    model, layer, _ = one_layer(keras_flavour, kind, size, 5, 6, **options)
    kernel = kernel_of(layer, conv)
    ranks = tuple(2 for _ in kernel.full())
    new = factored(model, {id(layer): (kernel, ranks)})
    bias = layer.use_bias * 6
    assert new.count_params() == kernel.numbers(ranks)[0] + bias
    # Others have ragged edges.
    if options.get("padding") == "same" and kind == "Conv2D" and options.get("strides", 1) == 1:
        assert cost(new).macs == 9 * 8 * kernel.numbers(ranks)[1]


@settings(max_examples=25, deadline=None)
@given(
    channels=st.integers(2, 9),
    outputs=st.integers(2, 9),
    rank=st.integers(1, 4),
    size=st.sampled_from([(), (1, 1), (3,), (3, 3)]),
    seed=st.integers(0, 99),
)
def test_a_kernel_of_low_rank_is_found_again(channels, outputs, rank, size, seed):
    rng = np.random.default_rng(seed)
    rank = min(rank, channels, outputs)
    core = rng.normal(size=(*size, rank, rank))
    w = np.einsum(
        "ia,...ab,bo->...io",
        rng.normal(size=(channels, rank)),
        core,
        rng.normal(size=(rank, outputs)),
    ).astype("float32")
    kind = {0: "Dense", 1: "Conv1D", 2: "Conv2D"}[len(size)]
    layer = type(
        kind, (), {"kernel_constraint": None, "weights": [w], "get_weights": lambda self: [w]}
    )()
    kernel = kernel_of(layer, "tucker")
    ranks = kernel.ranks(1 - 1e-10)
    assert max(ranks) <= rank  # 1×1 and matrices have one rank, the unfoldings of others two
    parts = [part.astype("float64") for part in low_rank.factors(kernel, ranks)]
    whole = parts[0].reshape(channels, -1)
    if kernel.form == "tucker":
        whole = np.einsum("ia,...ab,bo->...io", whole, parts[1], parts[2].reshape(-1, outputs))
    else:
        whole = (whole @ parts[1].reshape(-1, outputs)).reshape(w.shape)
    np.testing.assert_allclose(whole, w, rtol=1e-3, atol=1e-3 * np.abs(w).max())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), rank=st.integers(1, 5))
def test_truncation_is_the_best_of_its_rank(seed, rank):
    """Eckart and Young: the squared error is the sum of the squared singular values left out."""
    w = np.random.default_rng(seed).normal(size=(6, 8)).astype("float32")
    layer = type(
        "Dense", (), {"kernel_constraint": None, "weights": [w], "get_weights": lambda self: [w]}
    )()
    kernel = kernel_of(layer, "tucker")
    one, other = low_rank.factors(kernel, (rank,))
    assert np.square(w - one @ other).sum() == pytest.approx(
        np.square(kernel.spectra[0][rank:]).sum(), rel=1e-3, abs=1e-5
    )


def test_what_would_grow_stays_and_is_said(keras_flavour, small_cnn, digits):
    model = small_cnn(keras_flavour)
    with untouched(model, digits[0]):
        technique = LowRank(rank=30)
        reasons = {item.layer: item.reason for item in technique.skips(model)}
        assert "would not shrink" in reasons["conv1"] and "would not shrink" in reasons["dense2"]
        with pytest.raises(RecipeError, match="lower the rank"):
            LowRank(rank=1000).apply(model)
        new = LowRank(rank={"dense1": 4}).apply(model)
    assert {item.layer for item in LowRank(rank={"dense1": 4}).skips(model)} == {
        "conv1",
        "conv2",
        "dense2",
    }
    names = [layer.name for layer in new.layers if layer.weights]
    assert names == ["conv1", "conv2", "bn2", "dense1_in", "dense1", "dense2"]
    assert new.get_layer("dense1_in").get_weights()[0].shape == (256, 4)
    assert new.optimizer is not None


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(share=st.floats(0.25, 0.9))
def test_budgets_are_met(share, small_cnn):
    model = small_cnn("keras")
    new = LowRank(target_params=share).apply(model)
    assert 0.7 * share < new.count_params() / model.count_params() <= share


def test_nested_and_shared_layers(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inner_in = layers.Input((20,))
    inner = keras.Model(
        inner_in, layers.Dense(20, activation="relu", name="inside")(inner_in), name="inner"
    )
    shared = layers.Dense(20, name="shared")
    inputs = layers.Input((20,))
    model = keras.Model(inputs, layers.Add()([shared(inner(inputs)), shared(inputs)]))
    rng = np.random.default_rng(0)
    low = [
        (rng.normal(size=(20, 3)) @ rng.normal(size=(3, 20))).astype("float32")
        if w.ndim == 2
        else w
        for w in model.get_weights()
    ]
    model.set_weights(low)
    new = LowRank(energy=1 - 1e-9).apply(model)
    x = rng.normal(size=(5, 20)).astype("float32")
    np.testing.assert_allclose(
        new.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-3, atol=1e-2
    )
    assert new.count_params() == 2 * (2 * 3 * 20 + 20)


def test_fine_tuned_file_in_int8(keras_flavour, trained_cnn, digits):
    x, y, x_test, y_test = digits
    model = trained_cnn(keras_flavour)
    artifact = tfc.compress(model, "lowrank40-int8", fit=Fit(x, y, epochs=4), samples=x[:200])
    assert artifact.model is not None
    assert artifact.model.count_params() <= 0.4 * model.count_params()
    assert tfc.evaluate(artifact, x_test, y_test) > 0.9
    assert artifact.size_bytes < tfc.convert(model, "int8", x[:200]).size_bytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank=0"),
        ({"rank": 2.5}, "whole number"),
        ({"rank": 2, "energy": 0.5}, "one of"),
        ({"energy": 0.0}, "energy"),
        ({"energy": 1.2}, "energy"),
        ({"target_params": 1.0}, "target_params"),
        ({"conv": "cp"}, "tucker"),
        ({"only": "("}, "regular expression"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(RecipeError, match=message):
        LowRank(**options)


def test_wrong_models(small_cnn):
    with pytest.raises(RecipeError, match="matches no layer"):
        LowRank(rank={"linear": 2}).apply(small_cnn("keras"))
    with pytest.raises(RecipeError, match="at rank 1"):
        LowRank(target_params=0.01).apply(small_cnn("keras"))


def test_a_kernel_that_is_not_finite_is_an_error(keras_flavour, small_cnn):
    model = small_cnn(keras_flavour)
    weights = model.get_layer("dense1").get_weights()
    weights[0][3, 3] = np.nan
    model.get_layer("dense1").set_weights(weights)
    with pytest.raises(ModelError, match="'dense1' holds NaN"):
        LowRank(energy=0.5).apply(model)
