"""Models that the bridge is tested with: each function takes the package (keras or tf_keras) and
returns a model."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest

from tfcompress._backend import bridge as bridge


def randomize(model, seed=0):
    """Give every weight another value than its initial one; variances stay positive."""
    rng = np.random.default_rng(seed)
    bridge.predict(
        model, bridge.random_inputs(model, n=2)
    )  # Keras 3 builds PReLU used as an activation in the first call only
    model.set_weights(
        [
            w + rng.uniform(0.05, 0.3, w.shape).astype(w.dtype) if w.dtype.kind == "f" else w
            for w in model.get_weights()
        ]
    )
    for layer in bridge.leaf_layers(model):
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def sequential(k):
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1"),
            layers.MaxPooling2D(),
            layers.SeparableConv2D(
                6, 3, padding="same", activation="relu6", depth_multiplier=2, name="separable"
            ),
            layers.BatchNormalization(name="bn"),
            layers.DepthwiseConv2D(3, strides=2, padding="same"),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(10, activation="softmax", name="out"),
        ],
        name="sequential",
    )


def nested(k):
    """Two inner models with the same layer names, one called twice, one inside another."""
    layers = k.layers

    def block(name, channels, inner=None):
        x = i = layers.Input((8, 8, channels))
        x = layers.Conv2D(
            4, 3, padding="same", name="conv", kernel_regularizer=k.regularizers.L2(1e-3)
        )(x)
        x = layers.BatchNormalization(name="bn")(x)
        if inner is not None:
            x = inner(x)
        return k.Model(i, layers.ReLU(name="relu")(x), name=name)

    tail = k.Sequential(
        [layers.Input((8, 8, 4)), layers.Conv2D(4, 1, name="conv"), layers.ELU()], name="tail"
    )
    first, second = block("first", 3), block("second", 4, tail)
    i = layers.Input((8, 8, 3), name="image")
    x = second(second(first(i)))
    x = layers.GlobalAveragePooling2D()(x)
    return k.Model(i, layers.Dense(3, name="conv_1")(x), name="nested")


def branches(k):
    """Dict inputs, list outputs, shared layer, operations, Lambda with arguments, an activation
    that is a layer."""
    layers = k.layers
    image, aux = k.Input((8, 8, 3), name="image"), k.Input((6,), name="aux")
    shared = layers.Conv2D(4, 3, padding="same", activation=layers.LeakyReLU(), name="shared")
    x = layers.Conv2D(3, 1, activation=layers.PReLU(), name="prelu")(image)
    x = shared(image) + shared(x)
    x = x[:, 1:-1, ::2] * 0.5 - 1.0
    x = layers.Lambda(lambda t, scale: t * scale, arguments={"scale": 2.0}, name="scaled")(x)
    x = layers.GlobalMaxPooling2D()(x)
    y = layers.Dense(4, activation="tanh")(aux)
    z = layers.Concatenate()([x, y, x * y])
    return k.Model(
        {"image": image, "aux": aux},
        [layers.Dense(2, name="a")(z), layers.Dense(1, name="b")(z)],
        name="branches",
    )


def dict_outputs(k):
    layers = k.layers
    i = [k.Input((5,), name="left"), k.Input((5,), name="right")]
    x = layers.Subtract()(i)
    return k.Model(
        i,
        {"zeta": layers.Dense(2)(x), "alpha": layers.Dense(3)(layers.Maximum()(i))},
        name="dict_outputs",
    )


def user_activation(x):
    return x * x + 1.0


def activations(k):
    names = [
        "selu",
        "softplus",
        "gelu",
        "swish",
        "hard_sigmoid",
        "exponential",
        "mish",
        "relu6",
        user_activation,
    ]
    x = i = k.Input((6,))
    outs = []
    for index, name in enumerate(names):
        outs.append(k.layers.Dense(4, activation=name, name=f"d{index}")(x))
    outs.append(k.layers.Activation("hard_sigmoid")(x * 3.0))
    outs.append(k.layers.Activation(user_activation)(x))
    return k.Model(i, outs, name="activations")


def preprocessing(k):
    layers = k.layers
    normalization = layers.Normalization(name="norm")
    normalization.adapt(
        np.random.default_rng(0).normal(100.0, 30.0, (64, 8, 8, 3)).astype("float32")
    )
    return k.Sequential(
        [
            layers.Input((8, 8, 3)),
            normalization,
            layers.Rescaling([0.5, 1.0, 2.0], offset=[0.1, 0.0, -0.1]),
            layers.RandomFlip("horizontal"),
            layers.Resizing(6, 6),
            layers.ZeroPadding2D(1),
            layers.Conv2D(2, 3),
            layers.UpSampling2D(2, interpolation="bilinear"),
            layers.Conv2DTranspose(2, 3, strides=2, padding="same"),
            layers.GroupNormalization(2),
            layers.Cropping2D(1),
            layers.AveragePooling2D(2),
            layers.UnitNormalization(),
        ],
        name="preprocessing",
    )


def recurrent(k):
    """Masks through stacked recurrent layers."""
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((7,), dtype="int32"),
            layers.Embedding(12, 6, mask_zero=True),
            layers.Bidirectional(
                layers.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid"),
                name="both",
            ),
            layers.GRU(4, return_sequences=True),
            layers.TimeDistributed(layers.Dense(4, activation="relu")),
            layers.SimpleRNN(4),
            layers.Dense(2, activation="softmax"),
        ],
        name="recurrent",
    )


def lstm(k):
    layers = k.layers
    return k.Sequential(
        [layers.Input((6, 3)), layers.LSTM(4, name="lstm"), layers.Dense(2, name="out")],
        name="lstm_net",
    )


def transformer(k):
    layers = k.layers
    tokens = k.Input((6,), dtype="int32", name="tokens")
    x = layers.Embedding(20, 8)(tokens)
    for index in range(2):
        attended = layers.MultiHeadAttention(2, 4, dropout=0.1, name=f"mha{index}")(
            x, x, use_causal_mask=True
        )
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, attended]))
        y = layers.Dense(16, activation="gelu")(x)
        y = layers.Dense(8)(layers.Dropout(0.1)(y))
        x = layers.LayerNormalization(epsilon=1e-6)(x + y)
    x = layers.GlobalAveragePooling1D()(x)
    return k.Model(tokens, layers.Dense(3, activation="softmax")(x), name="transformer")


def time_distributed_model(k):
    layers = k.layers
    image = layers.Input((5, 5, 1))
    norms = (
        layers.BatchNormalization(),
        layers.BatchNormalization(),
    )  # weights of two, in an order the Kerases do not share
    inner = k.Sequential(
        [image, layers.Conv2D(3, 3), norms[0], layers.Conv2D(2, 1), norms[1], layers.Flatten()]
    )
    return k.Sequential(
        [
            layers.Input((4, 5, 5, 1)),
            layers.TimeDistributed(inner),
            layers.GlobalAveragePooling1D(),
        ],
        name="frames",
    )


def mixed_precision(k):
    layers = k.layers
    return k.Sequential(
        [
            layers.Input((8, 8, 2)),
            layers.Conv2D(4, 3, dtype="mixed_bfloat16"),
            layers.BatchNormalization(dtype="mixed_bfloat16"),
            layers.Flatten(),
            layers.Dense(3, dtype="float32"),
        ],
        name="mixed",
    )


def free_size(k):
    layers = k.layers
    x = i = k.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2)(x)
    return k.Model(i, [layers.GlobalAveragePooling2D()(x), x], name="free_size")


def fixed_batch(k):
    layers = k.layers
    i = k.Input(batch_shape=(2, 5)) if k.__name__ == "keras" else k.Input(shape=(5,), batch_size=2)
    return k.Model(i, layers.Dense(3)(i), name="fixed_batch")


ALL = [
    sequential,
    nested,
    branches,
    dict_outputs,
    activations,
    preprocessing,
    recurrent,
    lstm,
    transformer,
    time_distributed_model,
    mixed_precision,
    free_size,
    fixed_batch,
]


def build(function, flavour):
    """The model with random weights."""
    return randomize(function(importlib.import_module(flavour)))


def assert_same_outputs(first, second, tolerance=1e-4):
    """Both models give the same outputs on random input, relative to their magnitude."""
    inputs = bridge.random_inputs(first, n=3, seed=5)
    ours, theirs = bridge.predict(first, inputs), bridge.predict(second, inputs)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * (np.abs(a).max() + 1e-2))


@pytest.fixture(params=ALL, ids=lambda function: function.__name__)
def any_model(request, keras_flavour):
    """One model of every kind the bridge must carry, in both Kerases."""
    return build(request.param, keras_flavour)


@pytest.fixture(scope="session")
def models():
    """The same models by name, not yet built: `models.build(models.nested, "keras")`."""
    functions = {function.__name__: function for function in ALL}
    return SimpleNamespace(
        build=build, assert_same_outputs=assert_same_outputs, randomize=randomize, **functions
    )
