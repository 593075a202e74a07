"""What can be measured: a path, the bytes, or an Artifact; on disk for as long as child processes need it."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tfcompress._backend.interpreter._interpreter import check_file
from tfcompress.core import Artifact, InterpreterError


@dataclass(frozen=True)
class Source:
    """A `.tflite` with a name for messages; `path` is None where only the bytes are known."""

    name: str
    data: bytes
    path: Path | None = None

    @classmethod
    def of(cls, file: Any, name: str | None = None) -> Source:
        """From a path, bytes or an Artifact; InterpreterError if it cannot be read or is no `.tflite`."""
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
def on_disk(sources: list[Source]) -> Iterator[list[str]]:
    """A path for each source while the block runs: its own, or a temporary one."""
    with tempfile.TemporaryDirectory(prefix="tfc-profile-") as folder:
        paths = []
        for i, source in enumerate(sources):
            if source.path is None:
                temporary = Path(folder) / f"{i}.tflite"
                temporary.write_bytes(source.data)
            paths.append(str(source.path or temporary))
        yield paths
