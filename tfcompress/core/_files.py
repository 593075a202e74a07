"""Writing several files so that all of them are there or none: temporaries first, then renames."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tfcompress.core._errors import ArtifactError

Content = Callable[[Path], object] | bytes | str
"""A file's bytes or text, or a function that writes to the path it is given."""


def refuse_existing(paths: Iterable[Path]) -> None:
    """Ask before long work that ends in these files: ArtifactError names those that exist."""
    existing = [str(path) for path in paths if path.exists()]
    if existing:
        raise ArtifactError(
            f"{', '.join(existing)} already there; choose another name or pass overwrite=True "
            "(--overwrite)."
        )


def write_all(contents: Mapping[Path, Content], *, overwrite: bool = False) -> list[Path]:
    """Write every file of `contents`, all or none.

    Everything is first written to temporaries in the same folder; only when all are complete do
    they take their names.

    Raises:
        ArtifactError: an existing file without `overwrite`, no permission, a full disk; no
            temporary is left behind.
    """
    if not overwrite:
        refuse_existing(contents)
    written: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".tfc-", suffix=path.suffix, dir=path.parent)
            os.close(handle)
            written.append((Path(name), path))
            _write(Path(name), content)
        for temporary, path in written:
            os.replace(temporary, path)
    except OSError as error:
        raise ArtifactError(
            f"Could not write {path}: {error.strerror or error}. Nothing was left half-written."
        ) from error
    finally:
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)
    return [path for _, path in written]


def _write(temporary: Path, content: Content) -> None:
    """Write a whole file, on the disk itself, with the rights that a new file gets."""
    if callable(content):
        content(temporary)
    else:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.chmod(temporary, 0o666 & ~_umask())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
