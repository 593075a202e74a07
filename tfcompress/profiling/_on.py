"""A file on devices: a profile for each, and outputs for `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfcompress._backend.tflite._facts import Tensor, read_facts
from tfcompress.core import DataError, Device, Profile, TfcompressError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.profiling._environment import environment
from tfcompress.profiling._source import File, Source


def profile_on(file: File, on: Sequence[Device], name: str | None = None) -> list[Profile]:
    """A profile of one file for every device, in that order.

    A device that cannot run the file gives a profile of its sizes whose `refusal` says why.

    Raises:
        InterpreterError: the file is none, or what measures a device is not installed.
    """
    source = Source.of(file, name)
    for device in on:
        require_device(device)
        device.require()
    return [_profile(device, source) for device in on]


def require_device(device: object) -> None:
    """DataError for what is no Device."""
    if not isinstance(device, Device):
        raise DataError(
            f"on= takes devices such as tfcompress.devices.Micro(); {device!r} came. "
            "tfcompress.devices.by_name gives the device of a name."
        )


def _profile(device: Device, source: Source) -> Profile:
    try:
        profile = device.profile(source.data, source.name)
    except TfcompressError as error:
        sizes = (source.name, len(source.data), source.gzip_bytes, source.sha256)
        return Profile(*sizes, "", device=device.name, refusal=str(error))
    return profile if profile.environment else replace(profile, environment=environment())


class OnDevice:
    """A file on a device, with what `evaluate` asks of an open interpreter."""

    def __init__(self, device: Device, source: Source):
        self.device, self.source = device, source
        facts = read_facts(source.data)
        self.inputs = [_ends(tensor) for tensor in facts.inputs]
        self.outputs = [_ends(tensor) for tensor in facts.outputs]

    def predict(
        self, inputs: Sequence[ArrayLike] | Mapping[str, ArrayLike], batch_size: int
    ) -> list[Array]:
        """Real-valued outputs [n, ...] of inputs in the file's order or by their tensors' names."""
        if isinstance(inputs, Mapping):
            names = [item["name"] for item in self.inputs]
            if set(inputs) != set(names):
                raise DataError(f"The file has the inputs {names}; {list(inputs)} came.")
            inputs = [inputs[name] for name in names]
        return self.device.run(self.source.data, inputs)


def _ends(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape)}
