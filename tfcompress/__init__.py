"""tfcompress: trained Keras models made small and fast for the edge, and what that cost, measured.

Importing it loads nothing else: a name is imported when it is first asked for.
"""

from importlib import import_module
from importlib.metadata import version as _version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see
    from tfcompress import analysis as analysis
    from tfcompress import core as core
    from tfcompress import devices as devices
    from tfcompress import profiling as profiling
    from tfcompress import recipes as recipes
    from tfcompress import report as report
    from tfcompress import targets as targets
    from tfcompress import techniques as techniques
    from tfcompress import testing as testing
    from tfcompress import training as training
    from tfcompress import zoo as zoo
    from tfcompress._compress import compress as compress
    from tfcompress._compress import convert as convert
    from tfcompress._compress import load_model as load_model
    from tfcompress._study import compare as compare
    from tfcompress._study import study as study
    from tfcompress.analysis import allocate_bits as allocate_bits
    from tfcompress.analysis import error_by_layer as error_by_layer
    from tfcompress.analysis import sensitivity as sensitivity
    from tfcompress.analysis import significance as significance
    from tfcompress.core import Artifact as Artifact
    from tfcompress.core import Profile as Profile
    from tfcompress.core import Recipe as Recipe
    from tfcompress.core import Significance as Significance
    from tfcompress.core import Skipped as Skipped
    from tfcompress.core import Target as Target
    from tfcompress.core import Technique as Technique
    from tfcompress.core import TfcompressError as TfcompressError
    from tfcompress.profiling import evaluate as evaluate
    from tfcompress.profiling import profile as profile
    from tfcompress.recipes import recipe as recipe
    from tfcompress.report import Report as Report
    from tfcompress.targets import packed_layers as packed_layers

    __version__: str

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
    "error_by_layer": "analysis",
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
    "devices",
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


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version("tfcompress")
    if name in _HOME:
        return getattr(import_module(f"tfcompress.{_HOME[name]}"), name)
    if name in _FOLDERS:
        return import_module(f"tfcompress.{name}")
    raise AttributeError(f"module 'tfcompress' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
