"""study(): recipes × seeds, every cell made once, all files measured interleaved at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tfcompress import recipes as _recipes
from tfcompress._backend.progress import reporter
from tfcompress._study._about import about
from tfcompress._study._cell import Base, Bench
from tfcompress._study._measure import check_evaluate, measured
from tfcompress.core import DataError, Recipe, RecipeError, Target
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
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    profile: bool = True,
    strict: bool = False,
    progress: Callable[[str, int, int], None] | bool | None = None,
    title: str = "tfcompress study",
) -> Report:
    """Carry out every recipe (a value or a name) with every seed on `model` and report accuracy, sizes and latency.

    `model`: a trained model of either Keras, or a function `model(seed)` that makes and trains one (called once a seed).
    `fit`, `samples`, `strict`: as for `compress`. `evaluate`: x [n, ...], y [n, ...] of the test set; `metric`: a Keras metric's name.
    `seeds`: how many (0, 1, …) or which. `threads`: thread counts to measure latency at, unless `profile` is off.
    `out`: a folder for the `.tflite` files. A cell's address there is the content of all it depends on (recipe, seed, model, trainer,
    data, versions): a finished cell is not run again, and a study that was stopped goes on where it was.
    A cell that raises becomes a row with its error, is tried again next time, and stops no other.

    Raises RecipeError (unknown or repeated recipe, none at all) and DataError (test data) before anything runs.
    """
    wanted = [_recipes.recipe(recipe) for recipe in recipes]
    names = [recipe.name for recipe in wanted]
    if not names or len(set(names)) < len(names):
        raise RecipeError(f"A study needs recipes with names of their own, got: {', '.join(names) or 'none'}.")
    check_evaluate(evaluate)
    if hasattr(samples, "__next__"):
        raise DataError("samples: a generator can be read once, and every cell reads them; pass an array, or a function that returns it.")
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers:
        raise RecipeError(f"seeds={seeds!r}: expected how many (1 or more) or a list of them.")
    bench = Bench(fit, samples, evaluate, metric, runtime, strict, None if out is None else Path(out))
    rows: list[dict[str, Any]] = []
    files: list[Any] = []
    with reporter(progress, total=len(numbers) * len(wanted) + 1, title=title) as step:
        for base in [Base(model, seed, bench.out) for seed in numbers]:
            for recipe in wanted:
                step(f"{recipe.name}, seed {base.seed}")
                row, file = bench.run(recipe, base)
                rows.append(row)
                files.append(file)
        step(f"latency of {sum(file is not None for file in files)} files" if profile else "report")
        if profile:
            rows = measured(rows, files, threads=threads, runtime=runtime)
    floats = [recipe.name for recipe in wanted if not recipe.techniques and recipe.target.label == "float32"]
    said = about(metric, (floats or names)[0], evaluate, seeds=numbers, threads=list(threads) if profile else [])
    return Report(rows, title, said)
