"""What every target is: a frozen value that turns a model into the bytes of a `.tflite`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from tfcompress.core._technique import Check, Skipped
from tfcompress.core._value import Value


class Target(Value, ABC):
    """A frozen value that turns a model into the bytes of a `.tflite`."""

    needs_samples: ClassVar[bool] = False
    max_relative_error: ClassVar[float]
    """Parity bound: ‖file − Keras‖₂ / ‖Keras‖₂ over the outputs on the parity inputs must stay below it."""

    @abstractmethod
    def convert(self, model: Any, samples: Any = None) -> bytes:
        """`model` (either Keras, untouched) as a `.tflite`; `samples` calibrate integer targets.

        Raises ConversionError (what cannot be expressed, and where it can), DataError (samples missing or wrong).
        """

    def skips(self, model: Any, data: bytes) -> tuple[Skipped, ...]:
        """What the written file `data` holds in another type than this target promises, each with its reason."""
        return ()

    def check(self, model: Any, data: bytes) -> tuple[Check, ...]:
        """What this target promised of the tensors in `data`, measured; raises InvariantError where it does not hold."""
        return ()

    @property
    def label(self) -> str:
        """This target's word in a recipe's name, e.g. `int8`."""
        return type(self).__name__.lower()
