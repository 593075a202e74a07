"""Optimizers copied: every setting of every class of both Kerases, and what is left out of weight
decay.
"""

import importlib

import numpy as np
import pytest

from tfcompress._backend import bridge
from tfcompress._backend.bridge._optimizers import fresh, rate_of
from tfcompress._backend.bridge._training import ready_optimizer
from tfcompress.core import TrainingError

NO_CLASSES = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer", "OptimizerMap")
# What is set in no class, or together with nothing else.
EXCLUSIVE = ("clipnorm", "clipvalue", "loss_scale_factor", "gradient_accumulation_steps")


def classes():
    pairs = []
    for flavour in ("keras", "tf_keras"):
        optimizers = importlib.import_module(flavour).optimizers
        names = [name for name in dir(optimizers) if name[0].isupper() and name not in NO_CLASSES]
        pairs += [(flavour, name) for name in names]
        if flavour == "tf_keras":
            pairs += [(flavour, f"legacy.{name}") for name in ("Adam", "SGD", "RMSprop", "Adagrad")]
    return pairs


def other_value(name, value):
    """A valid setting that is not the default."""
    if name in EXCLUSIVE or name in ("name", "is_legacy_optimizer", "jit_compile"):
        return value
    if name in ("global_clipnorm", "weight_decay"):
        return 0.25
    if name == "ema_overwrite_frequency":
        return 7
    if name == "learning_rate_power":
        return -0.25
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return float(value) * 0.75 if isinstance(value, (float, np.floating)) else value


@pytest.mark.parametrize(("flavour", "name"), classes())
def test_every_setting_is_kept(flavour, name):
    cls = importlib.import_module(flavour).optimizers
    for part in name.split("."):
        cls = getattr(cls, part)
    config = {key: other_value(key, value) for key, value in cls().get_config().items()}
    optimizer = cls.from_config(config)
    copied = fresh(optimizer)
    assert copied is not optimizer and type(copied) is cls
    kept = optimizer.get_config()
    assert kept == copied.get_config()
    changed = {key for key, value in cls().get_config().items() if kept[key] != value}
    assert "learning_rate" in changed and len(changed) >= (1 if "." in name else 3)
    assert rate_of(fresh(optimizer, 0.125)) == 0.125


def model_with(flavour, optimizer):
    keras = importlib.import_module(flavour)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(5, name="hidden")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(x))
    model.compile(optimizer, "mse")
    return model


def decayed(model, optimizer):
    """Names of the variables that the weight decay shrinks."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    names = [getattr(v, "path", v.name).split(":")[0] for v in model.trainable_variables]
    flags = [optimizer._use_weight_decay(v) for v in model.trainable_variables]
    return [name for name, flag in zip(names, flags) if flag]


KERNELS = ["hidden/kernel", "out/kernel"]


@pytest.mark.parametrize("by", ["names", "variables"])
@pytest.mark.parametrize("scaled", [False, True])
def test_what_is_left_out_of_weight_decay_stays_out(by, scaled, keras_flavour):
    keras = importlib.import_module(keras_flavour)
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    whole = optimizer
    if scaled and keras_flavour == "keras":
        whole = keras.optimizers.LossScaleOptimizer(optimizer)
    elif scaled:
        whole = keras.mixed_precision.LossScaleOptimizer(optimizer)
    model = model_with(keras_flavour, whole)
    if by == "names":
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        without = [v for v in model.trainable_variables if len(v.shape) < 2]
        optimizer.exclude_from_weight_decay(var_list=without)
    assert decayed(model, optimizer) == KERNELS
    assert decayed(model, fresh(whole)) == KERNELS
    for copied in (bridge.clone(model), bridge.to_tf_keras(model)):
        assert bridge.compile_problem(copied) is None
        assert decayed(copied, copied.optimizer) == KERNELS
    ready, _ = ready_optimizer(model, None, model.optimizer, None, keras_flavour)
    assert decayed(model, ready) == KERNELS


def test_fit_does_not_decay_what_the_optimizer_leaves_out(keras_flavour):
    from tfcompress.training import Fit

    keras = importlib.import_module(keras_flavour)
    optimizer = keras.optimizers.AdamW(1e-9, weight_decay=1e8)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model = model_with(keras_flavour, optimizer)
    Fit(np.ones((8, 4), "float32"), np.ones((8, 3), "float32"))(model)
    gamma, kernel = (
        model.get_layer("norm").get_weights()[0],
        model.get_layer("out").get_weights()[0],
    )
    np.testing.assert_allclose(gamma, 1, atol=1e-6)
    assert np.abs(kernel).max() > 0 and np.abs(kernel).max() < 0.95


def test_names_of_the_other_keras_and_variables_that_cannot_be_found(keras_flavour):
    other = "tf_keras" if keras_flavour == "keras" else "keras"
    given = importlib.import_module(other).optimizers.AdamW(0.01, weight_decay=0.1)
    given.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model = model_with(keras_flavour, "sgd")
    ready, _ = ready_optimizer(model, given, None, None, keras_flavour)
    assert decayed(model, ready) == KERNELS
    single = importlib.import_module(other).optimizers.AdamW(0.01, weight_decay=0.1)
    single.exclude_from_weight_decay(var_list=model_with(other, "sgd").trainable_variables[:1])
    with pytest.raises(TrainingError, match="var_names"):
        ready_optimizer(model, single, None, None, keras_flavour)


def test_several_optimizers_keep_theirs():
    import keras

    first = keras.optimizers.AdamW(0.01, weight_decay=0.1)
    first.exclude_from_weight_decay(var_names=["bias"])
    table = keras.optimizers.OptimizerMap(keras.optimizers.SGD(0.5), {"hidden/.*": first})
    whole = keras.optimizers.MultiOptimizer(table)
    model = model_with("keras", whole)
    hidden = [v for v in model.trainable_variables if v.path.startswith("hidden")]
    inner = fresh(whole)._optimizer_map["hidden/.*"]
    assert [inner._use_weight_decay(v) for v in hidden] == [True, False]
    with pytest.raises(TrainingError, match="MultiOptimizer"):
        ready_optimizer(model, whole, None, 1e-3, "keras")
