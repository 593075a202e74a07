"""The options that several subcommands share, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA_HELP = (
    "digits, mnist, cifar10, cifar100, an .npz (x_train y_train x_test y_test), "
    "or a folder of one folder of images a class."
)
SCALE_HELP = (
    "What images stored as integers are divided by: auto (the scale that the model answers best "
    "on, else as they are stored), or a number such as 1 or 255."
)
TEACHER_HELP = "Distil while training, from this model's file; self: from the model itself."
METRIC_HELP = "accuracy, top5, auc, mse, mae or any other Keras metric; default: by the labels."
TRAINING_HELP = "Train with each technique; --no-training makes the untrained file and says so."

Attention = Annotated[
    bool, typer.Option(help="Attention transfer too, between the last layers of every size.")
]
Alpha = Annotated[float, typer.Option(help="The teacher's share of the loss, 0 to 1.")]
Batches = Annotated[
    str, typer.Option(help="Batch sizes to measure samples a second at, e.g. 1,8,32.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Images of one training step.")]
DataName = Annotated[str, typer.Option("--data", help=DATA_HELP)]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        help="Also measure on this device: micro, ethos-u55-128, litert-2threads; repeatable.",
    ),
]
Epochs = Annotated[int, typer.Option(min=0, help="Epochs of training with each technique.")]
Html = Annotated[Path | None, typer.Option(help="Also write the comparison as one HTML page.")]
Images = Annotated[int, typer.Option(min=1, help="Images used.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]
LearningRate = Annotated[
    float | None, typer.Option(help="Learning rate; default: small enough for a trained network.")
]
MaxBytes = Annotated[
    str, typer.Option(help="Recommend the best file of at most this size: 50000, 50kB or 1.5MB.")
]
Metric = Annotated[str, typer.Option(help=METRIC_HELP)]
ModelFile = Annotated[
    Path, typer.Argument(help="A trained model: .keras, .h5 or a SavedModel folder.")
]
Out = Annotated[Path, typer.Option(help="Folder to write to.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are already there.")
]
Plot = Annotated[Path | None, typer.Option(help="Also draw it as a PNG, SVG or PDF.")]
RecipeName = Annotated[
    str,
    typer.Option(help="A recipe's name such as prune80-int8, or a recipe's .json."),
]
Runtime = Annotated[str, typer.Option(help="auto, litert, tflite_runtime or tensorflow.")]
Samples = Annotated[int, typer.Option(min=1, help="Training images used for calibration.")]
ScaleOption = Annotated[str, typer.Option("--scale", help=SCALE_HELP)]
Seed = Annotated[int, typer.Option(help="Makes training and splits repeatable.")]
Stem = Annotated[
    Path | None,
    typer.Option("--out", help="File stem to write; default: the model's and the recipe's name."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Fail if any layer is left alone.")]
TargetName = Annotated[
    str, typer.Option(help="float32, float16, dynamic, int8, int8io, uint8io, int16x8 or packed.")
]
Teacher = Annotated[str, typer.Option(help=TEACHER_HELP)]
Temperature = Annotated[float, typer.Option(help="Softens the teacher's answers.")]
Threads = Annotated[str, typer.Option(help="Thread counts to measure, e.g. 1,2,4.")]
Training = Annotated[bool, typer.Option("--training/--no-training", help=TRAINING_HELP)]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run code that the model's file holds (Lambda layers)."),
]
