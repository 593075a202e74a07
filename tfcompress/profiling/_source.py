"""What can be measured: a path, the bytes or an Artifact, on disk while children need it."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from tfcompress._backend.interpreter._interpreter import check_file
from tfcompress.core import Artifact, InterpreterError

File: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Artifact"
"""A `.tflite`: its path, its bytes, or the Artifact that has them."""


@dataclass(frozen=True)
class Source:
    """A `.tflite` with a name for messages; `path` is None where only the bytes are known."""

    name: str
    data: bytes
    path: Path | None = None

    @classmethod
    def of(cls, file: File, name: str | None = None) -> Source:
        """From a path, bytes or an Artifact; InterpreterError if that is no readable `.tflite`."""
        if isinstance(file, Artifact):
            check_file(file.data)
            return cls(name or file.name, file.data)
        if isinstance(file, (bytes, bytearray, memoryview)):
            check_file(bytes(file))
            return cls(name or "model", bytes(file))
        if isinstance(file, (str, os.PathLike)):
            check_file(file)
            return cls(name or Path(file).stem, Path(file).read_bytes(), Path(file).absolute())
        raise InterpreterError(
            f"Expected a path, the bytes of a .tflite or an Artifact; {type(file).__name__} came."
        )

    @property
    def what(self) -> str:
        """How messages call it: by its path, or else by its name."""
        return str(self.path or self.name)

    @cached_property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def gzip_bytes(self) -> int:
        """Size after gzip at level 9 without a time stamp."""
        return len(gzip.compress(self.data, 9, mtime=0))


@contextmanager
def on_disk(sources: Sequence[Source]) -> Iterator[list[str]]:
    """A path for each source while the block runs: its own, or a temporary one."""
    with tempfile.TemporaryDirectory(prefix="tfc-profile-") as folder:
        paths: list[str] = []
        for number, source in enumerate(sources):
            path = source.path
            if path is None:
                path = Path(folder) / f"{number}.tflite"
                path.write_bytes(source.data)
            paths.append(str(path))
        yield paths
