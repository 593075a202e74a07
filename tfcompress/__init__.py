"""tfcompress: trained Keras models made small and fast for the edge, and what that cost, measured."""

from importlib import import_module
from importlib.metadata import version as _version

_HOME = {
    "Artifact": "core",
    "Profile": "core",
    "Recipe": "core",
    "Significance": "core",
    "Skipped": "core",
    "Target": "core",
    "Technique": "core",
    "TfcompressError": "core",
    "Report": "report",
    "allocate_bits": "analysis",
    "compare": "_study",
    "compress": "_compress",
    "convert": "_compress",
    "evaluate": "profiling",
    "load_model": "_compress",
    "packed_layers": "targets",
    "profile": "profiling",
    "recipe": "recipes",
    "sensitivity": "analysis",
    "significance": "analysis",
    "study": "_study",
}
_FOLDERS = (
    "analysis",
    "core",
    "profiling",
    "recipes",
    "report",
    "targets",
    "techniques",
    "testing",
    "training",
    "zoo",
)

__all__ = [*_HOME, *_FOLDERS, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name):
    if name == "__version__":
        return _version("tfcompress")
    if name in _HOME:
        return getattr(import_module(f"tfcompress.{_HOME[name]}"), name)
    if name in _FOLDERS:
        return import_module(f"tfcompress.{name}")
    raise AttributeError(f"module 'tfcompress' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
