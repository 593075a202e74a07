"""Automatic names inside `fresh_names` are those of a new process; outside they go on."""

import importlib

from tfcompress._backend.bridge import fresh_names, make_optimizer


def test_names_start_anew_inside_and_go_on_outside(keras_flavour):
    keras = importlib.import_module(keras_flavour)

    def name():
        return keras.layers.Dense(1).name

    name()
    before = name()
    with fresh_names():
        assert [name(), name()] == ["dense", "dense_1"]
        with fresh_names():
            assert name() == "dense"
        assert name() == "dense_2"
    number = int(before.split("_")[-1])
    assert name() == f"dense_{number + 1}"


def test_names_go_on_after_an_error(keras_flavour):
    keras = importlib.import_module(keras_flavour)
    keras.layers.Dense(1)
    before = int(keras.layers.Dense(1).name.split("_")[-1])
    try:
        with fresh_names():
            keras.layers.Dense(1)
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert int(keras.layers.Dense(1).name.split("_")[-1]) == before + 1


def test_optimizers_by_name_in_any_spelling():
    import keras
    import pytest

    from tfcompress.core import TrainingError

    assert isinstance(make_optimizer("ADAM", 1e-3), keras.optimizers.Adam)
    assert float(make_optimizer("rmsprop", 0.5).learning_rate) == 0.5
    with pytest.raises(TrainingError, match=r"No optimizer 'adm'; there are: .*Adam"):
        make_optimizer("adm", 1.0)
