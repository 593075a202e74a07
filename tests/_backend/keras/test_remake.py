"""A model remade with other layers: same inputs, nesting and names; proven once before it."""

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tfcompress._backend.graph._walk import ModelGraph, leaf_layers
from tfcompress._backend.keras import _remake
from tfcompress._backend.keras._inputs import predict, random_inputs
from tfcompress._backend.keras._prove import recorded_arguments
from tfcompress._backend.keras._remake import Names, Replace, rebuilt, remake
from tfcompress._backend.keras._state import copy_state
from tfcompress.core import ModelError
from tfcompress.core._types import Layer, Model, Tensor


class Copying:
    """Replaces every layer by a copy of itself; notes which layers were called, in order."""

    def __init__(self) -> None:
        self.names = Names()
        self.copies: dict[int, tuple[Layer, Layer]] = {}
        self.called: list[str] = []

    def __call__(self, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        self.called.append(layer.name)
        if id(layer) not in self.copies:
            copied = rebuilt(layer, {"name": self.names.unique(layer.name)})
            self.copies[id(layer)] = layer, copied
        return self.copies[id(layer)][1](*args, **kwargs)

    def remake(self, model: Model) -> Model:
        """The model of copies, with the weights of the originals."""
        remade = remake(model, self, self.names)
        for layer, copied in self.copies.values():
            copy_state(layer, copied)
        return remade


def model_of_models(keras: ModuleType) -> Model:
    """{"b": [4], "a": [4]} → two nested models with a layer of one name → {"sum", "first"}."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = {name: keras.Input((4,), name=name) for name in ("b", "a")}

    def block(name: str) -> Model:
        inside = keras.Input((4,), name=f"{name}_in")
        return keras.Model(inside, layers.Dense(3, name="dense")(inside), name=name)

    first, second = block("first")(inputs["b"]), block("second")(inputs["a"])
    outputs = {"sum": layers.Add(name="sum")([first, second]), "first": first}
    model = keras.Model(inputs, outputs, name="whole")
    model.compile("sgd", "mse")
    return model


def shared_layer(keras: ModuleType) -> Model:
    """One Dense called twice, and BatchNormalization called with `training=False`."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = inputs = keras.Input((4,))
    shared = layers.Dense(4, activation="tanh", name="shared")
    x = layers.BatchNormalization(name="frozen")(shared(shared(x)), training=False)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def assert_equal_outputs(model: Model, remade: Model) -> None:
    inputs = random_inputs(model, n=3, seed=1)
    for expected, output in zip(predict(model, inputs), predict(remade, inputs)):
        np.testing.assert_allclose(output, expected, atol=1e-6)


def test_a_name_is_handed_out_once() -> None:
    names = Names()
    handed_out = [names.unique(name) for name in ("dense", "dense", "dense_1", "dense", "conv")]
    assert handed_out == ["dense", "dense_1", "dense_1_1", "dense_2", "conv"]
    assert names.taken == set(handed_out)


def test_nested_models_lie_flat_under_names_of_their_own(keras_flavour: str) -> None:
    model = model_of_models(importlib.import_module(keras_flavour))
    copying = Copying()
    remade = copying.remake(model)
    assert copying.called == ["dense", "dense", "sum"]
    layers = [layer.name for layer in remade.layers if layer.weights or layer.name == "sum"]
    assert sorted(layers) == ["dense", "dense_1", "sum"]
    assert remade.name == "whole" and getattr(remade, "optimizer", None) is None
    assert_equal_outputs(model, remade)


def test_inputs_and_outputs_keep_their_nesting_order_and_names(keras_flavour: str) -> None:
    model = model_of_models(importlib.import_module(keras_flavour))
    graph, again = ModelGraph(model), ModelGraph(Copying().remake(model))
    assert again.input_names == graph.input_names
    values = {name: np.full((2, 4), place, "float32") for place, name in enumerate("ab")}
    assert set(model(values)) == set(Copying().remake(model)(values)) == {"sum", "first"}


def test_a_shared_layer_is_called_as_often_and_with_the_same_arguments(
    keras_flavour: str,
) -> None:
    model = shared_layer(importlib.import_module(keras_flavour))
    copying = Copying()
    remade = copying.remake(model)
    assert copying.called == ["shared", "shared", "frozen", "out"]
    assert recorded_arguments(remade) == recorded_arguments(model)
    assert remade.count_params() == model.count_params()
    assert_equal_outputs(model, remade)


def test_what_replace_gives_takes_the_layers_place(keras_flavour: str) -> None:
    """The second of three layers is left out, and the third is a wider one."""
    keras = importlib.import_module(keras_flavour)
    layers = keras.layers
    inputs = keras.Input((4,))
    x = layers.Dense(4, name="middle")(layers.Dense(4, name="first")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="last")(x))
    before = [weight.copy() for weight in model.get_weights()]

    def replace(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        if layer.name == "middle":
            return args[0]
        options = {"units": 5} if layer.name == "last" else {}
        return rebuilt(layer, options)(*args, **kwargs)

    remade = remake(model, replace, Names())
    assert [layer.name for layer in leaf_layers(remade) if layer.weights] == ["first", "last"]
    assert remade.output_shape == (None, 5) and model.output_shape == (None, 2)
    for weight, old in zip(model.get_weights(), before):
        np.testing.assert_array_equal(weight, old)


def test_an_operation_called_once_is_copied_once_and_the_users_gets_no_node() -> None:
    keras = importlib.import_module("keras")
    x = inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.tanh(keras.layers.Dense(4, name="dense")(x)) * 2.0)

    def nodes() -> list[int]:
        return [len(op._inbound_nodes) for op in ModelGraph(model).operations()]

    before = nodes()
    remade = Copying().remake(model)
    assert nodes() == before
    own = {id(op) for op in ModelGraph(model).operations()}
    assert not own & {id(op) for op in ModelGraph(remade).operations()}
    assert_equal_outputs(model, remade)


def test_a_model_is_proven_once(keras_flavour: str, monkeypatch: pytest.MonkeyPatch) -> None:
    proofs: list[Model] = []
    prove: Callable[[Model, Model], None] = _remake.prove_copy

    def counted(model: Model, copied: Model) -> None:
        proofs.append(model)
        prove(model, copied)

    monkeypatch.setattr(_remake, "prove_copy", counted)
    keras = importlib.import_module(keras_flavour)
    one, other = shared_layer(keras), shared_layer(keras)
    for model in (one, one, other, one):
        Copying().remake(model)
    assert proofs == [one, other]


def forgetful(keras: ModuleType) -> Model:
    """A model with a layer whose options do not tell its factor."""

    class Scale(keras.layers.Layer):
        def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x: Tensor) -> Tensor:
            return x * self.factor

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

    inputs = keras.Input((4,))
    return keras.Model(inputs, Scale(7.0, name="scale")(inputs))


def test_a_model_that_cannot_be_copied_is_refused_before_anything_is_replaced(
    keras_flavour: str,
) -> None:
    replaced: list[Layer] = []
    replace: Replace = lambda layer, args, kwargs: replaced.append(layer)  # noqa: E731
    model = forgetful(importlib.import_module(keras_flavour))
    for _ in range(2):  # a model that failed is no proven one
        with pytest.raises(ModelError, match=r"first differ at Scale 'scale'"):
            remake(model, replace, Names())
    assert not replaced


def test_a_layer_is_rebuilt_with_other_options_and_without_weights(keras_flavour: str) -> None:
    keras = importlib.import_module(keras_flavour)
    dense = keras.layers.Dense(4, activation="relu", use_bias=False, name="dense")
    dense.build((None, 3))
    wider = rebuilt(dense, {"units": 6, "name": "wider"})
    assert (wider.name, wider.units, wider.use_bias) == ("wider", 6, False)
    assert wider.activation is dense.activation
    assert not wider.weights and dense.units == 4 and rebuilt(dense, {}).name == "dense"
