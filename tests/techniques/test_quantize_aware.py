import numpy as np
import pytest

from tfcompress._backend import tfmot
from tfcompress._backend.bridge import load_model
from tfcompress.core import InvariantError, ModelError, RecipeError
from tfcompress.techniques import Cluster, Prune, QuantizeAware

ONE_STEP = {"epochs": 1, "steps_per_epoch": 1}
WRAPPED = {"conv1", "pool1", "conv2", "bn2", "relu2", "flatten", "dense1", "dense2"}


def strip(technique, model):
    return technique.strip(technique.apply(model))


@pytest.fixture(scope="module")
def sparse(trained):
    return strip(Prune(0.5), trained("keras"))


@pytest.fixture(scope="module")
def clustered(trained):
    return strip(Cluster(8), trained("keras"))


@pytest.fixture(scope="module")
def both(sparse):
    return strip(Cluster(8, keep_zeros=True), sparse)


def test_plain_trains_and_keeps_its_wrappers(model, run, digits):
    technique = QuantizeAware()
    stripped, checks = run(technique, model, epochs=1)
    assert {wrapper.layer.name for wrapper in tfmot.wrapped_quantized(stripped)} == WRAPPED
    assert checks[0].value == checks[0].bound == 8 and technique.skips(model) == ()
    assert stripped.evaluate(digits[2], digits[3], verbose=0)[1] > 0.8
    codes = tfmot.quantized_kernels(stripped)["dense1"][0]
    assert len(np.unique(codes)) <= 255


@pytest.mark.parametrize("preserve", ["sparsity", "both"])
def test_zeros_stay_zero_after_fake_quantization(run, sparse, preserve):
    stripped, _ = run(QuantizeAware(preserve=preserve), sparse, epochs=1)
    kernels = tfmot.quantized_kernels(stripped)
    for name in ("conv1", "conv2", "dense1", "dense2"):
        source, kernel = sparse.get_layer(name).get_weights()[0], kernels[name][0]
        assert (kernel[source == 0] == 0).all() and np.mean(kernel == 0) < 0.6


@pytest.mark.parametrize("preserve", ["clusters", "both"])
def test_clusters_stay_and_move(run, clustered, preserve):
    stripped, checks = run(QuantizeAware(preserve=preserve), clustered, epochs=1)
    kernels = tfmot.quantized_kernels(stripped)
    for name in ("conv1", "conv2", "dense1", "dense2"):
        source, kernel = clustered.get_layer(name).get_weights()[0], kernels[name][0]
        values, index = np.unique(source, return_inverse=True)
        assert len(np.unique(kernel)) <= len(values) <= 8
        for k in range(len(values)):
            assert (
                len(np.unique(kernel.reshape(-1)[index.reshape(-1) == k])) == 1
            )  # the assignment is fixed
    assert not np.allclose(
        kernels["dense1"][0], clustered.get_layer("dense1").get_weights()[0], atol=1e-2
    )  # trained
    assert len([check for check in checks if check.what == "different values"]) == 4


def test_both_keeps_zeros_and_clusters(run, both, digits):
    stripped, _ = run(QuantizeAware(preserve="both"), both, epochs=2)
    for name, (kernel,) in tfmot.quantized_kernels(stripped).items():
        source = both.get_layer(name).get_weights()[0]
        assert (kernel[source == 0] == 0).all() and len(np.unique(kernel)) <= 8
    assert stripped.evaluate(digits[2], digits[3], verbose=0)[1] > 0.75


def test_per_channel_clusters_stay_per_channel(trained, run):
    source = strip(Cluster(4, per_channel=True, only="conv."), trained("tf_keras"))
    stripped, _ = run(QuantizeAware(preserve="clusters"), source, **ONE_STEP)
    kernel = tfmot.quantized_kernels(stripped)["conv2"][0]
    assert (
        max(len(np.unique(kernel[..., c])) for c in range(16)) <= 4 and len(np.unique(kernel)) > 8
    )


def test_strip_removes_the_helpers_and_changes_no_output(both, digits):
    technique = QuantizeAware(preserve="both")
    wrapped = technique.apply(both)
    wrapped.fit(digits[0], digits[1], verbose=0, **ONE_STEP)
    stripped = technique.strip(wrapped)
    assert any("index" in weight.name for weight in wrapped.weights)
    plain = QuantizeAware().apply(both)
    assert sorted(str(w.shape) for w in stripped.weights) == sorted(
        str(w.shape) for w in plain.weights
    )
    np.testing.assert_allclose(
        stripped.predict(digits[2][:16], verbose=0),
        wrapped.predict(digits[2][:16], verbose=0),
        atol=1e-6,
    )


@pytest.mark.parametrize("what", ["wrapped", "stripped"])
def test_saved_models_are_read_back(both, digits, tmp_path, what):
    technique = QuantizeAware(preserve="both")
    net = technique.apply(both)
    net.fit(digits[0], digits[1], verbose=0, **ONE_STEP)
    net = technique.strip(net) if what == "stripped" else net
    net.save(tmp_path / "net.keras")
    read = load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(
        net.predict(digits[2][:16], verbose=0), read.predict(digits[2][:16], verbose=0)
    )


@pytest.mark.parametrize("preserve", ["sparsity", "both"])
def test_tfmots_own_schemes_are_selectable(run, both, preserve):
    stripped, _ = run(QuantizeAware(preserve=preserve, scheme="tfmot"), both, **ONE_STEP)
    kernel, source = (
        tfmot.quantized_kernels(stripped)["dense1"][0],
        both.get_layer("dense1").get_weights()[0],
    )
    assert (kernel[source == 0] == 0).all()


def test_selection_takes_batch_normalization_and_activation_along(trained, run):
    technique = QuantizeAware(only=["conv2"])
    stripped, _ = run(technique, trained("keras"), **ONE_STEP)
    inside = {
        wrapper.layer.name: type(wrapper.quantize_config).__name__
        for wrapper in tfmot.wrapped_quantized(stripped)
    }
    assert (
        set(inside) == {"conv2", "bn2", "relu2", "pool1"}
        and technique.skips(trained("keras")) == ()
    )
    assert inside["pool1"] == "OutputConfig"  # not selected: only what it hands to conv2 is rounded
    with pytest.raises(RecipeError, match="Near: conv2"):
        QuantizeAware(skip=["conv22"]).apply(trained("keras"))


def odd_net(keras_flavour):
    """A net of layers that TFMOT refuses as a whole."""
    import importlib

    keras = importlib.import_module(keras_flavour)
    layers = keras.layers

    class Square(layers.Layer):
        def call(self, x):
            return x * x

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = layers.Rescaling(2.0, -1.0, name="rescale")(inputs)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5], name="normalize")(x)
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.BatchNormalization(name="lone")(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(x)
    x = layers.Multiply(name="gated")([x, gate])
    x = layers.Activation("swish", name="swish")(x)
    x = layers.SeparableConv2D(6, 3, activation="elu", name="separable")(x)
    x = Square(name="square")(x)
    x = layers.Reshape((16, 6), name="row")(x)
    x = layers.BatchNormalization(name="in_row")(
        layers.Conv1D(5, 3, activation="relu", name="conv1d")(x)
    )
    x = layers.Flatten(name="flat")(x)
    x = layers.LayerNormalization(name="layer_norm")(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(x))


def test_refused_layers_are_listed_and_the_rest_is_quantized(keras_flavour):
    net = odd_net(keras_flavour)
    lone = net.get_layer("lone")
    lone.set_weights([w + 0.3 * np.arange(4) for w in lone.get_weights()])
    technique = QuantizeAware()
    skipped = {item.layer: item.kind for item in technique.skips(net)}
    assert skipped == {
        "separable": "SeparableConv2D",
        "square": "Square",
        "layer_norm": "LayerNormalization",
    }
    wrapped = technique.apply(net)
    inside = {wrapper.layer.name: wrapper for wrapper in tfmot.wrapped_quantized(wrapped)}
    known = {
        "rescale",
        "normalize",
        "conv",
        "lone",
        "gate",
        "gated",
        "swish",
        "separable_depthwise",
        "separable_pointwise",
        "conv1d",
        "in_row",
        "out",
    }
    assert known <= set(inside)
    for name in skipped:  # float32 inside; at most the output is rounded for the next
        assert name not in inside or type(inside[name].quantize_config).__name__ == "OutputConfig"
    assert type(inside["in_row"].layer).__name__ == "Affine"
    x = np.random.RandomState(0).rand(2, 4, 4, 4).astype("float32")
    for name, channels in (("rescale", 3), ("normalize", 3), ("lone", 4)):
        layer = inside[name].layer
        assert type(layer).__name__ == "DepthwiseConv2D" and layer.trainable == (name == "lone")
        kernel, bias = (
            (np.array(w) for w in layer.weights)
            if len(layer.weights) == 2
            else (inside[name]._weight_vars[0][0], layer.bias)
        )
        wanted = np.array(net.get_layer(name)(x[..., :channels], training=False))
        np.testing.assert_allclose(
            x[..., :channels] * np.array(kernel)[0, 0, :, 0] + np.array(bias),
            wanted,
            rtol=1e-4,
            atol=1e-5,
        )


def test_nothing_to_quantize_names_the_reasons():
    import keras

    net = keras.Sequential([keras.layers.Input((4, 3)), keras.layers.LSTM(2, name="recurrent")])
    with pytest.raises(ModelError, match="recurrent"):
        QuantizeAware().apply(net)


@pytest.mark.parametrize(
    "options", [{"bits": 4}, {"preserve": "zeros"}, {"scheme": "mine"}, {"only": 3}]
)
def test_bad_options_are_refused(options):
    with pytest.raises(RecipeError, match="MixedPrecision" if "bits" in options else "must be"):
        QuantizeAware(**options)


def test_check_names_what_was_lost(clustered, sparse):
    technique = QuantizeAware(preserve="clusters")
    with pytest.raises(InvariantError, match="no layer is no longer quantized"):
        technique.check(clustered, clustered)
    with pytest.raises(InvariantError, match=r"had \d different values and has \d+"):
        technique.check(clustered, QuantizeAware().apply(sparse))
    with pytest.raises(InvariantError, match="zeros of 'conv1'"):
        QuantizeAware(preserve="sparsity").check(sparse, QuantizeAware().apply(clustered))


def test_labels():
    assert [QuantizeAware(preserve=p).label for p in (None, "sparsity", "clusters", "both")] == [
        "qat",
        "pqat",
        "cqat",
        "pcqat",
    ]


@pytest.mark.slow
def test_the_int8_file_is_all_integer_and_holds_the_clusters(tmp_path):
    import keras
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = layers.Rescaling(1 / 2.0, -0.25)(inputs)
    x = layers.Conv2D(8, 3, activation="swish", name="first")(x)
    x = layers.BatchNormalization()(x)
    x = layers.Conv2D(16, 3, name="second")(x)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling2D()(layers.Activation("relu")(x))
    gate = layers.Conv2D(16, 1, activation="sigmoid", name="gate")(
        layers.GlobalAveragePooling2D(keepdims=True)(x)
    )
    x = layers.Multiply()([x, gate])
    x = layers.Concatenate()(
        [layers.Conv2D(4, 1, name="left")(x), layers.AveragePooling2D(3, 1, padding="same")(x)]
    )
    x = layers.Reshape((36, 20))(layers.Activation("hard_swish")(x))
    x = layers.BatchNormalization(name="affine")(
        layers.Conv1D(12, 3, activation="relu", name="row")(x)
    )
    x = layers.BatchNormalization()(
        layers.Dense(8, activation="relu", name="hidden")(layers.Flatten()(x))
    )
    net = keras.Model(inputs, layers.Dense(4, name="out")(x))
    net.compile("adam", "mse")
    clustered = strip(Cluster(8), net)
    technique = QuantizeAware(preserve="clusters")
    assert technique.skips(clustered) == ()
    wrapped = technique.apply(clustered)
    random = np.random.RandomState(0)
    wrapped.fit(random.rand(64, 16, 16, 3), random.rand(64, 4), epochs=2, verbose=0)
    stripped = technique.strip(wrapped)
    function = tf.function(lambda a: stripped(a, training=False)).get_concrete_function(
        tf.TensorSpec((1, 16, 16, 3))
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], stripped)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    reader = Interpreter(
        model_content=converter.convert(),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    reader.allocate_tensors()
    tensors = {tensor["index"]: tensor for tensor in reader.get_tensor_details()}
    assert not [tensor["name"] for tensor in tensors.values() if tensor["dtype"] == np.float32]
    for operation in reader._get_ops_details():
        if operation["op_name"] in ("CONV_2D", "FULLY_CONNECTED"):
            assert len(np.unique(reader.get_tensor(operation["inputs"][1]))) <= 8, operation


@pytest.mark.parametrize("what", ["where", "maximum", "concatenate"])
def test_operations_that_join_two_ranges_become_int8(what):
    import keras

    import tfcompress as tfc
    from tfcompress.training import Fit

    keras.utils.set_random_seed(0)
    layers, ops = keras.layers, keras.ops
    image = keras.Input((8, 8, 1))
    left, right = (
        layers.Conv2D(4, 3, activation="relu", name=name)(image) for name in ("left", "right")
    )
    join = {
        "where": lambda: ops.where(left > right, left, 3 * right),
        "maximum": lambda: ops.maximum(left, 3 * right),
        "concatenate": lambda: ops.concatenate([left, 3 * right], -1),
    }[what]
    model = keras.Model(
        image, layers.Dense(3, activation="softmax", name="out")(layers.Flatten()(join()))
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x, y = rng.random((128, 8, 8, 1), dtype="float32"), rng.integers(0, 3, 128)
    art = tfc.compress(model, "qat-int8", fit=Fit(x, y, epochs=1), samples=x)
    held = {
        layer.name.removeprefix("quant_"): layer.encoding for layer in tfc.packed_layers(art.data)
    }
    assert {held[name] for name in ("left", "right", "out")} == {"int8"}
    assert {item.layer.split("_")[0] for item in art.skipped} <= {"where", "greater"}


@pytest.mark.parametrize("kind", ["ids", "pixels", "ids and numbers"])
def test_inputs_of_whole_numbers_get_no_range(kind, keras_flavour, tmp_path):
    import importlib

    keras = importlib.import_module(keras_flavour)
    keras.utils.set_random_seed(0)
    layers, rng = keras.layers, np.random.default_rng(0)
    if kind == "pixels":
        inputs = keras.Input((4, 4, 2), dtype="uint8")
        x = layers.Conv2D(3, 3, activation="relu", name="first")(layers.Rescaling(1 / 255)(inputs))
        data = rng.integers(0, 256, (16, 4, 4, 2)).astype("uint8")
    else:
        inputs = ids = keras.Input((6,), dtype="int32")
        x, data = layers.Embedding(9, 4)(ids), rng.integers(0, 9, (16, 6)).astype("int32")
        if kind == "ids and numbers":
            inputs = [ids, keras.Input((6, 4))]
            x = layers.Concatenate()([x, layers.Dense(4)(inputs[1])])
            data = [data, rng.random((16, 6, 4), dtype="float32")]
        x = layers.Dense(3, activation="relu", name="first")(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.Flatten()(x)))
    model.compile("sgd", "mse")
    technique = QuantizeAware()
    wrapped = technique.apply(model)
    wrapped.fit(data, rng.random((16, 2)), verbose=0)
    technique.check(model, technique.strip(wrapped))
    assert {"first", "out"} <= {layer.layer.name for layer in tfmot.wrapped_quantized(wrapped)}
    ranges = [layer for layer in wrapped.layers if type(layer).__name__ == "QuantizeLayer"]
    wanted = {"ids": [False], "pixels": [False], "ids and numbers": [False, True]}[kind]
    assert [layer.quantizer is not None for layer in ranges] == wanted
    wrapped.save(tmp_path / "net.keras")
    read = load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(wrapped.predict(data, verbose=0), read.predict(data, verbose=0))


@pytest.mark.parametrize("kind", ["LSTM", "Bidirectional"])
def test_recurrent_layers_that_stay_float_are_written_step_by_step(kind):
    import keras

    import tfcompress as tfc
    from tfcompress.training import Fit

    keras.utils.set_random_seed(0)
    layers = keras.layers
    recurrent = layers.LSTM(5) if kind == "LSTM" else layers.Bidirectional(layers.GRU(3))
    model = keras.Sequential([keras.Input((4, 3)), recurrent, layers.Dense(3, name="out")])
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    x, y = 3 * rng.normal(size=(128, 4, 3)).astype("float32"), rng.random((128, 3))
    with pytest.warns(UserWarning, match="more than the .* of the same model in float32"):
        art = tfc.compress(model, "qat-int8", fit=Fit(x, y), samples=x, seed=0)
    assert [item.kind for item in art.skipped] == [kind]
    encodings = {layer.name: layer.encoding for layer in tfc.packed_layers(art.data)}
    assert encodings.get("out", encodings.get("quant_out")) == "int8"
