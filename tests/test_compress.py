"""The engine: real recipes on real digits, its promises, and each bad input with its message."""

import dataclasses
import functools
import gc
import importlib
import weakref

import numpy as np
import pytest

import tfcompress as tfc
from tfcompress._compress import _memory
from tfcompress.core import (
    ConversionError,
    DataError,
    ModelError,
    ParityError,
    RecipeError,
    SkippedError,
    Stage,
    Technique,
    Training,
    TrainingError,
)
from tfcompress.targets import Float32, Int8
from tfcompress.techniques import Cluster, Prune, QuantizeAware
from tfcompress.testing import untouched
from tfcompress.training import Fit


@pytest.fixture(scope="module")
def trained(trained_cnn):
    return functools.cache(trained_cnn)


@pytest.mark.parametrize(
    ("flavour", "name"),
    [
        ("keras", "int8"),
        ("keras", "prune60-int8"),
        ("keras", "cluster16-qat-int8"),
        ("keras", "prune60-cluster16-qat-int8"),
        ("keras", "slim20-finetune-qat-int8"),
        ("tf_keras", "int8"),
        ("tf_keras", "prune60-cluster16-qat-int8"),
        ("tf_keras", "slim20-finetune-qat-int8"),
    ],
)
def test_recipe_gives_a_small_accurate_checked_file(flavour, name, trained, digits):
    model = trained(flavour)
    x, y, x_test, y_test = digits
    with untouched(model, x):
        base = tfc.convert(model, "float32")
        art = tfc.compress(model, name, fit=Fit(x, y, epochs=3), samples=x[:100], seed=1)
    assert art.size_bytes < 0.55 * base.size_bytes
    assert tfc.evaluate(art, x_test, y_test) > tfc.evaluate(base, x_test, y_test) - 0.05
    parity = art.checks[-1]
    assert "relative error" in parity.what
    assert parity.value <= parity.bound
    assert art.about["seed"] == 1
    assert art.about["flavour"] == flavour


def test_plain_results_come_back_in_the_users_keras(keras_flavour, trained, digits):
    model = trained(keras_flavour)
    art = tfc.compress(model, "prune50", fit=Fit(digits[0][:64], digits[1][:64], epochs=1))
    assert art.model is not None
    assert type(art.model).__module__.split(".")[0] == keras_flavour
    assert [layer.name for layer in art.model.layers] == [layer.name for layer in model.layers]
    kernel = art.model.get_layer("dense1").get_weights()[0]
    assert np.mean(kernel == 0) >= 0.5 - 1 / kernel.size


def test_same_seed_same_bytes(trained, digits):
    model, fit = trained("keras"), Fit(digits[0][:256], digits[1][:256], epochs=1)
    one, two = (
        tfc.compress(model, "prune50-int8", fit=fit, samples=digits[0][:100], seed=3)
        for _ in range(2)
    )
    assert one.data == two.data


def test_artifact_with_model_round_trips(trained, digits, tmp_path):
    art = tfc.compress(
        trained("keras"),
        "qat-int8",
        fit=Fit(digits[0][:64], digits[1][:64], epochs=1),
        samples=digits[0][:100],
    )
    art.save(tmp_path / "net")
    assert (tmp_path / "net.tflite").stat().st_size == art.size_bytes
    back = tfc.Artifact.load(tmp_path / "net.tflite")
    assert back.recipe == art.recipe
    again = tfc.load_model(tmp_path / "net.keras")
    assert art.model is not None
    x = digits[2][:16]
    np.testing.assert_allclose(
        again.predict(x, verbose=0), art.model.predict(x, verbose=0), atol=1e-5
    )


@pytest.mark.parametrize(
    ("flavour", "name"),
    [("keras", "qat"), ("keras", "prune50-cluster16-qat"), ("tf_keras", "qat")],
)
def test_quantization_aware_model_in_float_and_converted_again(flavour, name, trained, digits):
    x, y = digits[0][:100], digits[1][:100]
    art = tfc.compress(
        trained(flavour), name, fit=Fit(x, y), samples=x
    )  # ends in float32, fake-quantized
    again = tfc.convert(art.model, "int8", samples=x)
    assert again.size_bytes < 0.6 * art.size_bytes


def test_progress_is_told(trained, digits):
    heard = []
    tfc.compress(
        trained("keras"),
        "prune50-int8",
        fit=Fit(digits[0][:64], digits[1][:64]),
        samples=digits[0][:100],
        progress=lambda *a: heard.append(a),
    )
    assert [what for what, _, _ in heard][-1] == "done"
    assert heard[-1][1] == heard[-1][2]
    assert any("train" in what for what, _, _ in heard)


# --- bad input ------------------------------------------------------------------------------------


def test_unbuilt_model(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    with pytest.raises(ModelError, match="Input"):
        tfc.convert(keras.Sequential([keras.layers.Dense(3)]), "float32")


def test_subclassed_model(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Mine()
    model(np.zeros((1, 4), "float32"))
    with pytest.raises(ModelError, match=r"Mine.*subclassed"):
        tfc.convert(model, "float32")


@pytest.mark.parametrize("thing", [None, "model.keras", np.zeros(3)])
def test_what_is_no_model(thing):
    with pytest.raises(ModelError, match="Keras"):
        tfc.convert(thing, "float32")


def test_missing_samples_for_int8_are_asked_for_before_training(trained):
    def never(model, callbacks):
        raise AssertionError("trained although samples are missing")

    with pytest.raises(DataError, match="samples"):
        tfc.compress(trained("keras"), "prune50-int8", fit=never)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((10, 8, 8, 3), "float32"), r"\(8, 8, 1\)|8, 8, 1"),
        (np.full((10, 8, 8, 1), np.nan, "float32"), "NaN"),
        (np.zeros((0, 8, 8, 1), "float32"), "empty|no samples|0 samples"),
    ],
)
def test_wrong_samples(trained, samples, message):
    with pytest.raises(DataError, match=message):
        tfc.convert(trained("keras"), "int8", samples=samples)


def test_no_trainer_for_what_needs_training(trained, digits):
    with pytest.raises(TrainingError, match="fit=Fit"):
        tfc.compress(trained("keras"), "qat-int8", samples=digits[0][:100])


@pytest.mark.parametrize("name", ["prune80-int8", "cluster16", "macs50", "lowrank50"])
def test_training_is_not_left_out_silently(trained, digits, name):
    """Untrained, an 80 % pruned network falls to chance: that must be asked for."""
    with pytest.raises(TrainingError, match="training=False"):
        tfc.compress(trained("keras"), name, samples=digits[0][:100])


def test_training_left_out_on_request_is_said_on_every_output(trained, digits, tmp_path):
    never = lambda model, callbacks: pytest.fail("trained in spite of training=False")  # noqa: E731
    art = tfc.compress(
        trained("keras"), "prune80-int8", fit=never, samples=digits[0][:100], training=False
    )
    assert art.warnings and "prune80 was not trained" in art.warnings[0]
    assert "WARNING  prune80 was not trained" in str(art)
    art.save(tmp_path / "net")
    assert tfc.Artifact.load(tmp_path / "net").warnings == art.warnings
    assert not tfc.convert(trained("keras"), "float32").warnings
    with pytest.raises(TrainingError, match="needs training"):
        tfc.compress(trained("keras"), "qat", training=False)


def test_unknown_recipe_names_near_ones(trained):
    with pytest.raises(RecipeError, match=r"prune80-int8"):
        tfc.compress(trained("keras"), "prun80-int8")
    with pytest.raises(RecipeError, match="Expected a recipe"):
        tfc.compress(trained("keras"), 8)  # pyright: ignore[reportArgumentType]


def test_unknown_layer_in_only(trained):
    with pytest.raises(RecipeError, match="dense1"):
        tfc.compress(
            trained("keras"), tfc.Recipe([Prune(0.5, only=["dense_1"])], Float32()), training=False
        )


def test_recipe_in_the_wrong_order():
    with pytest.raises(RecipeError, match="Prune → QuantizeAware"):
        tfc.Recipe([QuantizeAware(), Prune(0.5)], Int8())


def test_strict_raises_where_something_is_left_alone(trained):
    recipe = tfc.Recipe([Cluster(100)], Float32())  # conv1 has 72 weights
    assert {
        item.layer for item in tfc.compress(trained("keras"), recipe, training=False).skipped
    } == {"conv1"}
    with pytest.raises(SkippedError, match="conv1"):
        tfc.compress(trained("keras"), recipe, training=False, strict=True)


def test_nan_model_is_an_error_not_a_file(small_cnn):
    model = small_cnn("keras")
    weights = model.get_weights()
    weights[0][...] = np.nan
    model.set_weights(weights)
    with pytest.raises((ParityError, ModelError, ConversionError), match=r"NaN|finite"):
        tfc.convert(model, "float32")


@dataclasses.dataclass(frozen=True, eq=False)
class Forgetful(Technique):
    """Promises zeros and makes none."""

    stage = Stage.SPARSITY
    training = Training.NEVER

    def apply(self, model):
        return Prune(0.5).apply(model)

    def strip(self, model):
        return Prune(0.5).strip(model)

    def check(self, before, after):
        return Prune(0.9).check(before, after)


def test_broken_promise_is_an_error(trained):
    from tfcompress.core import InvariantError

    with pytest.raises(InvariantError, match="zero"):
        tfc.compress(trained("keras"), tfc.Recipe([Forgetful()], Float32()))


SEEN: list[weakref.ref] = []
ALIVE: list[int] = []


@dataclasses.dataclass(frozen=True, eq=False)
class Watched(Prune):
    """Prune whose wrapped models can be watched."""

    def apply(self, model):
        wrapped = super().apply(model)
        SEEN.append(weakref.ref(wrapped))
        return wrapped


@dataclasses.dataclass(frozen=True, eq=False)
class LooksBack(Float32):
    """Float32 that notes how many wrapped models are alive when it converts."""

    def convert(self, model, samples=None):
        ALIVE.append(sum(ref() is not None for ref in SEEN))
        return super().convert(model, samples)


def test_models_that_are_no_longer_needed_are_gone_when_the_file_is_written(
    keras_flavour, trained, digits, monkeypatch
):
    """Keras models are full of cycles: unasked, each lives on while the next step runs."""
    monkeypatch.setattr(_memory, "LARGE", 0)
    SEEN.clear()
    ALIVE.clear()
    recipe = tfc.Recipe([Watched(0.25), Watched(0.5)], LooksBack())
    gc.disable()
    try:
        tfc.compress(trained(keras_flavour), recipe, fit=Fit(digits[0][:64], digits[1][:64]))
    finally:
        gc.enable()
    assert len(SEEN) == 2 and ALIVE == [0]


def test_a_small_model_asks_for_no_collection(trained, digits, monkeypatch):
    """Each would take as long as the conversion itself."""
    asked = []
    monkeypatch.setattr(_memory.gc, "collect", lambda: asked.append(1))
    tfc.compress(trained("keras"), "prune50-float32", fit=Fit(digits[0][:64], digits[1][:64]))
    assert not asked


@pytest.mark.parametrize("recipe", ["qat-int8", "prune50-int16x8"])
def test_what_the_target_can_never_write_is_refused_before_training(keras_flavour, recipe):
    keras = importlib.import_module(keras_flavour)
    model = keras.Sequential([keras.Input((300, 2)), keras.layers.LSTM(3), keras.layers.Dense(2)])
    trained = []
    samples = np.random.default_rng(0).random((100, 300, 2)).astype("float32")
    with pytest.raises(ConversionError, match="300 steps, more than 256"):
        tfc.compress(model, recipe, fit=lambda *_: trained.append(1), samples=samples)
    assert not trained
