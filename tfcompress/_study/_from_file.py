"""study_file(): the studies that a TOML file describes, one for each of its models."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tfcompress import analysis, zoo
from tfcompress._compress import load_model
from tfcompress._study._fingerprint import fingerprint
from tfcompress._study._live import write_report
from tfcompress._study._scale import scale_for_model, scaled
from tfcompress._study._spec import read_spec, recipes_of
from tfcompress._study._study import study
from tfcompress.analysis.dimension import by_name
from tfcompress.core import RecipeError, write_all
from tfcompress.core._types import Model
from tfcompress.report import Report
from tfcompress.training import Distill, Fit

SAMPLES, IMAGES, THRESHOLD = 200, 1000, 20.0


@dataclass(frozen=True, eq=False)
class Trained:
    """A builder `trained(seed)`: a network of the zoo, trained on `data` as `train` says.

    It is distilled where that names a teacher.
    """

    network: str
    options: Mapping[str, Any]
    data: zoo.Data
    train: Mapping[str, Any]
    teacher: Trained | None = None

    def __call__(self, seed: int) -> Any:
        """The network of that seed, trained."""
        model = network(self.network)(
            input_shape=self.data.x_train.shape[1:], classes=classes(self.data), **self.options
        )
        teacher = _taught_once(self.teacher, seed) if self.teacher else None
        trainer(self.data, self.train, {"epochs": 10, "learning_rate": 1e-3}, teacher)(model, [])
        return model


_teachers: dict[tuple[str, int], Any] = {}


def _taught_once(teacher: Trained, seed: int) -> Any:
    """The teacher of that seed: trained once in a process for all its students."""
    key = fingerprint(teacher), seed
    if key not in _teachers:
        _teachers[key] = teacher(seed)
    return _teachers[key]


def study_file(
    path: str | Path,
    *,
    out: str | Path | None = None,
    full: bool = False,
    seeds: int | None = None,
    models: Sequence[str] | None = None,
    n_jobs: int = 1,
    progress: Callable[[str, int, int], None] | bool | None = None,
    command: str = "",
    trusted: bool = False,
) -> dict[str, Report]:
    """Carry out the study file at `path`, which `docs/studies.md` describes.

    Run again, it goes on where it was.

    Args:
        path: the study file.
        out: the folder for all models, a subfolder each (default: studies/ and the file's name).
        full: take the sizes of its [full] table.
        seeds: instead of the file's.
        models: those to carry out, else all.
        n_jobs, progress: as for `study`.
        command: what is written down as having made the reports.
        trusted: as for `load_model`, for the file's own models and those that cells share.

    Returns:
        The model's name → its report, in the file's order.

    Raises:
        RecipeError: for what is wrong in the file, before anything runs; and what `study` raises.
    """
    spec = read_spec(Path(path), full=full)
    stem = Path(path).stem
    folder = Path("studies") / f"{stem}-full" if full else Path("studies") / stem
    if out is not None:
        folder = Path(out)
    teachers: dict[str, Trained] = {}
    reports = {}
    prepared = {
        name: _prepared(spec, name, Path(path), teachers, trusted) for name in spec["models"]
    }
    written_down = {"study_file": Path(path).name}
    if command:
        written_down["command"] = command
    for name in chosen(spec, models):
        model, options = prepared[name]
        options["seeds"] = seeds or options["seeds"]
        options["facts"] = {**written_down, **options["facts"]}
        options |= {"out": folder / name, "n_jobs": n_jobs, "progress": progress}
        options["trusted"] = trusted
        title = _title(spec, name, Path(path).stem)
        reports[name] = study(model, recipes_of(spec, name), title=title, **options)
        by = spec["models"][name].get("significance", spec.get("significance"))
        if by:
            inputs = options["fit"].x
            reports[name] = _with_dimensions(
                reports[name], model, folder / name, inputs, by, trusted
            )
    return reports


def _title(spec: Mapping[str, Any], name: str, stem: str) -> str:
    """The study's title, with the model's name where there are several."""
    title = spec.get("title", stem)
    return f"{title}: {name}" if len(spec["models"]) > 1 else title


def chosen(spec: Mapping[str, Any], models: Sequence[str] | None) -> list[str]:
    """The models asked for, or all of the file's; RecipeError for one it does not have."""
    for name in models or ():
        if name not in spec["models"]:
            raise RecipeError(
                f"The study file has no model {name!r}; there are: {', '.join(spec['models'])}."
            )
    return list(models or spec["models"])


def _with_dimensions(
    report: Report, model: Any, folder: Path, x: Any, by: str, trusted: bool
) -> Report:
    """The report, and its page, with the intrinsic dimension of every layer.

    It is measured on the first seed's base and `IMAGES` training images.
    """
    named = by_name(by)
    kept = folder / f"significance-{by}-{named.view}-{named.rule}.json"
    if not kept.exists():
        base = (
            model
            if not isinstance(model, Trained)
            else load_model(sorted(folder.glob("shared/base-*.keras"))[0], trusted=trusted)
        )
        significance = analysis.significance(base, x[:IMAGES], by=by, progress=False)
        write_all({kept: json.dumps(significance.to_dict(), default=float)})
    report = Report(
        report.rows,
        report.title,
        {**report.about, "significance": json.loads(kept.read_text()), "threshold": THRESHOLD},
    )
    write_report(report, folder)
    return report


def _prepared(
    spec: Mapping[str, Any],
    name: str,
    path: Path,
    teachers: dict[str, Trained],
    trusted: bool,
) -> tuple[Any, dict[str, Any]]:
    """The model, or its builder, and the keyword arguments of its study."""
    table = spec["models"][name]
    tables = {key: {**spec.get(key, {}), **table.get(key, {})} for key in ("data", "train", "fit")}
    sizes = {key: tables["data"].pop(key, None) for key in ("train", "test", "samples")}
    facts: dict[str, Any] = {}
    if "file" in table:
        model = load_model(path.parent / table["file"], trusted=trusted)
        data, facts = _on_scale(model, tables["data"], path.parent, sizes)
    else:
        data = load(tables["data"], path.parent, sizes["train"], sizes["test"])
        model = Trained(
            table["zoo"],
            table.get("options", {}),
            data,
            tables["train"],
            _teacher(tables["train"], teachers, name),
        )
        network(table["zoo"])
        teachers[name] = model
    defaults = {"epochs": 3, "learning_rate": 1e-4} if "zoo" in table else {"epochs": 3}
    options = {
        "fit": trainer(data, tables["fit"], defaults, None),
        "samples": data.x_train[: sizes["samples"] or SAMPLES],
        "evaluate": (data.x_test, data.y_test),
        "seeds": table.get("seeds", spec.get("seeds", 1)),
        "threads": spec.get("threads", [1]),
        "facts": facts,
        **{key: spec[key] for key in ("metric", "profile", "strict") if key in spec},
    }
    return model, options


def _on_scale(
    model: Model, options: Mapping[str, Any], folder: Path, sizes: Mapping[str, int | None]
) -> tuple[zoo.Data, dict[str, str]]:
    """The data of a saved model on the scale that it takes, and that scale in words.

    A `scale` in the file is taken as it is; zoo networks need none, since they train on the data.
    """
    from tfcompress._backend import bridge as keras

    options = {"input_shape": keras.input_specs(model)[0][1][1:], **options}
    if "scale" in options:
        return load(options, folder, sizes["train"], sizes["test"]), {}
    data = load({**options, "scale": 1}, folder, sizes["train"], sizes["test"])
    scale = scale_for_model(data, model)
    return scaled(data, scale.divisor), {"input_scale": scale.reason}


def _teacher(
    train: Mapping[str, Any], teachers: Mapping[str, Trained], name: str
) -> Trained | None:
    wanted = train.get("distill", {}).get("teacher")
    if wanted is not None and wanted not in teachers:
        have = ", ".join(teachers) or "none"
        raise RecipeError(
            f"[models.{name}.train] distill: no zoo model {wanted!r} stands before it in the file; "
            f"there are: {have}."
        )
    return teachers[wanted] if wanted else None


def load(options: Mapping[str, Any], folder: Path, train: int | None, test: int | None) -> zoo.Data:
    """`zoo.load_data` with the file's [data], at most `train` and `test` images of it.

    Paths are from the file's folder. Where `train` is given, a tenth as many images validate.
    """
    options = dict(options)
    name = options.pop("name")
    beside = folder / name
    data = zoo.load_data(
        beside
        if name not in ("digits", "mnist", "cifar10", "cifar100") and beside.exists()
        else name,
        **options,
    )
    few = slice(None if train is None else max(1, train // 10))
    cut = {"x_val": data.x_val[few], "y_val": data.y_val[few]}
    cut |= {f"{axis}_train": getattr(data, f"{axis}_train")[:train] for axis in "xy"}
    return replace(
        data, **cut, **{f"{axis}_test": getattr(data, f"{axis}_test")[:test] for axis in "xy"}
    )


def network(name: str) -> Callable[..., Any]:
    """The zoo's function of that name; RecipeError with the names there are."""
    names = [one for one in zoo.__all__ if one[0].islower() and one != "load_data"]
    if name not in names:
        raise RecipeError(f"No network {name!r} in the zoo; there are: {', '.join(names)}.")
    return getattr(zoo, name)


def classes(data: zoo.Data) -> int:
    """Outputs for the labels of `data`: one (a sigmoid) for two classes, else one a class."""
    number = int(max(data.y_train.max(), data.y_test.max())) + 1
    return 1 if number == 2 else number


def trainer(
    data: zoo.Data, given: Mapping[str, Any], defaults: Mapping[str, Any], teacher: Any
) -> Any:
    """Fit, or Distill where there is a teacher, on `data` with a file's options."""
    from tfcompress._backend import bridge as keras

    options = {**defaults, **given}
    rate, decay, distill = (
        options.pop("learning_rate", None),
        options.pop("decay", None),
        dict(options.pop("distill", {})),
    )
    if rate is not None:
        steps = options.get("epochs", 1) * math.ceil(
            len(data.x_train) / options.get("batch_size", 32)
        )
        options["optimizer"] = keras.make_optimizer(
            options.get("optimizer", "adam"), rate, steps if decay == "cosine" else None
        )
    options["validation_data"] = (data.x_val, data.y_val)
    if teacher is not None:
        distill.pop("teacher")
        return Distill(teacher, data.x_train, data.y_train, **distill, **options)
    loss = "binary_crossentropy" if classes(data) == 1 else "sparse_categorical_crossentropy"
    return Fit(data.x_train, data.y_train, **{"loss": loss, "metrics": ["accuracy"], **options})
