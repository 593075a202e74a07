"""What the converter is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """What the converter is asked for.

    `activations` is "float", "int8" or "int16", and `io` the type at the file's ends. `fallback`
    lets operators stay in float that have no integer form. `fused` writes an LSTM as one operator
    instead of step by step, `dense_per_tensor` gives the kernel of a Dense one scale instead of
    one for each output channel.
    """

    label: str
    optimize: bool = False
    float16: bool = False
    activations: str = "float"
    io: str = "float"
    fallback: bool = False
    fused: bool = False
    dense_per_tensor: bool = False

    @property
    def integer(self) -> bool:
        """Whether activations are integers, so that their ranges must be calibrated."""
        return self.activations != "float"
