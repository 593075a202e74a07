"""Real `.tflite` files, made once: every kind of matrix operation, several formats, a crash."""

import subprocess
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfcompress.core._types import Array, Model

MACS = {
    "CONV_2D": 14 * 14 * 8 * 27,
    "DEPTHWISE_CONV_2D": 12 * 12 * 8 * 9,
    "TRANSPOSE_CONV": 12 * 12 * 8 * 16,
    "FULLY_CONNECTED": 2304 * 10,
}
PARAMETERS = (27 * 8 + 8) + (9 * 8 + 8) + (8 * 4 * 4 + 4) + (2304 * 10 + 10)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Paths by name, the Keras model `net` behind most of them and images `x` [40, 16, 16, 3]."""
    import keras

    folder = tmp_path_factory.mktemp("tflite")
    x = np.random.default_rng(0).random((40, 16, 16, 3), dtype=np.float32)
    net = _net(keras)
    made = {
        "dynamic": _convert(net),
        "fixed": _convert(net, batch=1),
        "hybrid": _convert(net, quantized="weights"),
        "int8": _convert(net, batch=1, quantized="int8", x=x),
        "int8_float_io": _convert(net, quantized="float_io", x=x),
        "sigmoid": _convert(_binary(keras)),
        "crashing": crashing_file(),
        "truncated": _convert(net)[:50_000],
        "text": b"this is not a model at all",
    }
    paths = {}
    for name, data in made.items():
        paths[name] = folder / f"{name}.tflite"
        paths[name].write_bytes(data)
    return SimpleNamespace(net=net, x=x, folder=folder, macs=MACS, parameters=PARAMETERS, **paths)


@pytest.fixture(scope="session")
def python() -> Callable[..., Any]:
    """Run code in a fresh Python without TensorFlow, Keras, SciPy, rich and typer."""

    def run(code: str, *arguments: Any, status: int = 0) -> subprocess.CompletedProcess[str]:
        blocked = ["tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "rich"]
        blocked += ["typer", "scipy", "sklearn", "matplotlib"]
        preamble = f"import sys\nfor name in {blocked}: sys.modules[name] = None\n"
        done = subprocess.run(
            [sys.executable, "-c", preamble + code, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done

    return run


def crashing_file() -> bytes:
    """(x + int32 min) mod −1: the processor itself refuses that (SIGFPE), on x86."""
    from tfcompress._backend.tflite._flatbuffer import schema, write

    s = schema()
    model = s.ModelT(version=3, operatorCodes=[], buffers=[s.BufferT()], description="")
    graph = s.SubGraphT(tensors=[], inputs=[0], outputs=[4], operators=[], name="main")
    for number, value in enumerate((None, -(2**31), None, -1, None)):
        tensor = s.TensorT(
            shape=np.array([1], np.int32), type=s.TensorType.INT32, name=f"t{number}", buffer=0
        )
        if value is not None:
            model.buffers.append(
                s.BufferT(data=np.frombuffer(np.array([value], np.int32).tobytes(), np.uint8))
            )
            tensor.buffer = len(model.buffers) - 1
        graph.tensors.append(tensor)
    for number, (kind, inputs, outputs) in enumerate(
        (("ADD", [0, 1], [2]), ("FLOOR_MOD", [2, 3], [4]))
    ):
        code = getattr(s.BuiltinOperator, kind)
        model.operatorCodes.append(
            s.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=1)
        )
        options = {"ADD": "Add", "FLOOR_MOD": "FloorMod"}[kind] + "Options"
        graph.operators.append(
            s.OperatorT(
                opcodeIndex=number,
                inputs=inputs,
                outputs=outputs,
                builtinOptionsType=getattr(s.BuiltinOptions, options),
                builtinOptions=getattr(s, options + "T")(),
            )
        )
    model.subgraphs = [graph]
    return write(model)


def _net(keras: ModuleType) -> Model:
    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = layers.Input((16, 16, 3), name="image")
    h = layers.Conv2D(8, 3, activation="relu", bias_initializer="uniform", name="conv")(inputs)
    h = layers.DepthwiseConv2D(3, bias_initializer="uniform", name="depthwise")(h)
    h = layers.Conv2DTranspose(4, 2, strides=2, bias_initializer="uniform", name="transposed")(h)
    h = layers.Dense(10, activation="softmax", bias_initializer="uniform", name="dense")(
        layers.Flatten()(h)
    )
    return keras.Model(inputs, h)


def _binary(keras: ModuleType) -> Model:
    keras.utils.set_random_seed(2)
    inputs = keras.layers.Input((6,))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(inputs))


def _convert(
    model: Model, *, batch: int | None = None, quantized: str | None = None, x: Array | None = None
) -> bytes:
    import keras
    import tensorflow as tf

    from tfcompress._backend.quiet import quiet

    if batch:
        inputs = keras.layers.Input(batch_shape=(batch, *model.inputs[0].shape[1:]), name="image")
        model = keras.Model(inputs, model(inputs))
    with quiet():
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        if quantized:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantized in ("int8", "float_io"):
            assert x is not None
            converter.representative_dataset = lambda: ([x[i : i + 1]] for i in range(20))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if quantized == "int8":
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return converter.convert()
