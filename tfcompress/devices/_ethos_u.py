"""Arm's Ethos-U NPUs, as their compiler Vela estimates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tfcompress._backend.interpreter._file import check_file
from tfcompress._backend.tflite._facts import Op, read_facts
from tfcompress._backend.vela import ACCELERATORS, Estimate, estimate, require_vela
from tfcompress.core import ConversionError, Device, InterpreterError, Profile, RecipeError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.devices._refusals import INTEGER
from tfcompress.profiling._source import Source

NPU_OPERATOR = "ethos-u"
"""The custom operator into which Vela writes what the NPU runs."""


@dataclass(frozen=True, eq=False)
class EthosU(Device):
    """An Ethos-U NPU beside a Cortex-M: memory, cycles and time as Vela estimates them.

    Nothing runs: an estimate is the compiler's, at its default system configuration.

    Args:
        accelerator: generation and MACs a cycle: "u55-32" to "u55-256", "u65-256", "u65-512",
            "u85-128" to "u85-2048".

    Raises:
        RecipeError: for another accelerator.
    """

    runs: ClassVar[bool] = False

    accelerator: str = "u55-128"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.accelerator not in ACCELERATORS:
            raise RecipeError(
                f"EthosU takes one of {', '.join(ACCELERATORS)}; got {self.accelerator!r}."
            )

    @property
    def name(self) -> str:
        """`ethos-u55-128`."""
        return f"ethos-{self.accelerator}"

    def require(self) -> None:
        """See `Device.require`."""
        require_vela()

    def run(self, data: bytes, x: Sequence[ArrayLike]) -> list[Array]:
        """Refused: Vela compiles a file and runs nothing."""
        raise InterpreterError(
            f"{self.name} is estimated by a compiler, which runs nothing: run the file on Micro() "
            "or Host()."
        )

    def profile(self, data: bytes, name: str = "model") -> Profile:
        """Vela's estimates, and the operators that it leaves to the processor."""
        check_file(data)
        found = self._estimate(data, name)
        left = _on_cpu(found.compiled)
        self._require_npu(data, left, found)
        source = Source(name, data)
        reasons = [f"{kind} on the CPU: {why}" for kind, why in found.reasons.items()]
        settings = f"estimates of a compiler, not measured: {found.settings}"
        return Profile(
            name,
            len(data),
            source.gzip_bytes,
            source.sha256,
            f"Vela {require_vela()}",
            device=self.name,
            notes=(settings, *reasons),
            estimated_sram_bytes=found.sram_bytes,
            estimated_flash_bytes=found.flash_bytes,
            estimated_cycles=found.cycles,
            estimated_latency_ms=found.latency_ms,
            cpu_ops=left,
        )

    def _estimate(self, data: bytes, name: str) -> Estimate:
        """Vela's; its refusal names the file's operators and what would run."""
        try:
            return estimate(data, self.accelerator, what=name)
        except InterpreterError as error:
            raise InterpreterError(f"{error} {_remedy(data)}") from error

    def _require_npu(self, data: bytes, left: Sequence[str], found: Estimate) -> None:
        """InterpreterError where no operator runs on the NPU."""
        if len(left) < len(_compiled_ops(found.compiled)):
            return
        why = next(iter(found.reasons.values()), "no reason given")
        raise InterpreterError(
            f"{self.name} runs none of the operators {', '.join(dict.fromkeys(left))} ({why}). "
            f"{INTEGER} runs there."
        )


def _remedy(data: bytes) -> str:
    """The operators of a file that does not compile, and what would; nothing for a damaged one."""
    try:
        kinds = dict.fromkeys(op.kind for op in read_facts(data).ops)
    except ConversionError:
        return "It is damaged."
    return f"Its operators: {', '.join(kinds)}. {INTEGER} runs there."


def _compiled_ops(compiled: bytes) -> tuple[Op, ...]:
    return read_facts(compiled).ops


def _on_cpu(compiled: bytes) -> tuple[str, ...]:
    """The operators of a compiled file that the NPU does not run."""
    return tuple(op.kind for op in _compiled_ops(compiled) if op.kind != NPU_OPERATOR)
