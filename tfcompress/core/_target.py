"""What every target is: a frozen value that turns a model into the bytes of a `.tflite`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from tfcompress.core._technique import Check, Skipped
from tfcompress.core._types import Data, Model
from tfcompress.core._value import Value


class Target(Value, ABC):
    """A frozen value that turns a model into the bytes of a `.tflite`."""

    max_relative_error: ClassVar[float]
    """Parity bound on the samples given: ‖file − Keras‖ / ‖Keras − its mean over the inputs‖ of
    every output must stay below it. The bounds are about twice the largest error that
    `benchmarks/parity_bounds.py` prints for sound files of trained networks."""
    max_error_on_noise: ClassVar[float] = 0.3
    """The same on random inputs, where no samples are given, of ‖file − Keras‖ / ‖Keras‖."""
    max_differing_decisions: ClassVar[float] = 0.1
    """Of the samples that the model decides by 0.1 of probability or more, so large a share may
    be decided otherwise; 0.05 is the largest that the same command prints for a sound file."""

    @property
    def needs_samples(self) -> bool:
        """Whether `convert` calibrates on samples and refuses to work without."""
        return False

    def error_bound(self) -> float:
        """The parity bound on the samples given: `max_relative_error` unless an option moves it."""
        return self.max_relative_error

    @abstractmethod
    def convert(self, model: Model, samples: Data | None = None) -> bytes:
        """`model`, which stays untouched, as the bytes of a `.tflite`.

        Args:
            model: a model of either Keras.
            samples: inputs [n, …] that calibrate integer targets.

        Raises:
            ConversionError: what cannot be expressed, and where it can.
            DataError: samples that are missing or do not fit.
        """

    def require(self, model: Model) -> None:
        """Refuse what of the user's `model` this target can never write, before any training.

        Raises:
            ConversionError: the layer, and the target that would take it.
        """
        return

    def skips(self, model: Model, data: bytes) -> tuple[Skipped, ...]:
        """What the file `data` holds in another type than was promised, each with its reason."""
        return ()

    def check(self, model: Model, data: bytes) -> tuple[Check, ...]:
        """What this target promised of the tensors in `data`, measured.

        Raises:
            InvariantError: where a promise does not hold.
        """
        return ()

    @property
    def label(self) -> str:
        """This target's word in a recipe's name, e.g. `int8`."""
        return type(self).__name__.lower()
