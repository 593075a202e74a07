"""A base with a Lambda layer: its code runs from shared models only where they are trusted."""

import keras
import numpy as np
import pytest

import tfcompress as tfc

pytestmark = pytest.mark.filterwarnings("ignore:.*(was not trained|chance level)")


@pytest.fixture(scope="module")
def with_code():
    """A network whose Lambda a `.keras` file holds as Python code."""
    layers = keras.layers
    stack = [keras.Input((6,)), layers.Lambda(lambda x: 2 * x), layers.Dense(4), layers.Dense(2)]
    return keras.Sequential(stack)


def carried_out(model, out, **more):
    """Two recipes that share a pruned model, which goes through a file."""
    x = np.random.default_rng(0).random((32, 6)).astype("float32")
    recipes = ["prune50-float32", "prune50-dynamic"]
    options = {"profile": False, "training": False, "progress": False, "out": out}
    return tfc.study(model, recipes, samples=x, evaluate=(x, np.arange(32) % 2), **options, **more)


def test_a_study_trusts_what_it_wrote_itself(with_code):
    assert not any("error" in row for row in carried_out(with_code, None).rows)


def test_a_folder_is_trusted_on_request_alone(with_code, tmp_path):
    refused = carried_out(with_code, tmp_path / "one").rows
    assert all("it was not run" in row["error"] for row in refused)
    allowed = carried_out(with_code, tmp_path / "one", trusted=True).rows
    assert not any("error" in row for row in allowed)
