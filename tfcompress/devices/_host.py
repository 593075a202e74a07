"""This host's processor, by one of its interpreters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tfcompress._backend.interpreter._runtimes import NEVER_AUTO, RUNTIMES, choose
from tfcompress.core import Device, Profile, RecipeError
from tfcompress.core._types import Array, ArrayLike
from tfcompress.devices._run import run_in
from tfcompress.devices._threads import require_threads, with_threads
from tfcompress.profiling import profile_many

HOSTS = tuple(name for name in RUNTIMES if name not in NEVER_AUTO)


@dataclass(frozen=True, eq=False)
class Host(Device):
    """The processor that this runs on.

    Args:
        runtime: "litert", "tflite_runtime" or "tensorflow".
        threads: how many the interpreter may use.

    Raises:
        RecipeError: for another runtime, or fewer than one thread.
    """

    runtime: str = "litert"
    threads: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.runtime not in HOSTS:
            raise RecipeError(f"Host takes a runtime of {', '.join(HOSTS)}; got {self.runtime!r}.")
        require_threads("Host", self.threads)

    @property
    def name(self) -> str:
        """`litert`, or `litert-4threads`."""
        return with_threads(self.runtime, self.threads)

    def require(self) -> None:
        """See `Device.require`."""
        choose(self.runtime)

    def run(self, data: bytes, x: Sequence[ArrayLike]) -> list[Array]:
        """See `Device.run`."""
        return run_in(self.runtime, data, x, threads=self.threads)

    def profile(self, data: bytes, name: str = "model") -> Profile:
        """Latency, memory and times of operations: see `tfcompress.profiling.profile_many`."""
        (found,) = profile_many([data], threads=(self.threads,), runtime=self.runtime, names=[name])
        return replace(found, device=self.name)
