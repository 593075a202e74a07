"""What runs in a worker: one shared model, or one cell (recipe, seed), made once and kept under its content address."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from tfcompress import recipes as _recipes
from tfcompress._study._bench import Bench
from tfcompress._study._contents import layers
from tfcompress._study._measure import scored
from tfcompress._study._node import Node
from tfcompress.core import (
    Artifact,
    ArtifactError,
    Check,
    ConversionError,
    ParityError,
    Recipe,
    RecipeError,
    Skipped,
    write_all,
)
from tfcompress.targets import Float32

UNSHARED = (ArtifactError, ConversionError, ParityError)


@dataclass(frozen=True)
class Cell:
    """One recipe and one seed; `start` is the model it begins with, `address` all it depends on."""

    recipe: Recipe
    seed: int
    start: Node
    address: str

    @property
    def name(self) -> str:
        """The stem of the cell's files."""
        return re.sub(r"[^\w.+-]+", "_", f"{self.recipe.name}-seed{self.seed}-{self.address[:12]}")

    def failed(self, error: str) -> dict[str, Any]:
        """The row of a cell that came to nothing."""
        return {"recipe": self.recipe.name, "seed": self.seed, "error": error}


def make_node(bench: Bench, node: Node) -> str:
    """Build or train a shared model and keep it; "" or the error that every cell which starts from it has in its row.

    A model that cannot be kept (no file can hold it, or it does not convert to float32) is no error: its cells train it themselves.
    """
    from tfcompress._backend import bridge as keras
    from tfcompress._compress import compress

    try:
        if node.parent is None:
            assert bench.builder is not None
            keras.set_seed(node.seed)
            with keras.fresh_names():
                model = bench.builder(node.seed)
            try:
                bench.keep(node, model)
            except ArtifactError:
                bench.hold(node, model)
            return ""
        start, parent = perf_counter(), bench.nearest(node.parent)
        recipe = Recipe(node.techniques[len(parent.techniques) :], Float32())
        model = bench.model(parent)
        made = compress(
            model,
            recipe,
            fit=bench.fit,
            samples=bench.samples,
            training=bench.fit is not None,
            strict=bench.strict,
            seed=node.seed,
            progress=False,
        )
        made = after(bench, parent, made, recipe)
        own = [item for item in made.checks if item.stage != Float32().label]
        said = {
            "skipped": [asdict(item) for item in made.skipped],
            "checks": [asdict(item) for item in own],
            "techniques": _as_data(made.recipe.techniques),
            "seconds": round(perf_counter() - start, 2),
        }
        bench.keep(node, made.model, said)
    except UNSHARED:
        return ""
    except (
        Exception
    ) as error:  # whatever a user's builder or trainer raises costs the cells that need it
        return f"{type(error).__name__}: {error}"
    return ""


def make_cell(bench: Bench, cell: Cell) -> tuple[dict[str, Any], Artifact | None]:
    """The cell's row, and its Artifact where there is no folder to keep it in; anything that raises becomes the row's "error"."""
    try:
        return _make(bench, cell)
    except (
        Exception
    ) as error:  # whatever a user's trainer or a converter raises costs this cell alone
        return cell.failed(f"{type(error).__name__}: {error}"), None


def _make(bench: Bench, cell: Cell) -> tuple[dict[str, Any], Artifact | None]:
    from tfcompress._compress import compress, untrained_warnings

    start, recipe, seed, node = perf_counter(), cell.recipe, cell.seed, bench.nearest(cell.start)
    rest = (
        replace(recipe, techniques=recipe.techniques[len(node.techniques) :])
        if node.techniques
        else recipe
    )
    model = bench.model(node)
    artifact = compress(
        model,
        rest,
        fit=bench.fit,
        samples=bench.samples,
        training=bench.fit is not None,
        strict=bench.strict,
        seed=seed,
        progress=False,
    )
    artifact = after(bench, node, artifact, recipe)
    untrained = untrained_warnings(recipe, bench.fit)
    if untrained:
        artifact = replace(artifact, about={**artifact.about, "warnings": untrained})
    seconds = round(perf_counter() - start, 2)
    row = {
        "recipe": recipe.name,
        "seed": seed,
        **scored(artifact, bench.evaluate, bench.metric, bench.runtime),
        "size_bytes": artifact.size_bytes,
        "gzip_bytes": artifact.gzip_bytes,
        "skipped": [asdict(item) for item in artifact.skipped],
        "checks": [asdict(item) for item in artifact.checks],
        "layers": layers(artifact.data, artifact.model),
        "made": {
            "call": call(recipe, seed, bench.samples is not None, bench.fit is not None),
            "seconds": seconds,
            "sha256": _sha256(artifact.data),
        },
    }
    if untrained:
        row["warnings"] = untrained
    if node.techniques:
        row["made"]["started_from"] = node.name
    if bench.out is None:
        return row, replace(artifact, model=None)
    stem = bench.out / cell.name
    row["made"]["file"] = artifact.save(stem, overwrite=True, model=False)[0].name
    # The row comes last: where it is, the cell is whole.
    write_all(
        {stem.with_name(stem.name + ".row.json"): json.dumps(row, indent=1) + "\n"}, overwrite=True
    )
    return row, None


def after(bench: Bench, node: Node, artifact: Artifact, recipe: Recipe) -> Artifact:
    """`artifact`, which was made from the model of `node`, as if all of `recipe` had been carried out at once."""
    if not node.techniques:
        return artifact
    said = bench.said(node)
    before = (
        Recipe.from_dict(said["techniques"]).techniques if said["techniques"] else node.techniques
    )
    skipped = [Skipped(**item) for item in said["skipped"]] + list(artifact.skipped)
    checks = [Check(**item) for item in said["checks"]] + list(artifact.checks)
    whole = replace(recipe, techniques=(*before, *artifact.recipe.techniques))
    return replace(
        artifact, recipe=whole, skipped=tuple(dict.fromkeys(skipped)), checks=tuple(checks)
    )


def _as_data(techniques: Sequence[Any]) -> dict[str, Any] | None:
    """The techniques as JSON data, with what their rules decided; None where a function is among the options."""
    try:
        return Recipe(techniques, Float32()).to_dict()
    except RecipeError:
        return None


def finished(out: Path, cell: Cell) -> dict[str, Any] | None:
    """The row of a cell whose row and file are both there and belong together."""
    stem = out / cell.name
    try:
        row = json.loads(stem.with_name(stem.name + ".row.json").read_text())
        data = stem.with_name(stem.name + ".tflite").read_bytes()
        return {"layers": layers(data), **row} if row["made"]["sha256"] == _sha256(data) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def call(recipe: Recipe, seed: int, samples: bool, trained: bool = True) -> str:
    """The Python call that makes the same file again."""
    trainer = ", fit=fit" if trained else ", training=False"
    data = (trainer if recipe.techniques else "") + (", samples=samples" if samples else "")
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


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
