"""One cell of a study: one recipe, one seed, made once and kept under the content address of all it depends on."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

from tfcompress import recipes as _recipes
from tfcompress._study._about import versions
from tfcompress._study._fingerprint import fingerprint
from tfcompress._study._measure import scored
from tfcompress.core import ModelError, Recipe, RecipeError, write_all


class Base:
    """The trained model of one seed: the one given, or the one that the builder makes when a cell first needs it.

    `key` is its content address: of its weights, or of the function that builds it. A model that was built is kept in `out`,
    so that a study that goes on need not train it again.
    """

    def __init__(self, model: Any, seed: int, out: Path | None):
        from tfcompress._backend import keras

        self._keras, self._given, self.seed, self._out = keras, model, seed, out
        try:
            keras.flavour(model)
            self._built = False
        except ModelError:
            if not callable(model):
                raise
            self._built = True
        self.key = fingerprint(model, seed) if self._built else keras.fingerprint(model)

    @cached_property
    def model(self) -> Any:
        """The model itself."""
        if not self._built:
            return self._given
        kept = self._out / f"base-seed{self.seed}-{self.key[:12]}.keras" if self._out else None
        if kept and kept.exists():
            return self._keras.load_model(kept)
        self._keras.set_seed(self.seed)
        model = self._given(self.seed)
        if kept:
            write_all({kept: lambda path: self._keras.save_model(model, path)}, overwrite=True)
        return model


@dataclass(frozen=True, eq=False)
class Bench:
    """What all cells of a study share."""

    fit: Callable[[Any, list], None] | None
    samples: Any
    evaluate: tuple[Any, Any]
    metric: str
    runtime: str
    strict: bool
    out: Path | None

    @cached_property
    def key(self) -> str:
        """The content address of what is shared."""
        return fingerprint(self.fit, self.samples, self.evaluate, self.metric, self.runtime, self.strict, versions())

    def run(self, recipe: Recipe, base: Base) -> tuple[dict[str, Any], Any]:
        """The cell's row, and its file's path (without `out`: its Artifact; None if it failed).

        A finished cell is read back; anything that raises becomes the row's "error".
        """
        try:
            address = fingerprint(recipe, base.seed, base.key, self.key)
            name = re.sub(r"[^\w.+-]+", "_", f"{recipe.name}-seed{base.seed}-{address[:12]}")
            stem = self.out / name if self.out else None
            row = _finished(stem) if stem else None
            return (row, stem.with_name(name + ".tflite")) if stem and row else self._make(recipe, base, stem)
        except Exception as error:  # whatever a user's trainer or a converter raises costs this cell alone
            return {"recipe": recipe.name, "seed": base.seed, "error": f"{type(error).__name__}: {error}"}, None

    def _make(self, recipe: Recipe, base: Base, stem: Path | None) -> tuple[dict[str, Any], Any]:
        from tfcompress._compress import compress

        start, model, seed = perf_counter(), base.model, base.seed
        artifact = compress(model, recipe, fit=self.fit, samples=self.samples, strict=self.strict, seed=seed, progress=False)
        seconds = round(perf_counter() - start, 2)
        row = {
            "recipe": recipe.name,
            "seed": seed,
            **scored(artifact, self.evaluate, self.metric, self.runtime),
            "size_bytes": artifact.size_bytes,
            "gzip_bytes": artifact.gzip_bytes,
            "skipped": [asdict(item) for item in artifact.skipped],
            "checks": [asdict(item) for item in artifact.checks],
            "made": {"call": self._call(recipe, seed), "seconds": seconds, "sha256": hashlib.sha256(artifact.data).hexdigest()},
        }
        if stem is None:
            return row, artifact
        file = artifact.save(stem, overwrite=True, model=False)[0]
        row["made"]["file"] = file.name
        # The row comes last: where it is, the cell is whole.
        write_all({stem.with_name(stem.name + ".row.json"): json.dumps(row, indent=1) + "\n"}, overwrite=True)
        return row, file

    def _call(self, recipe: Recipe, seed: int) -> str:
        """The Python call that makes the same file again."""
        data = (", fit=fit" if recipe.techniques else "") + (", samples=samples" if self.samples is not None else "")
        return f"tfc.compress(model, {_written(recipe)}{data}, seed={seed})"


def _written(recipe: Recipe) -> str:
    try:
        if _recipes.recipe(recipe.name) == recipe:
            return repr(recipe.name)
    except RecipeError:
        pass
    try:
        return f"tfc.Recipe.from_json({recipe.to_json()!r})"
    except RecipeError:  # a function among the options
        return repr(recipe)


def _finished(stem: Path) -> dict[str, Any] | None:
    """The row of a cell whose row and file are both there and belong together."""
    try:
        row = json.loads(stem.with_name(stem.name + ".row.json").read_text())
        data = stem.with_name(stem.name + ".tflite").read_bytes()
        return row if row["made"]["sha256"] == hashlib.sha256(data).hexdigest() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
