"""Fine-tuning as a step of its own, for what a technique before it removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend import bridge as _keras
from tfcompress.core import Stage, Technique, Training
from tfcompress.core._types import Model


@dataclass(frozen=True, eq=False)
class FineTune(Technique):
    """Trains a copy of the model as it is: what `Slim` and one-shot removal need afterwards.

    Source: Han et al., Learning both Weights and Connections, NeurIPS 2015.
    """

    stage: ClassVar[Stage] = Stage.ARCHITECTURE
    training: ClassVar[Training] = Training.REQUIRED

    def apply(self, model: Model) -> Model:
        """A copy of `model`, compiled as it is."""
        return _keras.clone(model)

    @property
    def label(self) -> str:
        """`finetune`."""
        return "finetune"
