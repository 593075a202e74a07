"""The nouns: immutable values that need no TensorFlow."""

from tfcompress.core._artifact import Artifact, artifact_files
from tfcompress.core._column import COLUMNS, DOWNLOAD, EQUAL_LATENCY, LATENCY, SIZE, Column, column
from tfcompress.core._device import Device
from tfcompress.core._errors import (
    ArtifactError,
    ConversionError,
    DataError,
    InterpreterError,
    InvariantError,
    ModelError,
    ParityError,
    RecipeError,
    SkippedError,
    TfcompressError,
    TrainingError,
)
from tfcompress.core._files import refuse_existing, write_all
from tfcompress.core._profile import Latency, OpTime, Profile, Throughput
from tfcompress.core._recipe import Recipe
from tfcompress.core._report import Rows, format_number
from tfcompress.core._rule import Rule
from tfcompress.core._significance import Significance
from tfcompress.core._style import STYLE
from tfcompress.core._target import Target
from tfcompress.core._technique import Check, Skipped, Stage, Technique, Training
from tfcompress.core._value import Value
from tfcompress.core._verdict import ResultWarning

__all__ = [
    "Artifact",
    "ArtifactError",
    "COLUMNS",
    "Check",
    "Column",
    "ConversionError",
    "DOWNLOAD",
    "DataError",
    "Device",
    "EQUAL_LATENCY",
    "InterpreterError",
    "InvariantError",
    "LATENCY",
    "Latency",
    "ModelError",
    "OpTime",
    "ParityError",
    "Profile",
    "Recipe",
    "RecipeError",
    "ResultWarning",
    "Rows",
    "Rule",
    "SIZE",
    "STYLE",
    "Significance",
    "Skipped",
    "SkippedError",
    "Stage",
    "Target",
    "Technique",
    "TfcompressError",
    "Training",
    "Throughput",
    "TrainingError",
    "Value",
    "artifact_files",
    "column",
    "format_number",
    "refuse_existing",
    "write_all",
]
