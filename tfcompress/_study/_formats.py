"""The formats of the files in a study's folder; what does not fit is made anew, not believed."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from tfcompress.core import COLUMNS, Check, Profile, Skipped
from tfcompress.core._schema import FormatError, checked

Row = dict[str, Any]
"""A row of a report: what was measured of one recipe and seed."""

Count = Annotated[int, msgspec.Meta(ge=0)]


class StudyNote(msgspec.Struct):
    """study.json: whose folder it is, as content addresses of what the study depends on."""

    title: str
    parts: dict[str, str]


class NodeNote(msgspec.Struct):
    """The note beside a shared model: the hash of its file, and what was done to make it."""

    sha256: str
    skipped: tuple[Skipped, ...] = ()
    checks: tuple[Check, ...] = ()
    techniques: dict[str, Any] | None = None
    seconds: float = 0.0
    copy_facts: dict[str, Any] | None = msgspec.field(default=None, name="copy")


class Layer(msgspec.Struct):
    """One layer of a file, as a row has it."""

    name: str
    op: str
    encoding: str
    bits: float
    bytes: int


class Made(msgspec.Struct):
    """How a row's file was made."""

    call: str
    seconds: float
    sha256: str
    file: str
    started_from: str = ""


class CellRow(msgspec.Struct):
    """A finished cell's row; every further column of it is a number."""

    recipe: str
    seed: int
    size_bytes: Count
    gzip_bytes: Count
    skipped: tuple[Skipped, ...]
    checks: tuple[Check, ...]
    made: Made
    layers: list[Layer] = []
    warnings: list[str] = []
    training: dict[str, list[float]] = {}
    correct: str = ""


class Profiles(msgspec.Struct):
    """profiles.json: what was measured of all files together, and the address of those files."""

    key: str
    columns: list[dict[str, Any]]


def check_row(data: Row, metric: str) -> CellRow:
    """The row of a finished cell; FormatError, with the place, where something in it is wrong."""
    row = checked(data, CellRow)
    _check_numbers({name: data[name] for name in data if name not in CellRow.__struct_fields__})
    if metric not in data:
        raise FormatError(f"Object missing required field `{metric}`")
    if not re.fullmatch("[01]*", row.correct):
        raise FormatError("Expected a text of 0 and 1 - at `$.correct`")
    return row


def check_columns(data: Row) -> None:
    """FormatError where the measured columns of a row are not what a profile gives."""
    checked(data.get("error", ""), str)
    if "profile" in data:
        checked(data["profile"], Profile)
    _check_numbers({name: data[name] for name in data if name not in ("profile", "error")})


def _check_numbers(columns: Mapping[str, object]) -> None:
    """FormatError for a column that is no finite number, or less of something than none."""
    amounts = tuple(column.name for column in COLUMNS)
    for name, value in checked(columns, dict[str, float]).items():
        if not math.isfinite(value) or (value < 0 and name.startswith(amounts)):
            raise FormatError(f"Expected an amount, got {value} - at `$.{name}`")


def file_hash(path: Path) -> str:
    """SHA-256 in hex of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
