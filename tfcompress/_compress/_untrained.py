"""Training that is left out: refused, or asked for and told."""

from __future__ import annotations

from tfcompress.core import Recipe, Training, TrainingError
from tfcompress.core._types import Trainer


def require_training(recipe: Recipe, fit: Trainer | None, training: bool) -> None:
    """TrainingError where a technique needs training to keep accuracy and nothing would train.

    `training=False` says that this is meant; what cannot be made without training is refused all
    the same.
    """
    if fit is not None:
        return
    for technique in recipe.techniques:
        if technique.training is Training.REQUIRED:
            raise TrainingError(
                f"{technique.label} needs training: pass fit=Fit(x_train, y_train, ...) to "
                "compress()."
            )
        if technique.training is Training.OPTIONAL and training:
            raise TrainingError(
                f"{technique.label} loses accuracy without training: pass fit=Fit(x_train, "
                "y_train, ...), or training=False where the untrained file is wanted."
            )


def untrained_warnings(recipe: Recipe, fit: Trainer | None) -> list[str]:
    """One sentence for every technique of `recipe` that is trained elsewhere and was not here."""
    if fit is not None:
        return []
    return [
        f"{technique.label} was not trained (training=False): nothing made up for what it removed"
        for technique in recipe.techniques
        if technique.training is not Training.NEVER
    ]
