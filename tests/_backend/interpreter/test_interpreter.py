"""Opening files: runtimes, batches, integer ends, names and order, and what is no model."""

import importlib

import numpy as np
import pytest

from tfcompress._backend.interpreter import _interpreter as interpreter
from tfcompress._backend.interpreter import _runtimes as runtimes
from tfcompress._backend.interpreter._interpreter import open_interpreter
from tfcompress._backend.interpreter._runtimes import RUNTIMES, available, choose
from tfcompress._backend.interpreter._tensors import TensorInfo
from tfcompress._backend.quiet import quiet
from tfcompress.core import DataError, InterpreterError


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).random((20, 8, 8, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def net():
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = layers.Input((8, 8, 1), name="image")
    h = layers.Conv2D(4, 3, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(h)))


@pytest.fixture(scope="module")
def data(net, x):
    """The net's files by name."""
    import keras
    import tensorflow as tf

    def convert(kind):
        inputs = keras.layers.Input(
            batch_shape=({"dynamic": None, "five": 5}.get(kind, 1), 8, 8, 1), name="image"
        )
        with quiet():
            converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, net(inputs)))
            if kind in ("int8", "uint8", "int16"):
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([item[None]] for item in x)
                sets = tf.lite.OpsSet
                wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
                converter.target_spec.supported_ops = [
                    wide if kind == "int16" else sets.TFLITE_BUILTINS_INT8
                ]
                converter.inference_input_type = converter.inference_output_type = getattr(tf, kind)
            return converter.convert()

    return {kind: convert(kind) for kind in ("dynamic", "one", "five", "int8", "uint8", "int16")}


@pytest.mark.parametrize(("kind", "batch"), [("dynamic", None), ("one", 1), ("five", 5)])
def test_any_number_of_samples_whatever_the_files_batch(data, net, x, kind, batch):
    opened = open_interpreter(data[kind])
    assert opened.batch == batch
    expected = np.asarray(net(x))
    for count in (1, 4, 5, 13, 20):
        (out,) = opened.predict([x[:count]], batch_size=6)
        np.testing.assert_allclose(out, expected[:count], atol=1e-5)


def test_run_takes_exactly_one_batch(data, net, x):
    (out,) = open_interpreter(data["five"]).run([x[:5]])
    np.testing.assert_allclose(out, np.asarray(net(x[:5])), atol=1e-5)
    with pytest.raises(DataError, match=r"takes \[5, 8, 8, 1\]; \[4, 8, 8, 1\] came"):
        open_interpreter(data["five"]).run([x[:4]])
    assert open_interpreter(data["dynamic"], batch=7).run([x[:7]])[0].shape == (7, 3)


@pytest.mark.parametrize(("kind", "bound"), [("int8", 0.03), ("uint8", 0.03), ("int16", 0.01)])
def test_integer_files_speak_real_numbers(data, net, x, kind, bound):
    opened = open_interpreter(data[kind])
    (spec,) = opened.inputs
    assert spec.dtype == np.dtype(kind) and spec.scale > 0
    (out,) = opened.predict([x])
    assert out.dtype == np.float32
    assert np.abs(out - np.asarray(net(x))).max() < bound
    stored = spec.store(x)
    np.testing.assert_array_equal(opened.predict([stored])[0], out)
    assert np.abs(spec.real(stored) - x).max() <= spec.scale / 2 + 1e-6


def test_values_beyond_the_range_are_clipped():
    info = TensorInfo(0, "x", (1,), np.dtype("int8"), np.array([0.5]), np.array([3]))
    np.testing.assert_array_equal(
        info.store([-1e9, -64.0, 0.0, 0.2, 0.3, 1e9]), [-128, -125, 3, 3, 4, 127]
    )
    np.testing.assert_array_equal(info.real(np.array([-128, 3, 127], np.int8)), [-65.5, 0.0, 62.0])


def test_plain_integers_must_be_whole():
    info = TensorInfo(0, "ids", (1,), np.dtype("int32"), np.array([]), np.array([]))
    assert info.store([3.0]).dtype == np.int32
    with pytest.raises(DataError, match="'ids' takes whole numbers"):
        info.store([3.5])


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_names_put_inputs_and_outputs_in_the_models_order(flavour):
    import tensorflow as tf

    kit = importlib.import_module(flavour)
    kit.utils.set_random_seed(0)
    inputs = [kit.layers.Input((4 + i,), name=name) for i, name in enumerate("bca")]
    h = kit.layers.Concatenate()([kit.layers.Dense(5)(item) for item in inputs])
    model = kit.Model(
        inputs, [kit.layers.Dense(2 + i, name=name)(h) for i, name in enumerate("yzx")]
    )
    with quiet():
        made = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    x = [np.random.default_rng(i).random((6, 4 + i), dtype=np.float32) for i in range(3)]
    expected = [np.asarray(out) for out in model(x)]
    # tf_keras's file knows the output layers' names; Keras 3's numbers its outputs, whatever their
    # order in the file.
    opened = open_interpreter(made, input_names=list("bca"), output_names=list("yzx"))
    assert [info.name for info in opened.inputs] == list("bca")
    for given in (x, dict(zip("bca", x))):
        for out, wanted in zip(opened.predict(given), expected, strict=True):
            np.testing.assert_allclose(out, wanted, atol=1e-5)
    with pytest.raises(DataError, match="has the inputs"):
        opened.predict({"b": x[0], "c": x[1], "d": x[2]})
    with pytest.raises(DataError, match=r"has 3 inputs .* 2 came"):
        opened.predict(x[:2])
    with pytest.raises(DataError, match="same number of samples"):
        opened.predict([x[0], x[1], x[2][:3]])


def test_open_height_and_width():
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [
            keras.layers.Input((None, None, 1)),
            keras.layers.Conv2D(2, 3, padding="same"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    with quiet():
        opened = open_interpreter(tf.lite.TFLiteConverter.from_keras_model(net).convert())
    assert opened.inputs[0].shape == (None, None, None, 1)
    for size in (8, 12):
        x = np.random.default_rng(size).random((3, size, size + 1, 1), dtype=np.float32)
        np.testing.assert_allclose(
            opened.predict([x], batch_size=2)[0], np.asarray(net(x)), atol=1e-5
        )


def test_tensors_operations_and_values(data):
    opened = open_interpreter(data["int8"], delegates=False)
    kinds = [op.kind for op in opened.ops()]
    assert kinds[0] == "CONV_2D" and "DELEGATE" not in kinds
    kernel = next(info for info in opened.tensors() if info.index == opened.ops()[0].inputs[1])
    assert kernel.shape == (4, 3, 3, 1) and kernel.dtype == np.int8 and len(kernel.scales) == 4
    assert opened.value(kernel.index).shape == (4, 3, 3, 1)


def test_paths_and_buffers_open_too(data, x, tmp_path):
    (tmp_path / "net.tflite").write_bytes(data["one"])
    wanted = open_interpreter(data["one"]).predict([x])[0]
    for given in (tmp_path / "net.tflite", str(tmp_path / "net.tflite"), bytearray(data["one"])):
        np.testing.assert_array_equal(open_interpreter(given, threads=2).predict([x])[0], wanted)


def test_opening_prints_nothing(data, capfd):
    open_interpreter(data["one"])
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_tensorflows_interpreter_gives_the_same(data, x):
    there, here = (open_interpreter(data["one"], runtime=name) for name in ("tensorflow", "auto"))
    assert (there.runtime, here.runtime) == ("tensorflow", "litert")
    np.testing.assert_allclose(there.predict([x])[0], here.predict([x])[0], atol=1e-6)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (b"", "0 bytes"),
        (b"\x00\x00", "2 bytes"),
        (b"some text that is long enough", "no identifier TFL3"),
        (b"PK\x03\x04 and so on", r"a \.keras archive"),
        (b"\x89HDF\r\n\x1a\n and so on", r"an \.h5 file"),
        ("/no/such/file.tflite", "Cannot read /no/such/file.tflite: No such file"),
    ],
)
def test_what_is_no_tflite_is_told(given, says):
    with pytest.raises(InterpreterError, match=says):
        open_interpreter(given)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file_is_told(data, tmp_path, share):
    path = tmp_path / "cut.tflite"
    path.write_bytes(data["one"][: int(len(data["one"]) * share)])
    with pytest.raises(InterpreterError, match=r"cut\.tflite does not load in litert"):
        open_interpreter(path)


def test_a_missing_or_unknown_runtime_says_what_to_do(monkeypatch):
    with pytest.raises(
        InterpreterError,
        match="Unknown runtime 'onnx'; choose from auto, litert, tflite_runtime, tensorflow",
    ):
        choose("onnx")

    def nothing(distribution):
        raise runtimes.PackageNotFoundError(distribution)

    monkeypatch.setattr(runtimes, "version", nothing)
    assert all(text.startswith("missing") for text in available().values())
    for name, (_, _, remedy) in RUNTIMES.items():
        with pytest.raises(InterpreterError) as error:
            choose(name)
        assert remedy in str(error.value)
    with pytest.raises(InterpreterError, match="pip install ai-edge-litert"):
        choose("auto")


def test_tflite_runtime_beside_numpy_2_is_refused(monkeypatch):
    monkeypatch.setattr(
        runtimes,
        "version",
        lambda distribution: "2.14.0" if distribution == "tflite-runtime" else "9.9",
    )
    monkeypatch.setattr(runtimes.np, "__version__", "2.4.6")
    with pytest.raises(
        InterpreterError, match=r"2\.14\.0 does not work with NumPy 2\.4\.6: pip install 'numpy<2'"
    ):
        choose("tflite_runtime")
    monkeypatch.setattr(runtimes.np, "__version__", "1.26.4")
    assert choose("tflite_runtime") == "tflite_runtime"


def test_an_interpreter_that_breaks_at_construction_gets_the_remedy(monkeypatch, data):
    class Broken:
        def __init__(self, **options):
            raise SystemError("returned a result with an exception set")

    monkeypatch.setattr(interpreter, "load_runtime", lambda name: (Broken, None))
    with pytest.raises(InterpreterError, match="does not work with NumPy"):
        open_interpreter(data["one"])
