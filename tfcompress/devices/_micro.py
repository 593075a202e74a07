"""A microcontroller: TensorFlow Lite for Microcontrollers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tfcompress._backend.interpreter._micro import Arena
from tfcompress._backend.interpreter._micro_run import CALLED, measure_arena
from tfcompress._backend.interpreter._runtimes import available, choose
from tfcompress._backend.isolate import in_child
from tfcompress.core import Device, InterpreterError, OpTime, Profile, RecipeError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.devices._refusals import micro_refusal
from tfcompress.devices._run import run_in
from tfcompress.profiling._profile import CHILD
from tfcompress.profiling._source import Source, on_disk

TIMEOUT = 120.0


@dataclass(frozen=True, eq=False)
class Micro(Device):
    """A microcontroller, by TensorFlow Lite for Microcontrollers with its reference kernels.

    Outputs, arena and operators are what its interpreter gives and records on this host, where
    pointers have 8 bytes; on a 32-bit microcontroller the arena's tail is smaller. Time is not
    measured: this host's says nothing of another processor's.

    Args:
        max_arena_bytes: a file that takes more memory is refused.

    Raises:
        RecipeError: for a limit below 1.
    """

    max_arena_bytes: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        limit = self.max_arena_bytes
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise RecipeError(f"Micro needs max_arena_bytes of at least 1; got {limit!r}.")

    @property
    def name(self) -> str:
        """`micro`, or `micro-65536bytes` with a limit."""
        return "micro" if self.max_arena_bytes is None else f"micro-{self.max_arena_bytes}bytes"

    def require(self) -> None:
        """See `Device.require`."""
        choose("micro")

    def run(self, data: bytes, x: Sequence[ArrayLike]) -> list[Array]:
        """See `Device.run`."""
        self._arena(data, "The model")
        return run_in("micro", data, x)

    def profile(self, data: bytes, name: str = "model") -> Profile:
        """Arena and flash to the byte, operators, inputs and outputs, MACs and weights."""
        arena = self._arena(data, name)
        source = Source(name, data)
        contents = _contents(source)
        ops = tuple(OpTime(**op) for op in contents["ops"])
        return Profile(
            name,
            len(data),
            source.gzip_bytes,
            source.sha256,
            f"{CALLED} {available()['micro']}",
            weights=contents["weights"],
            macs=sum(op.macs for op in ops),
            ops=ops,
            ops_source="macs",
            inputs=tuple(contents["inputs"]),
            outputs=tuple(contents["outputs"]),
            notes=tuple(contents["notes"]),
            device=self.name,
            arena_bytes=arena.total_bytes,
            arena_parts=(("shared by activations (head)", arena.head_bytes), *arena.parts),
            flash_bytes=len(data),
        )

    def _arena(self, data: bytes, name: str) -> Arena:
        """The arena of a file that runs within the limit; else InterpreterError says why not."""
        self.require()
        try:
            arena = measure_arena(data, what=name)
        except InterpreterError as error:
            raise InterpreterError(micro_refusal(data, error)) from error
        limit = self.max_arena_bytes
        if limit is not None and arena.total_bytes > limit:
            raise InterpreterError(
                f"{name} needs an arena of {arena.total_bytes:,} bytes, more than "
                f"max_arena_bytes={limit:,}: {arena.head_bytes:,} of them are activations, which "
                "narrower layers or smaller inputs make fewer."
            )
        return arena


def _contents(source: Source) -> dict[str, Any]:
    """Operators, weights, inputs and outputs, as `profile_many` counts them."""
    with on_disk([source]) as paths:
        arguments = {"path": paths[0], "runtime": "micro", "threads": 1, "delegates": True}
        return in_child(CHILD, "look", arguments, what=source.what, runtime=CALLED, timeout=TIMEOUT)
