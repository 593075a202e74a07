from types import SimpleNamespace

import pytest

from tfcompress.core import RecipeError
from tfcompress.core._select import check_selector, select

LAYERS = [SimpleNamespace(name=name) for name in ("conv1", "conv2", "dense")]


@pytest.mark.parametrize(
    ("only", "skip", "expected"),
    [
        (None, None, {"conv1", "conv2", "dense"}),
        ("conv.", None, {"conv1", "conv2"}),
        ("conv", "", RecipeError),
        (("conv1",), None, {"conv1"}),
        (None, ["conv1", "dense"], {"conv2"}),
        (lambda layer: layer.name != "dense", "conv2", {"conv1"}),
        (["conv3"], None, RecipeError),
        (None, "conc.", RecipeError),
    ],
)
def test_select(only, skip, expected):
    if expected is RecipeError:
        with pytest.raises(RecipeError, match=r"Near|has:"):
            select(LAYERS, only, skip)
    else:
        assert select(LAYERS, only, skip) == expected


@pytest.mark.parametrize("bad", ["[", 3, [1, 2]])
def test_check_selector_refuses(bad):
    with pytest.raises(RecipeError, match="only"):
        check_selector(bad, "only")
