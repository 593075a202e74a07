"""JSON held against a schema in one place: what is wrong is one line with its place in the data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class FormatError(ValueError):
    """Data that are not what their format says; the text is one line with the place in the data."""


def parse_json(text: str | bytes) -> Any:
    """The data in a JSON text; FormatError where it is none, or nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise FormatError("it is nested too deeply") from error
    except ValueError as error:  # JSONDecodeError, UnicodeDecodeError, numbers of 5,000 digits
        raise FormatError(" ".join(str(error).split())) from error


def checked(data: object, schema: type[T]) -> T:
    """`data` as `schema` (a msgspec.Struct, a dataclass or a type); FormatError where it is not."""
    try:
        return msgspec.convert(data, schema)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise FormatError(" ".join(str(error).split())) from error


def read_checked(path: str | os.PathLike[str], schema: type[T]) -> T:
    """What the JSON file at `path` holds, as `schema`; OSError or FormatError where it does not."""
    return checked(parse_json(Path(path).read_bytes()), schema)
