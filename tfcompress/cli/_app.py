"""The subcommands and their options; each does its work in a module of its own, loaded when it is called."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from tfcompress.cli import _demo, _doctor, _model, _sensitivity, _significance, _study

app = typer.Typer(
    help="Make a trained Keras model small and fast for the edge, and show, measured, what that cost.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
ModelFile = Annotated[
    Path, typer.Argument(help="A trained model: .keras, .h5 or a SavedModel folder.")
]
Out = Annotated[Path, typer.Option(help="Folder or file stem to write to.")]
Overwrite = Annotated[bool, typer.Option(help="Replace files that are already there.")]
DATA_HELP = "digits, mnist, cifar10, cifar100, an .npz (x_train y_train x_test y_test), or a folder of one folder of images a class."
DataName = Annotated[str, typer.Option("--data", help=DATA_HELP)]
Threads = Annotated[str, typer.Option(help="Thread counts to measure, e.g. 1,2,4.")]
Runtime = Annotated[str, typer.Option(help="auto, litert, tflite_runtime or tensorflow.")]


@app.command()
def demo(
    out: Out = Path("tfcompress-demo"),
    seed: int = 0,
    epochs: Annotated[int, typer.Option(help="Epochs of the base training.")] = 15,
) -> None:
    """Train a small network on real digits, compress it in eight ways, and write the comparison and the files."""
    _demo.run(out, seed, epochs)


@app.command()
def compress(
    model: ModelFile,
    recipe: Annotated[
        str,
        typer.Option(
            help="A recipe's name such as prune80-cluster16-qat-int8, or a recipe's .json."
        ),
    ] = "int8",
    data: DataName = "",
    out: Annotated[
        Path | None,
        typer.Option(help="File stem to write; default: the model's name and the recipe's."),
    ] = None,
    epochs: Annotated[int, typer.Option(help="Epochs of training with each technique.")] = 3,
    batch_size: int = 32,
    learning_rate: Annotated[
        float, typer.Option(help="Adam's, where the model is not compiled or there is a teacher.")
    ] = 1e-3,
    teacher: Annotated[
        str,
        typer.Option(
            help="Distil while training, from this model's file; self: from the model itself."
        ),
    ] = "",
    temperature: Annotated[float, typer.Option(help="Softens the teacher's answers.")] = 4.0,
    alpha: Annotated[float, typer.Option(help="The teacher's share of the loss, 0 to 1.")] = 0.9,
    attention: Annotated[
        bool, typer.Option(help="Attention transfer too, between the last layers of every size.")
    ] = False,
    samples: Annotated[int, typer.Option(help="Training images used for calibration.")] = 200,
    seed: int = 0,
    strict: Annotated[bool, typer.Option(help="Fail if any layer is left alone.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compress a trained model by a recipe.

    Words of a name: filtersS, macsS, paramsS, latencyS (with taylor behind: by gradients), slimS, slimmacsS, lowrankS, finetune,
    pruneS, pruneNofM, clusterN, qat, qatplain, mixedB, xnor, twonn-mixedAB, pca-mixedAB, twonn-clusterN, cqat; then the target:
    float32, float16, dynamic, int8, int16x8, packed or packedsize. S is a percentage; tfcompress.recipes tells each.
    """
    schooling = _model.Schooling(
        epochs, batch_size, learning_rate, teacher, temperature, alpha, attention
    )
    _model.compress(model, recipe, data, out, schooling, samples, seed, strict, overwrite, as_json)


@app.command()
def convert(
    model: ModelFile,
    target: Annotated[
        str, typer.Option(help="float32, float16, dynamic, int8, int16x8 or packed.")
    ] = "float32",
    data: DataName = "",
    out: Annotated[
        Path | None,
        typer.Option(help="File stem to write; default: the model's name and the target's."),
    ] = None,
    samples: Annotated[int, typer.Option(help="Training images used for calibration.")] = 200,
    strict: Annotated[bool, typer.Option(help="Fail if any layer is left alone.")] = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Convert a model as it is: no training, only another number format."""
    _model.compress(model, target, data, out, None, samples, None, strict, overwrite, as_json)


@app.command()
def significance(
    model: ModelFile,
    data: DataName = "",
    by: Annotated[
        str,
        typer.Option(
            help="twonn (intrinsic dimension) or pca (components for 99 % of the variance)."
        ),
    ] = "twonn",
    view: Annotated[
        str, typer.Option(help="flatten: an image is a point; channels: a position is a point.")
    ] = "flatten",
    images: Annotated[int, typer.Option(help="Training images used.")] = 1000,
    threshold: Annotated[
        float, typer.Option(help="A layer is significant when its dimension changes by more.")
    ] = 20.0,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the profile by layer as a PNG, SVG or PDF.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Which layers matter: the intrinsic dimension of every layer's output, its change, and the bits that follow from it."""
    _significance.run(model, data, by, view, images, threshold, plot, overwrite, as_json)


@app.command()
def sensitivity(
    model: ModelFile,
    data: DataName = "",
    by: Annotated[
        str, typer.Option(help="layer, or block: all filters of a residual block.")
    ] = "layer",
    importance: Annotated[
        str, typer.Option(help="Which filters go first: l1, l2 or bn_gamma.")
    ] = "l1",
    images: Annotated[int, typer.Option(help="Validation images used.")] = 1000,
    max_drop: Annotated[
        float, typer.Option(help="Accuracy that one layer's or block's loss of filters may cost.")
    ] = 0.02,
    plot: Annotated[
        Path | None, typer.Option(help="Also draw the curves as a PNG, SVG or PDF.")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(help="Also write a recipe .json with the suggested ratios, for compress."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """How many filters each layer can lose: accuracy against the share removed, and the ratios that this suggests."""
    _sensitivity.run(
        model, data, by, importance, images, max_drop, plot, recipe, overwrite, as_json
    )


@app.command()
def cost(model: ModelFile, as_json: Json = False) -> None:
    """Parameters, multiply-accumulates and activation memory of a model, by layer and in total."""
    found = _model.cost_of(model)
    _print({**dataclasses.asdict(found), "unknown": found.unknown} if as_json else str(found))


@app.command()
def profile(
    files: Annotated[
        list[Path], typer.Argument(help=".tflite files; several are measured interleaved.")
    ],
    threads: Threads = "1",
    runtime: Runtime = "auto",
    as_json: Json = False,
) -> None:
    """Size, latency by threads, memory and time per operation of .tflite files."""
    from tfcompress.profiling import profile_many

    found = profile_many([str(file) for file in files], threads=_counts(threads), runtime=runtime)
    _print([item.to_dict() for item in found] if as_json else "\n\n".join(map(str, found)))


@app.command()
def compare(
    files: Annotated[list[Path], typer.Argument(help=".tflite files; the first is the base.")],
    data: DataName = "",
    metric: Annotated[str, typer.Option(help="accuracy or any Keras metric.")] = "accuracy",
    threads: Threads = "1",
    runtime: Runtime = "auto",
    html: Annotated[
        Path | None, typer.Option(help="Also write the comparison as one HTML page.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Compare .tflite files: accuracy on test data, size, latency."""
    from tfcompress._study import compare as run

    evaluate = _model.test_data(data, files[0]) if data else None
    report = run(
        [str(file) for file in files],
        evaluate=evaluate,
        metric=metric,
        threads=_counts(threads),
        runtime=runtime,
    )
    _print(list(report.rows) if as_json else report.to_markdown())
    if html:  # what was measured is said before a file can fail
        report.to_html(html, overwrite=overwrite)
    if any(row.get("error") for row in report.rows):
        raise typer.Exit(1)


@app.command()
def study(
    file: Annotated[
        Path,
        typer.Argument(
            help="A study file: models, data, recipes or a grid, seeds (docs/studies.md)."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for files and reports; default: studies/ and the file's name."),
    ] = None,
    full: Annotated[bool, typer.Option(help="Take the sizes of the file's [full] table.")] = False,
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds, instead of the file's.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Only this model of the file; may be given several times."),
    ] = None,
    n_jobs: Annotated[int, typer.Option(help="Cells side by side; -1: one a core.")] = 1,
    results: Annotated[
        Path | None,
        typer.Option(help="Also write what was printed beside what is measured, as Markdown."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Carry out a study file: recipes × seeds on one or more models. Stopped, it goes on where it was."""
    _study.run(file, out, full, seeds, model, n_jobs, results, as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """What is installed here, whether it fits together, and what to do where it does not."""
    found = _doctor.examine()
    _print(found if as_json else _doctor.as_text(found))
    if found["problems"]:
        raise typer.Exit(1)


def _counts(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of thread counts such as 1,2,4") from None


def _print(what: Any) -> None:
    typer.echo(
        what if isinstance(what, str) else json.dumps(what, indent=2, sort_keys=True, default=str)
    )
