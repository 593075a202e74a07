"""Saved models in and out, random inputs that fit, prediction in batches, fingerprints, seeds."""

import importlib

import numpy as np
import pytest

from tfcompress._backend import bridge as bridge
from tfcompress.core import ArtifactError, ModelError
from tfcompress.training import Fit

# By name, for neither package is typed: a checker reads types from the defaults of parameters.
keras = importlib.import_module("keras")
tf_keras = importlib.import_module("tf_keras")


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_save_and_load(tmp_path, models, keras_flavour, suffix):
    model = models.build(models.sequential, keras_flavour)
    model.compile("adam", "categorical_crossentropy")
    path = tmp_path / f"net{suffix}"
    bridge.save_model(model, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    loaded = bridge.load_model(path)
    if suffix == ".keras":
        assert bridge.flavour(loaded) == keras_flavour
    models.assert_same_outputs(model, loaded)
    assert bridge.compile_problem(loaded) is None
    assert bridge.to_tf_keras(loaded)._is_compiled


def test_saved_model_folder(tmp_path, models):
    model = models.build(models.lstm, "tf_keras")
    bridge.save_model(model, tmp_path / "net")
    models.assert_same_outputs(model, bridge.load_model(tmp_path / "net"))


def test_carried_over_models_can_be_saved(tmp_path, models):
    i = keras.Input((4, 4, 2))
    x = keras.layers.RMSNormalization()(i)
    model = keras.Model(i, keras.ops.clip(x[:, 1:], 0.1, 0.9))
    flat = bridge.to_tf_keras(model)
    bridge.save_model(flat, tmp_path / "flat.keras")
    models.assert_same_outputs(flat, bridge.load_model(tmp_path / "flat.keras"))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ModelError, match="no model at"):
        bridge.load_model(tmp_path / "missing.keras")
    (tmp_path / "cut.keras").write_bytes(b"PK\x03\x04 cut off")
    (tmp_path / "cut.h5").write_bytes(b"\x89HDF\r\n\x1a\n cut off")
    for name in ("cut.keras", "cut.h5"):
        with pytest.raises(ModelError, match=r"keras: .*; tf_keras: "):
            bridge.load_model(tmp_path / name)


def test_a_compile_state_that_cannot_be_read_is_told(tmp_path):
    class Gone(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred[:, 0]

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", Gone())
    bridge.save_model(model, tmp_path / "net.keras")
    loaded = bridge.load_model(tmp_path / "net.keras")
    assert bridge.flavour(loaded) == "keras" and not loaded.compiled
    for model in (loaded, bridge.to_tf_keras(loaded)):
        problem = bridge.compile_problem(model)
        assert problem is not None and "Gone" in problem


def test_nothing_half_written(tmp_path, models):
    model = models.build(models.lstm, "keras")
    with pytest.raises(ArtifactError, match="net"):
        bridge.save_model(model, tmp_path / "no such folder" / "net.keras")
    with pytest.raises(ArtifactError):
        bridge.save_model(model, tmp_path / "net.unknown")
    assert list(tmp_path.iterdir()) == []


def test_hard_sigmoid_of_a_keras2_file_keeps_its_meaning(tmp_path):
    model = tf_keras.Sequential(
        [tf_keras.layers.Input((3,)), tf_keras.layers.Dense(2, activation="hard_sigmoid")]
    )
    model.save(tmp_path / "old.h5")
    loaded = bridge.load_model(tmp_path / "old.h5")
    x = np.linspace(-9, 9, 30, dtype="float32").reshape(10, 3)
    np.testing.assert_allclose(
        bridge.predict(loaded, [x])[0], model.predict(x, verbose=0), atol=1e-6
    )


def test_the_accuracy_of_a_keras2_file_can_be_trained_with(tmp_path):
    model = tf_keras.Sequential(
        [tf_keras.layers.Input((3,)), tf_keras.layers.Dense(2, activation="softmax")]
    )
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.eye(3, dtype=np.float32), np.eye(2, dtype=np.float32)[[0, 1, 0]]
    model.fit(x, y, verbose=0)  # names the function behind "accuracy"
    model.save(tmp_path / "old.h5")
    loaded = bridge.load_model(tmp_path / "old.h5")
    assert bridge.flavour(loaded) == "keras"
    Fit(x, y)(loaded)
    right = float(np.mean(loaded.predict(x, verbose=0).argmax(1) == y.argmax(1)))
    assert loaded.evaluate(x, y, verbose=0)[1] == pytest.approx(right)


@pytest.mark.parametrize(
    "name", ["mlperf_tiny_resnet8_cifar10.h5", "mobilenet_v1_025_224_imagenet.h5"]
)
def test_pretrained_models_load(shared, models, name):
    model = bridge.load_model(shared / "models" / name)
    models.assert_same_outputs(model, bridge.to_tf_keras(model, split=True))


def test_random_inputs_fit(keras_flavour):
    package = importlib.import_module(keras_flavour)
    layers = package.layers
    norm = layers.Normalization(mean=50.0, variance=100.0)
    i = [
        package.Input((4, 4, 3), name="pixels"),
        package.Input((5,), dtype="int64", name="tokens"),
        package.Input((2,), name="float_tokens"),
        package.Input((3,), name="measured"),
        package.Input((2,), name="plain"),
        package.Input((1,), dtype="bool", name="flag"),
        package.Input((None, 2), name="sequence"),
    ]
    inner = package.Sequential(
        [layers.Input((4, 4, 3)), layers.Rescaling(1 / 127.5, offset=-1), layers.Flatten()]
    )
    outs = [
        inner(i[0]),
        layers.Embedding(7, 2)(i[1]),
        layers.Embedding(30, 2)(i[2]),
        norm(i[3]),
        i[4] * 2.0,
        i[5],
        layers.GRU(2)(i[6]),
    ]
    model = package.Model(i, outs)
    assert bridge.input_specs(model)[1] == ("tokens", (None, 5), "int64")
    pixels, tokens, float_tokens, measured, plain, flag, sequence = bridge.random_inputs(
        model, n=200
    )
    assert 100 < pixels.max() <= 255 and pixels.min() >= 0 and pixels.shape == (200, 4, 4, 3)
    assert tokens.dtype == np.int64 and set(np.unique(tokens)) == set(range(7))
    assert set(np.unique(float_tokens)) == set(range(30)) and float_tokens.dtype == np.float32
    assert 30 <= measured.min() < 35 and 65 < measured.max() <= 70
    assert (
        plain.min() >= 0
        and plain.max() <= 1
        and flag.dtype == bool
        and sequence.shape == (200, 8, 2)
    )
    assert all(
        (a == b).all() for a, b in zip(bridge.random_inputs(model), bridge.random_inputs(model))
    )


def test_predict_in_batches(models, keras_flavour):
    model = models.build(models.fixed_batch, keras_flavour)  # batch size 2
    x = np.random.default_rng(0).random((7, 5), dtype="float32")
    kernel, bias = model.get_weights()
    np.testing.assert_allclose(bridge.predict(model, [x])[0], x @ kernel + bias, rtol=1e-5)
    model = models.build(models.dict_outputs, keras_flavour)
    x = [np.random.default_rng(n).random((150, 5), dtype="float32") for n in range(2)]
    alpha, zeta = bridge.predict(model, x)  # flat order of a dict: its sorted keys
    assert alpha.shape == (150, 3) and zeta.shape == (150, 2) and alpha.dtype == np.float32
    np.testing.assert_allclose(alpha, np.asarray(model(list(x))["alpha"]), rtol=1e-4, atol=1e-5)


def test_fingerprint_and_seed(models, keras_flavour):
    package = importlib.import_module(keras_flavour)

    def seeded(seed):
        bridge.set_seed(seed)
        return package.Sequential(
            [package.layers.Input((3,), name="i"), package.layers.Dense(4, name="d")], name="n"
        )

    one, same, other = (
        bridge.fingerprint(seeded(1)),
        bridge.fingerprint(seeded(1)),
        bridge.fingerprint(seeded(2)),
    )
    assert one == same and one != other and len(one) == 64
