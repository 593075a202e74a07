"""What a recipe made: the model, the bytes, and everything that was checked or left alone on the way."""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tfcompress.core._errors import ArtifactError
from tfcompress.core._files import write_all
from tfcompress.core._recipe import Recipe
from tfcompress.core._technique import Check, Skipped


@dataclass(frozen=True, eq=False)
class Artifact:
    """The bytes of a checked `.tflite` with the model, recipe, checks and skipped layers they came from.

    `model` is the compressed Keras model (None when read back without it); `checks` are the promises that were measured;
    `about` holds seed, library versions and seconds per step, as JSON data.
    """

    data: bytes = field(repr=False)
    recipe: Recipe
    model: Any = field(default=None, repr=False)
    skipped: tuple[Skipped, ...] = ()
    checks: tuple[Check, ...] = ()
    about: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe.name

    @property
    def size_bytes(self) -> int:
        """Bytes of the `.tflite` on disk."""
        return len(self.data)

    @property
    def gzip_bytes(self) -> int:
        """Bytes after gzip at its highest level (mtime 0): what a download costs, not what the device holds."""
        return len(gzip.compress(self.data, 9, mtime=0))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know before using the file, one sentence each; empty where all is well."""
        return tuple(self.about.get("warnings", ()))

    def save(self, path: str | Path, *, overwrite: bool = False, model: bool = True) -> list[Path]:
        """Write `path`.tflite, `path`.json (recipe, sizes, checks, skipped) and, with `model`, `path`.keras: all or none.

        Raises ArtifactError when a file exists and `overwrite` is not set, on a missing permission or a full disk;
        nothing half-written is left behind.
        """
        tflite, about, keras = artifact_files(path)
        writers: dict[Path, Any] = {
            tflite: self.data,
            about: json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n",
        }
        if model and self.model is not None:
            writers[keras] = lambda temporary: self.model.save(temporary)
        return write_all(writers, overwrite=overwrite)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the bytes and the model, as plain JSON data."""
        return {
            "recipe": self.recipe.to_dict(),
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "skipped": [asdict(item) for item in self.skipped],
            "checks": [asdict(item) for item in self.checks],
            "about": self.about,
        }

    @classmethod
    def load(cls, path: str | Path) -> Artifact:
        """Read back what `save` wrote, without the Keras model (`keras.saving.load_model` reads `path`.keras).

        Raises ArtifactError when a file is missing or is not an artifact's.
        """
        tflite, about, _ = artifact_files(path)
        try:
            data, said = tflite.read_bytes(), json.loads(about.read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise ArtifactError(f"No artifact at {tflite.with_suffix('')}: {error}.") from error
        try:
            return cls(
                data=data,
                recipe=Recipe.from_dict(said["recipe"]),
                skipped=tuple(Skipped(**item) for item in said["skipped"]),
                checks=tuple(Check(**item) for item in said["checks"]),
                about=said["about"],
            )
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{about} was not written by Artifact.save: {error!r}.") from error

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.size_bytes:,} bytes ({self.gzip_bytes:,} gzipped)"]
        lines += [f"  WARNING  {warning}" for warning in self.warnings]
        lines += [
            f"  checked  {c.stage}: {c.what} {c.value:.6g} (bound {c.bound:.6g}) {c.layer}".rstrip()
            for c in self.checks
        ]
        return "\n".join(lines + [f"  skipped  {item}" for item in self.skipped])


def artifact_files(path: str | Path) -> tuple[Path, Path, Path]:
    """The .tflite, .json and .keras files that an artifact saved at `path` has, with or without one of these endings."""
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".tflite", ".json", ".keras") else path
    tflite, about, keras = (
        stem.with_name(stem.name + ending) for ending in (".tflite", ".json", ".keras")
    )
    return tflite, about, keras
