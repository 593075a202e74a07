"""What may stand in a study file: its tables, their options, and the type of each."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

Positive = Annotated[int, msgspec.Meta(ge=1)]
Numbers = list[int]


class Distillation(msgspec.Struct):
    """`distill` of a [train] table: `Distill`'s options, and which model teaches."""

    teacher: str
    temperature: float | UnsetType = UNSET
    alpha: float | UnsetType = UNSET
    attention: str | dict[str, str] | UnsetType = UNSET
    beta: float | UnsetType = UNSET


class Training(msgspec.Struct):
    """[train] and [fit]: `Fit`'s options, a constant learning rate or one that decays."""

    epochs: Positive | UnsetType = UNSET
    batch_size: Positive | UnsetType = UNSET
    optimizer: str | UnsetType = UNSET
    learning_rate: float | UnsetType = UNSET
    decay: str | UnsetType = UNSET
    loss: str | UnsetType = UNSET
    metrics: list[str] | UnsetType = UNSET
    early_stopping: Positive | UnsetType = UNSET
    distill: Distillation | UnsetType = UNSET


class Data(msgspec.Struct):
    """[data]: a data set by name or file, and how much of it."""

    name: str | UnsetType = UNSET
    folder: str | UnsetType = UNSET
    classes: list[Any] | int | UnsetType = UNSET
    split: Any = UNSET
    seed: int | UnsetType = UNSET
    scale: Any = UNSET
    train: Positive | UnsetType = UNSET
    test: Positive | UnsetType = UNSET
    samples: Positive | UnsetType = UNSET
    input_shape: list[int] | UnsetType = UNSET


class Own(msgspec.Struct):
    """A recipe written out: techniques and a target, each with its class and options."""

    target: dict[str, Any] | UnsetType = UNSET
    techniques: list[dict[str, Any]] | UnsetType = UNSET


class Recipes(msgspec.Struct):
    """[recipes]: names, grids of names, and recipes written out; further keys are grids' lists."""

    names: list[str] | UnsetType = UNSET
    grid: list[str] | UnsetType = UNSET
    own: dict[str, Own] | UnsetType = UNSET


class ModelTable(msgspec.Struct):
    """[models.name]: a network of the zoo or a saved model, and what is its alone."""

    zoo: str | UnsetType = UNSET
    file: str | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    data: Data | UnsetType = UNSET
    train: Training | UnsetType = UNSET
    fit: Training | UnsetType = UNSET
    recipes: Recipes | UnsetType = UNSET
    printed: dict[str, dict[str, Any]] | UnsetType = UNSET
    seeds: Positive | Numbers | UnsetType = UNSET
    significance: str | UnsetType = UNSET


class StudyFile(msgspec.Struct):
    """A study file; [full] is laid over the rest where it is asked for."""

    title: str | UnsetType = UNSET
    metric: str | UnsetType = UNSET
    seeds: Positive | Numbers | UnsetType = UNSET
    threads: list[Positive] | UnsetType = UNSET
    profile: bool | UnsetType = UNSET
    strict: bool | UnsetType = UNSET
    data: Data | UnsetType = UNSET
    models: dict[str, ModelTable] | UnsetType = UNSET
    train: Training | UnsetType = UNSET
    fit: Training | UnsetType = UNSET
    recipes: Recipes | UnsetType = UNSET
    printed: dict[str, dict[str, Any]] | UnsetType = UNSET
    notes: str | UnsetType = UNSET
    significance: str | UnsetType = UNSET
    columns: list[str] | UnsetType = UNSET
    full: dict[str, Any] | UnsetType = UNSET


TABLES = {"data": Data, "train": Training, "fit": Training, "distill": Distillation}
"""Tables whose options are fixed, by name."""
