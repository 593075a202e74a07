"""What a recipe made: the model, the bytes, and all that was checked or left alone on the way."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tfcompress.core._card import model_card
from tfcompress.core._errors import ArtifactError, RecipeError
from tfcompress.core._files import Content, write_all
from tfcompress.core._notebook import table
from tfcompress.core._recipe import Recipe
from tfcompress.core._schema import FormatError, checked, parse_json
from tfcompress.core._technique import Check, Skipped
from tfcompress.core._types import Model


class _About(msgspec.Struct):
    """What an artifact's `about` says, where it says it; it may say more."""

    seed: int | None = None
    seconds: dict[str, float] = {}
    versions: dict[str, str] = {}
    flavour: str = ""
    model: str = ""
    warnings: list[str] = []
    training: dict[str, list[float]] = {}


class _Saved(msgspec.Struct):
    """The format of an artifact's `.json`; files of earlier versions have no hash."""

    recipe: dict[str, Any]
    size_bytes: int
    gzip_bytes: int
    skipped: tuple[Skipped, ...]
    checks: tuple[Check, ...]
    about: _About
    sha256: str = ""


@dataclass(frozen=True, eq=False)
class Artifact:
    """The bytes of a checked `.tflite`, and the model, recipe, checks and skips they came from.

    `model` is the compressed Keras model (None when read back without it); `checks` are the
    promises that were measured; `about` holds seed, library versions and seconds per step, as
    JSON data.
    """

    data: bytes = field(repr=False)
    recipe: Recipe
    model: Model | None = field(default=None, repr=False)
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
        """Bytes after gzip at its highest level: what a download costs, not what a device holds."""
        return len(gzip.compress(self.data, 9, mtime=0))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user must know before using the file, one sentence each; empty if all is well."""
        return tuple(self.about.get("warnings", ()))

    def save(
        self,
        path: str | Path,
        *,
        overwrite: bool = False,
        model: bool = True,
        card: bool = True,
    ) -> list[Path]:
        """Write the artifact's files, all or none.

        They are `path`.tflite, `path`.json (recipe, sizes, checks, skipped), with `model`
        `path`.keras, and with `card` `path`.md, which tells a person what was done, measured,
        checked and left alone, and how to load the file.

        Raises:
            ArtifactError: where a file exists and `overwrite` is not set, on a missing permission
                or a full disk; nothing half-written is left behind.
        """
        tflite, about, keras, markdown = artifact_files(path)
        text = json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"
        contents: dict[Path, Content] = {tflite: self.data, about: text}
        network = self.model if model else None
        if network is not None:
            contents[keras] = network.save
        if card:
            contents[markdown] = model_card(self, tflite.stem, model=network is not None)
        return write_all(contents, overwrite=overwrite)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the bytes and the model, as plain JSON data."""
        return {
            "recipe": self.recipe.to_dict(),
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "skipped": [asdict(item) for item in self.skipped],
            "checks": [asdict(item) for item in self.checks],
            "about": self.about,
        }

    @classmethod
    def load(cls, path: str | Path) -> Artifact:
        """Read back what `save` wrote, without the Keras model (`load_model` reads `path`.keras).

        Raises:
            ArtifactError: one line with the place: a file is missing, is not an artifact's, or
                the `.tflite` is not the one that the `.json` was written for.
        """
        tflite, about, *_ = artifact_files(path)
        try:
            data, raw = tflite.read_bytes(), about.read_bytes()
        except OSError as error:
            raise ArtifactError(f"No artifact at {tflite.with_suffix('')}: {error}.") from error
        try:
            content = parse_json(raw)
            saved = checked(content, _Saved)
            recipe = Recipe.from_dict(saved.recipe)
        except (FormatError, RecipeError) as error:
            raise ArtifactError(f"{about} was not written by Artifact.save: {error}.") from error
        same = saved.sha256 in ("", hashlib.sha256(data).hexdigest())
        if len(data) != saved.size_bytes or not same:
            raise ArtifactError(
                f"{tflite} is not the file that {about.name} was written for: {len(data):,} bytes, "
                f"expected {saved.size_bytes:,} with SHA-256 {saved.sha256[:12] or 'unknown'}…. "
                "Save the artifact again."
            )
        return cls(data, recipe, None, saved.skipped, saved.checks, content["about"])

    def _repr_html_(self) -> str:
        rows = [["size", f"{self.size_bytes:,} bytes"], ["gzipped", f"{self.gzip_bytes:,} bytes"]]
        rows += [["warning", warning] for warning in self.warnings]
        rows += [["checked", str(check)] for check in self.checks]
        rows += [["left alone", str(item)] for item in self.skipped]
        return table(["", ""], rows, title=self.name)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.size_bytes:,} bytes ({self.gzip_bytes:,} gzipped)"]
        lines += [f"  WARNING  {warning}" for warning in self.warnings]
        lines += [f"  checked  {check}" for check in self.checks]
        return "\n".join(lines + [f"  skipped  {item}" for item in self.skipped])


def artifact_files(path: str | Path) -> tuple[Path, Path, Path, Path]:
    """The .tflite, .json, .keras and .md of an artifact at `path`, whichever of them it names."""
    path = Path(path)
    endings = (".tflite", ".json", ".keras", ".md")
    stem = path.with_suffix("") if path.suffix in endings else path
    tflite, about, keras, card = (stem.with_name(stem.name + ending) for ending in endings)
    return tflite, about, keras, card
