"""Parity of whole conversions: a worse file is refused, a sound one tells its decisions."""

import dataclasses

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress.core import ParityError
from tfcompress.targets import DynamicRange, Int8


@pytest.fixture(scope="module")
def trained(small_cnn, digits):
    model = small_cnn("keras")
    model.fit(digits[0], digits[1], epochs=12, batch_size=32, verbose=0)
    return model


def accuracy(model, digits):
    return np.mean(np.argmax(model(digits[2]), axis=1) == digits[3])


def noised(model, share):
    """A copy whose weights have normal noise of `share` of their deviation."""
    generator = np.random.default_rng(0)
    copy = type(model).from_config(model.get_config())
    copy.set_weights(
        [w + share * w.std() * generator.standard_normal(w.shape) for w in model.get_weights()]
    )
    return copy


@dataclasses.dataclass(frozen=True, eq=False)
class Spoiled(Int8):
    """Int8 that writes another network than the one it is given."""

    def convert(self, model, samples=None):
        return super().convert(noised(model, 0.25), samples)


@dataclasses.dataclass(frozen=True, eq=False)
class SpoiledDynamic(DynamicRange):
    """The same in dynamic range."""

    def convert(self, model, samples=None):
        return super().convert(noised(model, 0.25), samples)


@pytest.mark.parametrize("target", [Spoiled(), SpoiledDynamic()], ids=lambda target: target.label)
def test_a_file_that_loses_points_of_accuracy_is_refused(target, trained, digits):
    lost = accuracy(trained, digits) - accuracy(noised(trained, 0.25), digits)
    assert 0.02 < lost < 0.1
    with pytest.raises(ParityError, match=r"of its spread.*same decision in \d+ of 64"):
        tfc.compress(trained, target, samples=digits[0][:200])


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic", "int16x8", "int8"])
def test_a_sound_file_passes_and_tells_its_decisions(name, trained, digits):
    artifact = tfc.compress(trained, name, samples=digits[0][:200])
    check = artifact.checks[-1]
    assert (
        "(same decision in 64 of 64)" in check.what or "(same decision in 63 of 64)" in check.what
    )
    assert check.value < check.bound / 2


def test_a_float_file_of_large_outputs_is_compared_with_what_they_vary_by(digits):
    import keras

    inputs = keras.Input((8, 8, 1))
    hidden = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, bias_initializer="ones")(hidden) + 149)
    artifact = tfc.convert(model, "float32", digits[0][:100])
    assert artifact.checks[-1].value < 1e-3


def test_rounding_without_training_is_compared_with_the_model_given(trained, digits):
    with pytest.warns(UserWarning, match="rounded without training"):
        artifact = tfc.compress(
            trained, "cluster2-float32", samples=digits[0][:100], training=False
        )
    check = artifact.checks[-1]
    assert "those of the model given" in check.what
    assert check.value >= check.bound


def test_probabilities_below_an_int8_step_are_named():
    import keras

    inputs = keras.Input((16,))
    model = keras.Model(inputs, keras.layers.Dense(1000, activation="softmax")(inputs))
    samples = np.random.default_rng(0).random((100, 16), np.float32)
    with pytest.raises(ParityError, match=r"less than one step of the file's integers .*logits"):
        tfc.compress(model, "int8", samples=samples)
