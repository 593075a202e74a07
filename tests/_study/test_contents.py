"""What rows say of recipes and files."""

import importlib
import json

from tfcompress._study._contents import layers, options
from tfcompress.core import Recipe
from tfcompress.recipes import recipe
from tfcompress.targets import Float32, Int8
from tfcompress.techniques import Prune


def test_options_are_json_whatever_a_technique_holds():
    own = Recipe([Prune(0.8, only=lambda layer: True)], Int8(), name="mine")
    for one in (recipe("prune80-cluster16-qat-int8"), recipe("twonn-mixed21"), own):
        said = options(one)
        assert json.loads(json.dumps(said)) == said
        assert [kind for kind, _, _ in said["techniques"]] == [
            type(member).__name__ for member in one.techniques
        ]
    assert options(own)["techniques"][0][1:] == [
        own.techniques[0].label,
        options(own)["techniques"][0][2],
    ]
    assert options(own)["techniques"][0][2]["sparsity"] == 0.8 and options(own)["target"] == "int8"


def test_layers_have_the_users_names_and_all_their_bytes(one_process):
    _, report = one_process
    for row in report.rows:
        assert [layer["name"] for layer in row["layers"]] == ["conv", "dense", "output"], row[
            "recipe"
        ]
        weights = 3 * 3 * 8, 6 * 6 * 8 * 16, 16 * 10
        width = 4 if row["recipe"] == "float32" else 1
        for layer, count in zip(row["layers"], weights):
            assert (
                count * width <= layer["bytes"] <= count * width + 400
                and layer["bits"] == 8 * width
            )
        assert sum(layer["bytes"] for layer in row["layers"]) < row["size_bytes"]


def test_numbers_of_the_users_own_stay(keras_flavour: str) -> None:
    """A file has its layers' names: whether its model is there or not, they are not shortened."""
    keras = importlib.import_module(keras_flavour)
    first, second = (keras.layers.Dense(4, name=name) for name in ("conv_1", "dense_2"))
    model = keras.Sequential([keras.layers.Input((8,)), first, second])
    data = Float32().convert(model)
    for given in (model, None):
        assert [layer["name"] for layer in layers(data, given)] == ["conv_1", "dense_2"]
    assert layers(b"no file") == []
