"""What every device is: a frozen value on which a `.tflite` runs and is measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from tfcompress.core._profile import Profile
from tfcompress.core._types import Array, ArrayLike
from tfcompress.core._value import Value


class Device(Value, ABC):
    """A frozen value: where a file runs, and how it is measured there."""

    runs: ClassVar[bool] = True
    """Whether `run` gives outputs here; False where the device is only estimated."""

    @property
    @abstractmethod
    def name(self) -> str:
        """How reports and the command line call it, e.g. `micro` or `ethos-u55-128`."""

    def require(self) -> None:
        """Refuse before any work where what measures this device is not installed.

        Raises:
            InterpreterError: what is missing, and how to install it.
        """
        return

    @abstractmethod
    def run(self, data: bytes, x: Sequence[ArrayLike]) -> list[Array]:
        """The outputs of a `.tflite` on this device, real numbers [n, …], in the file's order.

        Args:
            data: the file's bytes.
            x: one array [n, …] for every input, in the file's order.

        Raises:
            InterpreterError: the device cannot run the file; the operators, and what would run.
            DataError: samples that do not fit the file.
        """

    @abstractmethod
    def profile(self, data: bytes, name: str = "model") -> Profile:
        """What is measured of a `.tflite` on this device, in a Profile whose `device` is `name`.

        Args:
            data: the file's bytes.
            name: what the profile and messages call the file.

        Raises:
            InterpreterError: the device cannot run the file; the operators, and what would run.
        """
