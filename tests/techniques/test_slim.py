"""Slim: what γ does not govern stays, and a penalty of the user's own is not taken away."""

import importlib

import numpy as np
import pytest

from tfcompress.core import RecipeError
from tfcompress.techniques import PruneFilters, Slim


def residual_net(flavour, shortcut_is_scaled, product=False):
    """Two branches, joined by a sum or a product; the second with a BatchNormalization or not."""
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = layers.Input((6, 6, 3))
    hidden = layers.Conv2D(8, 3, padding="same", name="main")(inputs)
    hidden = layers.BatchNormalization(name="bn_main")(hidden)
    shortcut = layers.Conv2D(8, 1, name="shortcut")(inputs)
    if shortcut_is_scaled:
        shortcut = layers.BatchNormalization(name="bn_shortcut")(shortcut)
    join = layers.Multiply if product else layers.Add
    hidden = layers.ReLU()(join(name="join")([hidden, shortcut]))
    hidden = layers.Conv2D(8, 3, name="later")(hidden)
    hidden = layers.BatchNormalization(name="bn_later")(hidden)
    outputs = layers.Dense(4, name="out")(layers.GlobalAveragePooling2D()(hidden))
    model = keras.Model(inputs, outputs)
    for layer in model.layers:
        if layer.name.startswith("bn_"):
            gamma, *rest = layer.get_weights()
            layer.set_weights([np.linspace(0.01, 1, len(gamma)), *rest])
    return model


def widths(model, *names):
    return [model.get_layer(name).get_weights()[0].shape[-1] for name in names]


@pytest.mark.parametrize(
    "technique",
    [Slim(0.5), PruneFilters(0.5, importance="bn_gamma", scope="global")],
    ids=["slim", "bn_gamma"],
)
def test_a_sum_with_a_branch_without_a_scale_stays(keras_flavour, technique):
    """Its γ do not tell what the network loses: the shortcut's part of the channel is there too."""
    model = residual_net(keras_flavour, shortcut_is_scaled=False)
    stripped = technique.strip(technique.apply(model))
    assert widths(stripped, "main", "shortcut", "later") == [8, 8, 4]
    reasons = {item.layer: item.reason for item in technique.skips(model)}
    assert set(reasons) == {"main", "shortcut"} and "summed with" in reasons["main"]


@pytest.mark.parametrize("options", [{"shortcut_is_scaled": True}, {"product": True}], ids=str)
def test_sums_of_scaled_branches_and_products_with_one_go(keras_flavour, options):
    """A product is zero where its γ is, whatever the other factor."""
    model = residual_net(keras_flavour, **{"shortcut_is_scaled": False, **options})
    technique = Slim(0.5)
    stripped = technique.strip(technique.apply(model))
    main, shortcut, later = widths(stripped, "main", "shortcut", "later")
    assert main == shortcut < 8 and main + later == 8


def test_a_channel_that_is_read_in_front_of_its_scale_stays(keras_flavour):
    """Behind the convolution one branch has a BatchNormalization and another reads it as it is."""
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = layers.Input((6, 6, 3))
    hidden = layers.Conv2D(8, 3, name="first")(inputs)
    normed = layers.Conv2D(6, 1, name="one")(layers.BatchNormalization(name="bn")(hidden))
    bare = layers.Conv2D(6, 1, name="other")(hidden)
    pooled = layers.GlobalAveragePooling2D()(layers.Concatenate()([normed, bare]))
    model = keras.Model(inputs, layers.Dense(2, name="out")(pooled))
    with pytest.raises(RecipeError, match="first: no BatchNormalization scale"):
        Slim(0.5).apply(model)


def test_a_penalty_of_the_users_own_is_left(keras_flavour):
    """Its λ is Slim's own, to the last digit: only the penalties that Slim put on are removed."""
    keras = importlib.import_module(keras_flavour)
    model = keras.Sequential(
        [
            keras.layers.Input((6, 6, 3)),
            keras.layers.Conv2D(8, 3, name="first"),
            keras.layers.BatchNormalization(
                gamma_regularizer=keras.regularizers.L1(1e-3), name="own"
            ),
            keras.layers.Conv2D(8, 3, name="second"),
            keras.layers.BatchNormalization(name="plain"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="out"),
        ]
    )
    slim = Slim(0.25, l1=1e-3)
    penalised = slim.apply(model)
    assert float(penalised.get_layer("plain").gamma_regularizer.l1) == pytest.approx(1e-3)
    again = type(penalised).from_config(penalised.get_config())
    again.set_weights(penalised.get_weights())
    for wrapped in (penalised, again):
        stripped = slim.strip(wrapped)
        assert float(stripped.get_layer("own").gamma_regularizer.l1) == pytest.approx(1e-3)
        assert stripped.get_layer("plain").gamma_regularizer is None
