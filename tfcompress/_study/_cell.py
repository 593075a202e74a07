"""What runs in a worker: one shared model, or one cell, made once and kept under its address."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

from tfcompress import recipes as _recipes
from tfcompress._study._bench import Bench
from tfcompress._study._contents import layers
from tfcompress._study._formats import Row, check_row
from tfcompress._study._measure import scored
from tfcompress._study._node import Node
from tfcompress._study._scratch import temporary_files_in
from tfcompress.core import (
    Artifact,
    ArtifactError,
    ConversionError,
    ParityError,
    Recipe,
    RecipeError,
    Technique,
    write_all,
)
from tfcompress.core._schema import FormatError, parse_json
from tfcompress.core._types import Model
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

    def failed(self, error: str) -> Row:
        """The row of a cell that came to nothing."""
        return {"recipe": self.recipe.name, "seed": self.seed, "error": error}


Finished = tuple[Row, Artifact | None]


def carry_out_job(bench: Bench, job: Node | Cell) -> str | Finished:
    """What a process does with a job; its temporary files go where the study's do."""
    with temporary_files_in(bench.scratch):
        return make_node(bench, job) if isinstance(job, Node) else make_cell(bench, job)


def make_node(bench: Bench, node: Node) -> str:
    """Build or train a shared model and keep it.

    A model that cannot be kept (no file can hold it, or it does not convert to float32) is no
    error: its cells train it themselves.

    Returns:
        "", or the error that every cell which starts from it has in its row.
    """
    try:
        if node.parent is None:
            _build(bench, node)
        else:
            _train(bench, node, bench.nearest(node.parent))
    except UNSHARED:
        return ""
    except Exception as error:  # whatever a user's builder or trainer raises
        return f"{type(error).__name__}: {error}"
    return ""


def _build(bench: Bench, node: Node) -> None:
    """Call the user's builder and keep the base that it returns."""
    from tfcompress._backend import bridge as keras

    assert bench.builder is not None
    keras.set_seed(node.seed)
    with keras.fresh_names():
        model = bench.builder(node.seed)
    try:
        bench.keep(node, model)
    except ArtifactError:
        bench.hold(node, model)


def _train(bench: Bench, node: Node, parent: Node) -> None:
    """Carry out the techniques of `node` on the model of `parent` and keep the result."""
    start = perf_counter()
    recipe = Recipe(node.techniques[len(parent.techniques) :], Float32())
    artifact = _compressed(bench, bench.model(parent), recipe, node.seed)
    artifact = after(bench, parent, artifact, recipe)
    bench.keep(
        node,
        artifact.model,
        skipped=[asdict(item) for item in artifact.skipped],
        checks=[asdict(item) for item in artifact.checks if item.stage != Float32().label],
        techniques=_as_data(artifact.recipe.techniques),
        seconds=round(perf_counter() - start, 2),
    )


def _compressed(bench: Bench, model: Model, recipe: Recipe, seed: int) -> Artifact:
    from tfcompress._compress import compress

    return compress(
        model,
        recipe,
        fit=bench.fit,
        samples=bench.samples,
        training=bench.fit is not None,
        strict=bench.strict,
        seed=seed,
        progress=False,
    )


def make_cell(bench: Bench, cell: Cell) -> Finished:
    """The cell's row, and its Artifact where there is no folder to keep it in.

    Anything that raises becomes the row's "error".
    """
    try:
        return _make(bench, cell)
    except Exception as error:  # whatever a user's trainer or a converter raises costs this cell
        return cell.failed(f"{type(error).__name__}: {error}"), None


def _make(bench: Bench, cell: Cell) -> Finished:
    from tfcompress._compress import untrained_warnings

    start, recipe, node = perf_counter(), cell.recipe, bench.nearest(cell.start)
    rest = recipe
    if node.techniques:
        rest = replace(recipe, techniques=recipe.techniques[len(node.techniques) :])
    artifact = _compressed(bench, bench.model(node), rest, cell.seed)
    artifact = after(bench, node, artifact, recipe)
    untrained = untrained_warnings(recipe, bench.fit)
    if untrained:
        artifact = replace(artifact, about={**artifact.about, "warnings": untrained})
    row = _row(bench, cell, artifact, round(perf_counter() - start, 2))
    if artifact.about.get("training"):
        row["training"] = artifact.about["training"]
    if untrained:
        row["warnings"] = untrained
    if node.techniques:
        row["made"]["started_from"] = node.name
    if bench.out is None:
        return row, replace(artifact, model=None)
    _keep(bench.out / cell.name, artifact, row)
    return row, None


def _row(bench: Bench, cell: Cell, artifact: Artifact, seconds: float) -> Row:
    """What is measured and told of a cell's file."""
    trained, sampled = bench.fit is not None, bench.samples is not None
    return {
        "recipe": cell.recipe.name,
        "seed": cell.seed,
        **scored(artifact, bench.evaluate, bench.metric, bench.runtime),
        "size_bytes": artifact.size_bytes,
        "gzip_bytes": artifact.gzip_bytes,
        "skipped": [asdict(item) for item in artifact.skipped],
        "checks": [asdict(item) for item in artifact.checks],
        "layers": layers(artifact.data, artifact.model),
        "made": {
            "call": call(cell.recipe, cell.seed, sampled, trained),
            "seconds": seconds,
            "sha256": _sha256(artifact.data),
        },
    }


def _keep(stem: Path, artifact: Artifact, row: Row) -> None:
    row["made"]["file"] = artifact.save(stem, overwrite=True, model=False, card=False)[0].name
    # The row comes last: where it is, the cell is whole.
    write_all({_row_file(stem): json.dumps(row, indent=1) + "\n"}, overwrite=True)


def _row_file(stem: Path) -> Path:
    return stem.with_name(stem.name + ".row.json")


def after(bench: Bench, node: Node, artifact: Artifact, recipe: Recipe) -> Artifact:
    """`artifact`, made from the model of `node`, as if all of `recipe` had been done at once."""
    if not node.techniques:
        return artifact
    note = bench.note(node)
    before = node.techniques
    if note.techniques is not None:
        before = Recipe.from_dict(note.techniques).techniques
    return replace(
        artifact,
        recipe=replace(recipe, techniques=(*before, *artifact.recipe.techniques)),
        skipped=tuple(dict.fromkeys((*note.skipped, *artifact.skipped))),
        checks=(*note.checks, *artifact.checks),
    )


def _as_data(techniques: Sequence[Technique]) -> dict[str, object] | None:
    """The techniques as JSON data, with what their rules decided; None where JSON cannot."""
    try:
        return Recipe(techniques, Float32()).to_dict()
    except RecipeError:  # a function is among the options
        return None


def finished(out: Path, cell: Cell, metric: str) -> Row | None:
    """The row of a cell whose row and file are both there, whole, and belong together."""
    stem = out / cell.name
    try:
        data = parse_json(_row_file(stem).read_bytes())
        row = check_row(data, metric)
        file = stem.with_name(stem.name + ".tflite").read_bytes()
    except (OSError, FormatError):
        return None
    if (row.recipe, row.seed, row.made.sha256) != (cell.recipe.name, cell.seed, _sha256(file)):
        return None
    return {"layers": layers(file), **data}


def call(recipe: Recipe, seed: int, sampled: bool, trained: bool = True) -> str:
    """The Python call that makes the same file again."""
    arguments = ["model", _written(recipe)]
    if recipe.techniques:
        arguments.append("fit=fit" if trained else "training=False")
    if sampled:
        arguments.append("samples=samples")
    return f"tfc.compress({', '.join(arguments)}, seed={seed})"


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
