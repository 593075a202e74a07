"""study(): recipes × seeds, every cell made once, side by side where asked, all files measured interleaved at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tfcompress import recipes as _recipes
from tfcompress._backend.progress import reporter
from tfcompress._compress import require_training
from tfcompress._study._about import about
from tfcompress._study._bench import Bench
from tfcompress._study._cell import Cell, finished
from tfcompress._study._code import keras_code
from tfcompress._study._contents import options
from tfcompress._study._fingerprint import fingerprint, nameless
from tfcompress._study._folder import check_owner, locked, parts
from tfcompress._study._live import Live
from tfcompress._study._measure import check_evaluate, labels_of, profiled, warn_of
from tfcompress._study._node import Node, needed_nodes, shared_prefixes, start_of, tree
from tfcompress._study._pool import workers
from tfcompress._study._run import carry_out
from tfcompress.core import DataError, ModelError, Recipe, RecipeError, Target
from tfcompress.core._verdict import with_warnings
from tfcompress.report import Report


def study(
    model: Any,
    recipes: Sequence[Recipe | Target | str],
    *,
    fit: Callable[[Any, list], None] | None = None,
    samples: Any = None,
    evaluate: tuple[Any, Any],
    metric: str = "accuracy",
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    n_jobs: int = 1,
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    profile: bool = True,
    training: bool = True,
    strict: bool = False,
    progress: Callable[[str, int, int], None] | bool | None = None,
    title: str = "tfcompress study",
    facts: dict[str, Any] | None = None,
) -> Report:
    """Carry out every recipe (a value or a name) with every seed on `model` and report accuracy, sizes and latency.

    `model`: a trained model of either Keras, or a function `model(seed)` that makes and trains one (called once a seed).
    `fit`, `samples`, `training`, `strict`: as for `compress`. `evaluate`: x [n, ...], y [n, ...] of the test set; `metric`: a Keras metric's name.
    `seeds`: how many (0, 1, …) or which. `threads`: thread counts to measure latency at, unless `profile` is off.
    `out`: a folder for the `.tflite` files, the trained models that cells share, and report.html, which can be opened meanwhile.
    A cell's address there is the content of all it depends on (recipe, seed, model, trainer, data, versions): a finished cell is not
    run again, and a study that was stopped goes on where it was. What leading techniques recipes have in common is trained once.
    A cell that raises becomes a row with its error, is tried again next time, and stops no other.
    `n_jobs`: cells side by side in as many processes, by joblib: under `joblib.parallel_config(backend="dask")`, wherever that says
    (on other machines, `out` must be a folder that all see). The numbers are the same as one after another.
    `progress`: as for `compress`. `facts`: more of them for the report's `about`.

    Raises before anything runs: RecipeError (unknown or repeated recipe, none at all, a `fit` that fixes the seed), DataError (test
    data; data that changed since the cells in `out` were made; what cannot be pickled), ArtifactError
    (`out` belongs to another study, or another process works in it).
    """
    wanted = [_recipes.recipe(recipe) for recipe in recipes]
    numbers = _checked(wanted, fit, evaluate, samples, seeds)
    fit = fit if training else None
    for recipe in wanted:
        require_training(recipe, fit, training)
    side_by_side = workers(n_jobs)
    lasting = out is not None
    model_key, built = _model_key(model, lasting)
    names = [recipe.name for recipe in wanted]
    with ExitStack() as stack:
        folder = None if out is None else Path(out)
        if folder is not None:
            stack.enter_context(locked(folder))
            check_owner(folder, parts(model_key, fit, samples, evaluate), title)
            shared = folder / "shared"
        else:
            shared = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tfc-study-")))
        bench = Bench(
            fit,
            samples,
            evaluate,
            metric,
            runtime,
            strict,
            folder,
            shared,
            model if built else None,
        )
        roots = {seed: _root(model_key, built, seed) for seed in numbers}
        if not built:
            bench.hold(roots[numbers[0]], model)
            if side_by_side > 1:
                bench.keep(roots[numbers[0]], model)
        prefixes = shared_prefixes(wanted)
        trees = {
            seed: tree(root, prefixes, bench.training_key, lasting=lasting)
            for seed, root in roots.items()
        }
        cells = [_cell(recipe, seed, trees[seed], bench) for seed in numbers for recipe in wanted]
        rows: dict[Cell, dict[str, Any]] = {}
        files: dict[Cell, Any] = {}
        for cell in cells if folder else ():
            if row := finished(folder, cell):  # type: ignore[arg-type]
                rows[cell], files[cell] = row, folder / f"{cell.name}.tflite"  # type: ignore[operator]
        floats = [
            recipe.name
            for recipe in wanted
            if not recipe.techniques and recipe.target.label == "float32"
        ]
        said = about(
            metric,
            (floats or names)[0],
            evaluate,
            seeds=numbers,
            threads=list(threads) if profile else [],
            **(facts or {}),
        )

        def report(running: dict[str, Any] | None) -> Report:
            there = [
                {**rows[cell], "options": options(cell.recipe)} for cell in cells if cell in rows
            ]
            there = with_warnings(there, metric, said["base"], labels_of(evaluate))
            progress = (
                {"running": {**running, "cells": len(cells), "cells_done": len(there)}}
                if running
                else {}
            )
            return Report(there, title, {**said, **progress})

        missing = [cell for cell in cells if cell not in rows]
        needed = needed_nodes(
            [node for nodes in trees.values() for node in nodes],
            [cell.start for cell in missing],
            bench.has,
        )
        with reporter(progress, total=len(cells) + len(needed) + 1, title=title) as step:
            live = Live(folder, report, step, len(missing) + len(needed))
            for cell in rows:
                step(f"{cell.recipe.name}, seed {cell.seed}: there already")
            live.page()
            for cell, row, artifact in carry_out(
                bench, needed, missing, n_jobs, side_by_side, live
            ):
                rows[cell], files[cell] = row, artifact
                if folder is not None and "error" not in row:
                    files[cell] = folder / f"{cell.name}.tflite"
                live.finished()
            live.says(
                f"latency of {sum(file is not None for file in files.values())} files"
                if profile
                else "report"
            )
            if profile:
                timed = profiled(
                    [rows[cell] for cell in cells],
                    [files.get(cell) for cell in cells],
                    folder,
                    threads,
                    runtime,
                )
                rows = dict(zip(cells, timed))
            finished_report = live.page(running=False)
            warn_of(finished_report)
            return finished_report  # type: ignore[return-value]


def _checked(
    wanted: Sequence[Recipe], fit: Any, evaluate: Any, samples: Any, seeds: int | Sequence[int]
) -> list[int]:
    names = [recipe.name for recipe in wanted]
    if not names or len(set(names)) < len(names):
        raise RecipeError(
            f"A study needs recipes with names of their own, got: {', '.join(names) or 'none'}."
        )
    check_evaluate(evaluate)
    if hasattr(samples, "__next__"):
        raise DataError(
            "samples: a generator can be read once, and every cell reads them; pass an array, or a function that returns it."
        )
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers or len(set(numbers)) < len(numbers):
        raise RecipeError(
            f"seeds={seeds!r}: expected how many (1 or more) or a list of different ones."
        )
    if len(numbers) > 1 and getattr(fit, "seed", None) is not None:
        raise RecipeError(
            f"fit has a seed of its own ({fit.seed}): all {len(numbers)} seeds would train alike. Leave it out; each cell sets its own."
        )
    return numbers


def _model_key(model: Any, lasting: bool) -> tuple[str, bool]:
    """The content address of a model or of the function that builds it, and whether it is a function."""
    from tfcompress._backend import bridge as keras

    try:
        keras.flavour(model)
    except ModelError:
        if not callable(model) or isinstance(model, type):
            raise
        return fingerprint(model, lasting=lasting), True
    parts = [keras.fingerprint(model), keras_code(model), _compile_state(model)]
    return fingerprint(parts, lasting=lasting), False


def _compile_state(model: Any) -> list[object]:
    """What training takes over from a model: the optimizer's settings and the loss, with its code."""
    if not getattr(model, "optimizer", None):
        return []
    optimizer, loss = model.optimizer, model.loss
    return [type(optimizer), nameless(optimizer.get_config()), loss]


def _root(key: str, built: bool, seed: int) -> Node:
    return Node(fingerprint(key, seed), seed) if built else Node(key, seed, given=True)


def _cell(recipe: Recipe, seed: int, nodes: list[Node], bench: Bench) -> Cell:
    address = fingerprint(recipe, seed, nodes[0].key, bench.key, lasting=bench.lasting)
    return Cell(recipe, seed, start_of(recipe.techniques, nodes), address)
