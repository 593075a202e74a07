"""Writing several files so that either all of them are there or none: temporaries beside them, then renames."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tfcompress.core._errors import ArtifactError


def refuse_existing(paths: Iterable[Path]) -> None:
    """Raises ArtifactError that names those of `paths` that are there already; ask before long work that ends in them."""
    existing = [str(path) for path in paths if path.exists()]
    if existing:
        raise ArtifactError(
            f"{', '.join(existing)} already there; choose another name or pass overwrite=True (--overwrite)."
        )


def write_all(
    writers: Mapping[Path, Callable[[Path], None] | bytes | str], *, overwrite: bool = False
) -> list[Path]:
    """Write every file of `writers` (path → bytes, text, or a function that writes to the path it is given).

    Everything is first written to temporaries in the same folder; only when all are complete do they take their names.
    Raises ArtifactError (existing file without `overwrite`, no permission, disk full); no temporary is left behind.
    """
    if not overwrite:
        refuse_existing(writers)
    done: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, content in writers.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".tfc-", suffix=path.suffix, dir=path.parent)
            os.close(handle)
            temporary = Path(name)
            done.append((temporary, path))
            if callable(content):
                content(temporary)
            else:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            with open(temporary, "rb") as written:
                os.fsync(written.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
        for temporary, path in done:
            os.replace(temporary, path)
    except OSError as error:
        raise ArtifactError(
            f"Could not write {path}: {error.strerror or error}. Nothing was left half-written."
        ) from error
    finally:
        for temporary, _ in done:
            temporary.unlink(missing_ok=True)
    return [path for _, path in done]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
