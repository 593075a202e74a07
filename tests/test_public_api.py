"""The face: every public name exists, is documented, and every folder says what is public."""

import importlib
import inspect

import pytest

import tfcompress

FOLDERS = ("analysis", "core", "profiling", "report", "targets", "techniques", "training", "zoo")


@pytest.mark.parametrize("name", tfcompress.__all__)
def test_every_name_of_the_face_resolves(name):
    assert getattr(tfcompress, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="compres"):
        tfcompress.compres  # noqa: B018


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_public_object_has_a_docstring(folder):
    module = importlib.import_module(f"tfcompress.{folder}")
    assert module.__all__
    for name in module.__all__:
        thing = getattr(module, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), (
                f"{folder}.{name} has no docstring of its own"
            )
            if inspect.isclass(thing):
                for part, member in vars(thing).items():
                    if not part.startswith("_") and inspect.isfunction(member):
                        assert inspect.getdoc(getattr(thing, part)), (
                            f"{folder}.{name}.{part} has no docstring"
                        )
