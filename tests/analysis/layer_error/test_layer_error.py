"""`error_by_layer`: planted faults come first, its formulas, and what it refuses."""

import json

import numpy as np
import pytest

from tfcompress import error_by_layer
from tfcompress._backend.tflite import _converter as converter
from tfcompress._backend.tflite import _flatbuffer as flatbuffer
from tfcompress.core import DataError, ModelError

INT8 = converter.Format("int8", optimize=True, activations="int8")
CONV2 = ["conv2", "bn2", "relu2"]


def int8(model, x, **options):
    return converter.convert(model, INT8, x, **options)


@pytest.fixture(scope="module")
def file(trained, digits):
    return int8(trained, digits[0][:200])


@pytest.fixture(scope="module")
def errors(file, trained, digits):
    return error_by_layer(file, trained, digits[2][:60])


def changed(trained, change):
    """A copy of the trained net, of the same Keras, whose weights `change` was given by layer."""
    from tfcompress._backend import bridge

    copy = bridge.clone(trained)
    layers = {layer.name: layer for layer in copy.layers}
    change(layers)
    return copy


def clipped(errors, layer) -> float:
    share = errors[layer].clipped
    assert share is not None
    return share


def set_kernel(layer, change):
    kernel, *rest = layer.get_weights()
    layer.set_weights([change(kernel.copy()), *rest])


def test_layers_have_the_users_names_and_fused_ones_say_where_they_are(errors):
    wanted = ["conv1", "pool1", "conv2", "flatten", "dense1", "dense2"]
    assert [each.layer for each in errors] == wanted
    assert errors.inside["bn2"] == errors.inside["relu2"] == "conv2"
    assert set(errors["conv2"].inside) >= {"bn2", "relu2"} and errors["bn2"] is errors["conv2"]
    assert not errors.unmatched
    assert errors["dense2"].operators == ("FULLY_CONNECTED", "SOFTMAX")
    assert sorted(errors.rank()) == sorted(each.layer for each in errors)


def test_a_sound_file_has_small_errors(errors):
    for each in errors:
        assert 0 < each.error < 0.1 and each.stored == "int8"
        assert each.snr_db == pytest.approx(-20 * np.log10(each.error))
        assert 0.1 < each.range_used <= 1 and each.clipped < 0.05
    assert errors["pool1"].added < 1e-6 and errors["pool1"].error > 0
    kernel = errors["conv2"].kernel
    assert kernel.stored == "int8" and 0 < kernel.error < 0.02 and kernel.range_used == 1


def test_the_last_layers_error_is_that_of_the_outputs(errors, file, trained, digits):
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    x = digits[2][:60]
    exact = np.asarray(trained.predict(x, verbose=0), np.float64)
    outputs = open_interpreter(file, delegates=False).predict([x])[0]
    wanted = np.linalg.norm(outputs - exact) / np.linalg.norm(exact)
    assert errors["dense2"].error == pytest.approx(wanted, rel=1e-4)
    assert errors["dense2"].effect == pytest.approx(
        errors["dense2"].added * norm_of_local(trained, file, x) / np.linalg.norm(exact), rel=1e-3
    )


def norm_of_local(trained, file, x):
    """‖Keras's last layer of the file's own values before it‖."""
    from tfcompress._backend.interpreter._interpreter import open_interpreter

    opened = open_interpreter(file, keep_tensors=True)
    op = next(op for op in opened.ops() if op.kind == "FULLY_CONNECTED" and op.outputs)
    info = next(info for info in opened.tensors() if info.index == op.outputs[0])
    rows = []
    for row in x:
        opened.run([row[None]])
        rows.append(info.real(opened.value(info.index))[0])
    kernel, bias = trained.get_layer("dense2").get_weights()
    logits = np.array(rows) @ kernel + bias
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.linalg.norm(powers / powers.sum(axis=1, keepdims=True))


def test_a_float_file_is_exact_and_has_no_integers(trained, digits):
    data = converter.convert(trained, converter.Format("float32"))
    errors = error_by_layer(data, trained, digits[2][:5])
    for each in errors:
        assert each.error < 1e-5 and each.clipped is None and each.range_used is None


def test_a_kernel_channel_times_1000_comes_first(trained, digits):
    """The channel is divided by 1,000 again behind it: the same function, but not in 8 bits."""

    def plant(layers):
        set_kernel(layers["conv1"], lambda kernel: scaled(kernel, 3, 1000))
        kernel, bias = layers["conv1"].get_weights()
        bias[3] *= 1000
        layers["conv1"].set_weights([kernel, bias])
        set_kernel(
            layers["conv2"], lambda kernel: scaled(kernel.swapaxes(2, 3), 3, 1e-3, back=True)
        )

    def scaled(kernel, channel, factor, back=False):
        kernel[..., channel] *= factor
        return kernel.swapaxes(2, 3) if back else kernel

    model = changed(trained, plant)
    x = digits[2][:100]
    np.testing.assert_allclose(
        model.predict(x, verbose=0), trained.predict(x, verbose=0), rtol=1e-3, atol=1e-4
    )
    errors = error_by_layer(int8(model, digits[0][:200]), model, x)
    assert errors.rank()[0] == "conv1"


def test_a_channel_scaled_in_the_file_alone_comes_first(file, trained, digits):
    tree = flatbuffer.read(file)
    for op in tree.subgraphs[0].operators:
        weight = tree.subgraphs[0].tensors[op.inputs[1]] if len(op.inputs) > 1 else None
        if weight is not None and weight.name == b"conv2":
            scales = np.array(weight.quantization.scale)
            scales[5] *= 1000
            weight.quantization.scale = scales
    errors = error_by_layer(flatbuffer.write(tree), trained, digits[2][:60])
    assert errors.rank()[0] == "conv2"


def test_an_activation_range_times_50_comes_first(file, trained, digits):
    tree = flatbuffer.read(file)
    graph = tree.subgraphs[0]
    for op in graph.operators:
        if flatbuffer.op_name(tree, op) in ("CONV_2D", "FULLY_CONNECTED"):
            output = graph.tensors[op.outputs[0]]
            if output.name == b"dense1":
                output.quantization.scale = np.array(output.quantization.scale) * 50
        for place, index in enumerate(op.inputs):
            if place == 0 and graph.tensors[index].name == b"dense1":
                rescale_bias(tree, graph.tensors[op.inputs[2]], 50)
    errors = error_by_layer(flatbuffer.write(tree), trained, digits[2][:60])
    assert errors.rank()[0] == "dense1"
    assert (errors["dense1"].range_used or 1) < 0.03


def rescale_bias(tree, tensor, factor):
    """The same real bias with a scale `factor` times as large."""
    stored = flatbuffer.constant(tree, tensor)
    tree.buffers[tensor.buffer].data = np.rint(stored / factor).astype("<i4").view(np.uint8)
    tensor.quantization.scale = np.array(tensor.quantization.scale) * factor


def test_weights_in_two_bits_come_first(trained, digits):
    def plant(layers):
        set_kernel(layers["conv2"], two_bits)

    rounded = changed(trained, plant)
    errors = error_by_layer(int8(rounded, digits[0][:200]), trained, digits[2][:60])
    assert errors.rank()[0] == "conv2"
    kernels = {each.layer: each.kernel.error for each in errors if each.kernel}
    assert max(kernels, key=kernels.__getitem__) == "conv2" and kernels["conv2"] > 0.1


def two_bits(kernel):
    step = np.abs(kernel).max(axis=(0, 1, 2)) / 1.5
    return step * np.clip(np.floor(kernel / step) + 0.5, -1.5, 1.5)


def test_a_class_missing_from_calibration_shows_where_it_clips():
    """One unit answers to the second class alone: the range learned without that class clips it."""
    import keras

    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((8,)),
            keras.layers.Dense(8, activation="relu", name="mix"),
            keras.layers.Dense(8, activation="relu", name="detect"),
            keras.layers.Dense(4, name="answer"),
        ]
    )
    x = rng.normal(size=(400, 8)).astype("float32")
    y = np.arange(400) % 2
    x[:, 0] = np.where(y == 1, 3, -3)
    mix = np.eye(8, dtype="float32")
    detect = 0.3 * np.eye(8, dtype="float32")
    detect[0, 0] = 10
    model.get_layer("mix").set_weights([mix, np.zeros(8)])
    model.get_layer("detect").set_weights([detect, np.zeros(8)])
    whole = error_by_layer(int8(model, x), model, x)
    assert clipped(whole, "detect") < 0.001
    # The input's own range is the same for both classes.
    half = x[y == 0].copy()
    half[:, 1] = np.clip(half[:, 1], None, 3)
    half[0, 1] = 3
    errors = error_by_layer(int8(model, half), model, x)
    assert max(clipped(errors, "mix"), clipped(errors, "detect")) > 0.02
    assert errors.rank()[0] == max(errors, key=lambda each: clipped(errors, each.layer)).layer


def test_a_layer_called_twice_is_compared_call_by_call():
    import keras

    keras.utils.set_random_seed(0)
    shared = keras.layers.Dense(6, activation="relu", name="shared")
    inputs = keras.layers.Input((6,))
    outputs = keras.layers.Dense(3, name="head")(shared(shared(inputs)))
    model = keras.Model(inputs, outputs)
    x = np.random.default_rng(0).normal(size=(120, 6)).astype("float32")
    errors = error_by_layer(int8(model, x), model, x[:20])
    assert [each.layer for each in errors] == ["shared (call 1)", "shared (call 2)", "head"]
    assert all(each.error < 0.1 for each in errors)


def test_table_json_html_and_picture(errors, tmp_path):
    assert str(errors) == errors.table()
    lines = errors.table().splitlines()
    assert lines[1].startswith(errors.rank()[0]) and len(lines) == 1 + len(errors) + 2
    assert len(errors.table(2).splitlines()) == 1 + 2 + 2
    data = json.loads(errors.to_json())
    assert data["inputs"] == 60 and data["layers"][0]["layer"] == "conv1"
    assert "<table>" in errors._repr_html_() and "conv2" in errors._repr_html_()
    errors.plot(path=tmp_path / "errors.png")
    assert (tmp_path / "errors.png").stat().st_size > 1000
    with pytest.raises(KeyError, match="nothing"):
        errors["nothing"]


def test_a_file_of_another_model_is_refused(file, trained, digits, tiny):
    def other(layers):
        rng = np.random.default_rng(0)
        for layer in layers.values():
            layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])

    with pytest.raises(ModelError, match="other weights"):
        error_by_layer(file, changed(trained, other), digits[2][:5])
    import keras

    wide = keras.Sequential([keras.layers.Input((9, 9, 1)), keras.layers.Flatten()])
    with pytest.raises(ModelError, match="inputs are"):
        error_by_layer(file, wide, np.random.rand(3, 9, 9, 1).astype("float32"))


def test_layers_without_a_tensor_of_their_size_are_listed(file, trained, digits):
    """A file whose operator of a layer has another size than the layer says so."""
    import keras

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, name="conv1"),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax", name="dense2"),
        ]
    )
    with pytest.raises(ModelError, match=r"conv1: none of its 1 tensors|other weights"):
        error_by_layer(file, model, digits[2][:5])


def test_bad_inputs(file, trained, digits):
    with pytest.raises(DataError, match="inputs=0"):
        error_by_layer(file, trained, digits[2][:5], inputs=0)
    with pytest.raises(DataError):
        error_by_layer(file, trained, np.random.rand(3, 5, 5, 1).astype("float32"))
