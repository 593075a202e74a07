"""How far a training is, epoch by epoch, told to the open reporter."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

from tfcompress._backend import progress
from tfcompress._backend.graph._flavour import keras_module
from tfcompress.core._types import Callback


def epoch_reporter(flavour: str) -> Callback | None:
    """A callback of that Keras that tells the open reporter epoch, loss and time left.

    None where no reporter is open.
    """
    if not progress.is_open():
        return None
    base = keras_module(flavour).callbacks.Callback

    class EpochReporter(base):  # type: ignore[misc, valid-type]
        """Tells every batch of training; the reporter shows as many of them as it likes."""

        def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
            self.epoch = 0
            self.start = perf_counter()

        def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self.epoch = epoch

        def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
            steps = self.params.get("steps")
            share = (batch + 1) / steps if steps else 0.0
            self._tell(self.epoch + share, logs)

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self._tell(epoch + 1.0, logs)

        def _tell(self, epochs_done: float, logs: Mapping[str, float] | None) -> None:
            """`epochs_done`: how many epochs have passed, with the share of the one that runs."""
            epochs = self.params.get("epochs") or 1
            text = f"epoch {self.epoch + 1}/{epochs}"
            if logs and "loss" in logs:
                text += f", loss {float(logs['loss']):.4g}"
            if 0 < epochs_done < epochs:
                left = (perf_counter() - self.start) / epochs_done * (epochs - epochs_done)
                text += f", about {progress.duration(left)} left"
            progress.detail(text)

    return EpochReporter()
