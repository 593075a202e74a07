"""study(): recipes × seeds, every cell made once, all files measured interleaved at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tfcompress import recipes as _recipes
from tfcompress._backend.progress import reporter
from tfcompress._compress import require_training
from tfcompress._study._about import about
from tfcompress._study._bench import Bench
from tfcompress._study._folder import check_owner, locked, parts
from tfcompress._study._interrupt import Interrupts
from tfcompress._study._ledger import Ledger
from tfcompress._study._live import Live
from tfcompress._study._measure import check_evaluate, require_devices, warn_of
from tfcompress._study._plan import Plan, Subject, planned, subject_of
from tfcompress._study._pool import workers
from tfcompress._study._run import carry_out
from tfcompress._study._scratch import scratch, temporary_files_in
from tfcompress.core import DataError, Device, Recipe, RecipeError, Target
from tfcompress.core._types import Data, Model, Trainer
from tfcompress.report import Report

Progress = Callable[[str, int, int], None] | bool | None


def study(
    model: Model | Callable[[int], Model],
    recipes: Sequence[Recipe | Target | str],
    *,
    fit: Trainer | None = None,
    samples: Data | None = None,
    evaluate: Data,
    metric: str = "accuracy",
    seeds: int | Sequence[int] = 1,
    out: str | Path | None = None,
    n_jobs: int = 1,
    threads: Sequence[int] = (1,),
    runtime: str = "auto",
    on: Sequence[Device] = (),
    profile: bool = True,
    training: bool = True,
    strict: bool = False,
    trusted: bool = False,
    progress: Progress = None,
    title: str = "tfcompress study",
    facts: dict[str, Any] | None = None,
) -> Report:
    """Carry out every recipe with every seed and report accuracy, sizes and latency.

    A cell is one recipe with one seed. Its address in `out` is the content of all it depends on
    (recipe, seed, model, trainer, data, versions): a finished cell is not run again, and a study
    that was stopped goes on where it was. What leading techniques recipes have in common is
    trained once. A cell that raises becomes a row with its error, is tried again next time, and
    stops no other.

    Args:
        model: a trained model of either Keras, or a function `model(seed)` that makes and trains
            one, called once a seed.
        recipes: recipes, targets, or names of them.
        fit, samples, training, strict, progress: as for `compress`.
        evaluate: x [n, ...], y [n, ...] of the test set, or a data set of (x, y) batches.
        metric: a Keras metric's name.
        seeds: how many (0, 1, …), or which.
        out: a folder for the `.tflite` files, the trained models that cells share, and
            report.html, which can be opened meanwhile.
        n_jobs: cells side by side in as many processes, by joblib: under
            `joblib.parallel_config(backend="dask")`, wherever that says (on other machines, `out`
            must be a folder that all see). The numbers are the same as one after another.
        threads: thread counts to measure latency at, unless `profile` is off.
        runtime: the interpreter that runs the files.
        trusted: as for `load_model`, for the models that cells share in `out`: a model with a
            Lambda layer is read back from there. A study without `out` wrote them itself.
        on: devices of `tfcompress.devices`, measured beside this host: their columns say which. A
            file that one cannot run has a warning that says why.
        title: the report's.
        facts: more of them for the report's `about`.

    Every error is raised before anything runs.

    Raises:
        RecipeError: an unknown or repeated recipe, none at all, a `fit` that fixes the seed.
        DataError: test data that do not fit; data that changed since the cells in `out` were
            made; what cannot be pickled, or has no content that an address could be made of.
        TrainingError: a technique needs training, and there is no `fit`.
        ArtifactError: `out` belongs to another study, or another process works in it.
    """
    require_devices(on)
    chosen = [_recipes.recipe(recipe) for recipe in recipes]
    numbers = _checked(chosen, fit, evaluate, samples, seeds)
    fit = _trainer(chosen, fit, training)
    side_by_side = workers(n_jobs)
    subject = subject_of(model, lasting=out is not None)
    folder = None if out is None else Path(out)
    with _folders(folder) as (shared, temporary):
        if folder is not None:
            check_owner(folder, parts(subject.key, fit, samples, evaluate), title)
        bench = Bench(
            fit=fit,
            samples=samples,
            evaluate=evaluate,
            metric=metric,
            runtime=runtime,
            strict=strict,
            trusted=trusted or folder is None,
            out=folder,
            shared=shared,
            scratch=temporary,
            builder=subject.builder,
        )
        _give(bench, subject, numbers[0], side_by_side)
        plan = planned(bench, subject, chosen, numbers)
        timed = list(threads) if profile else []
        more = {"seeds": numbers, "threads": timed, **(facts or {})}
        ledger = Ledger(bench, plan.cells, title, about(metric, _base(chosen), evaluate, **more))
        return _run(ledger, plan, n_jobs, timed if profile else None, on, progress)


def _run(
    ledger: Ledger,
    plan: Plan,
    n_jobs: int,
    threads: Sequence[int] | None,
    on: Sequence[Device],
    progress: Progress,
) -> Report:
    """Make the cells that are missing, measure all files (`threads` None: do not), and report."""
    bench, missing = ledger.bench, ledger.missing
    needed = plan.needed(bench, missing)
    total = len(ledger.cells) + len(needed) + 1
    with Interrupts() as interrupts, reporter(progress, total=total, title=ledger.title) as step:
        live = Live(bench.out, ledger.report, step, len(missing) + len(needed), interrupts.check)
        for cell in ledger.rows:
            step(f"{cell.recipe.name}, seed {cell.seed}: there already")
        live.page()
        for result in carry_out(bench, needed, missing, n_jobs, workers(n_jobs), live):
            interrupts.check()
            ledger.add(*result)
            live.finished()
        if threads is None:
            live.says("report")
        else:
            files = [file for file in ledger.files.values() if file is not None]
            live.says(f"latency of {len(files)} files")
            with temporary_files_in(bench.scratch):
                ledger.profile(threads)
        ledger.measure_on(on)
        interrupts.check()
        report = live.ended()
    warn_of(report)
    return report


@contextmanager
def _folders(out: Path | None) -> Iterator[tuple[Path, Path]]:
    """The folder of the models that cells share and the one for temporary files.

    `out` is held meanwhile; without it both are gone at the end.
    """
    if out is None:
        with tempfile.TemporaryDirectory(prefix="tfc-study-") as folder:
            yield Path(folder) / "shared", Path(folder)
        return
    with locked(out), scratch(out) as temporary:
        yield out / "shared", temporary


def _give(bench: Bench, subject: Subject, seed: int, side_by_side: int) -> None:
    """Put the model that the user gave where the cells look for it."""
    if subject.model is None:
        return
    bench.hold(subject.root(seed), subject.model)
    if side_by_side > 1:
        bench.keep(subject.root(seed), subject.model)


def _base(recipes: Sequence[Recipe]) -> str:
    """The recipe that the others are held against: the plain float32 file, else the first."""
    plain = [one for one in recipes if not one.techniques and one.target.label == "float32"]
    return (plain or list(recipes))[0].name


def _trainer(recipes: Sequence[Recipe], fit: Trainer | None, training: bool) -> Trainer | None:
    """What trains, if anything does; TrainingError where it is needed and missing."""
    trainer = fit if training else None
    for recipe in recipes:
        require_training(recipe, trainer, training)
    return trainer


def _checked(
    recipes: Sequence[Recipe],
    fit: Trainer | None,
    evaluate: Data,
    samples: Data | None,
    seeds: int | Sequence[int],
) -> list[int]:
    """The seeds as a list; an error for what could not end in a report."""
    names = [recipe.name for recipe in recipes]
    if not names or len(set(names)) < len(names):
        raise RecipeError(
            f"A study needs recipes with names of their own, got: {', '.join(names) or 'none'}."
        )
    check_evaluate(evaluate)
    if hasattr(samples, "__next__"):
        raise DataError(
            "samples: a generator can be read once, and every cell reads them; pass an array, or a "
            "function that returns it."
        )
    numbers = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not numbers or len(set(numbers)) < len(numbers):
        raise RecipeError(
            f"seeds={seeds!r}: expected how many (1 or more) or a list of different ones."
        )
    own_seed = getattr(fit, "seed", None)
    if len(numbers) > 1 and own_seed is not None:
        raise RecipeError(
            f"fit has a seed of its own ({own_seed}): all {len(numbers)} seeds would train alike. "
            "Leave it out; each cell sets its own."
        )
    return numbers
