"""What all cells of a study share, and the models that several of them start from, in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tfcompress._study._fingerprint import fingerprint, versions
from tfcompress._study._node import Node
from tfcompress.core import ModelError, write_all


@dataclass(eq=False)
class Bench:
    """What all cells of a study share, and where its models are; goes to worker processes as a pickle.

    `shared` is the folder of the models that several cells start from, each a `.keras` file; those that no file can hold stay
    in `_held`, in this process.
    """

    fit: Callable[[Any, list], None] | None
    samples: Any
    evaluate: tuple[Any, Any]
    metric: str
    runtime: str
    strict: bool
    out: Path | None
    shared: Path
    builder: Callable[[int], Any] | None = None
    _held: dict[str, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        return {
            **{k: v for k, v in self.__dict__.items() if k not in ("key", "training_key")},
            "_held": {},
        }

    @cached_property
    def key(self) -> str:
        """The content address of what is shared."""
        return fingerprint(
            self.fit,
            self.samples,
            self.evaluate,
            self.metric,
            self.runtime,
            self.strict,
            versions(),
            lasting=self.lasting,
        )

    @property
    def lasting(self) -> bool:
        """Whether addresses must mean the same to another process: where there is a folder."""
        return self.out is not None

    @cached_property
    def training_key(self) -> str:
        """The content address of what a trained model depends on beside its recipe, seed and base."""
        return fingerprint(self.fit, self.samples, self.strict, versions(), lasting=self.lasting)

    def hold(self, node: Node, model: Any) -> None:
        """Keep a model that this process was given."""
        self._held[node.key] = model

    def has(self, node: Node) -> bool:
        """Whether the model of `node` is there already."""
        return node.key in self._held or self._file(node).exists()

    def nearest(self, node: Node) -> Node:
        """`node`, or the one with the longest prefix before it whose model is there."""
        return node if node.parent is None or self.has(node) else self.nearest(node.parent)

    def keep(self, node: Node, model: Any, said: dict[str, Any] | None = None) -> None:
        """Write the model and what was `said` of its making; ArtifactError where it cannot be written."""
        from tfcompress._backend import bridge as keras

        file = self._file(node)
        file.parent.mkdir(parents=True, exist_ok=True)
        if said is not None:
            facts = {**said, "copy": keras.copy_facts(model)}
            write_all({file.with_suffix(".json"): json.dumps(facts) + "\n"}, overwrite=True)
        # The model comes last: where it is, the rest is whole.
        write_all({file: lambda path: keras.save_model(model, path)}, overwrite=True)

    def model(self, node: Node) -> Any:
        """The model of `node`, compiled as the one it was made from; ModelError where it is not there."""
        from tfcompress._backend import bridge as keras

        if node.key in self._held:
            return self._held[node.key]
        if not self._file(node).exists():
            raise ModelError(
                f"{node.name} could not be written to a file, which is how it gets to other processes; use n_jobs=1."
            )
        model = keras.load_model(self._file(node))
        if node.parent is not None and keras.compile_problem(model):
            keras.carry_compile(self.model(node.parent), model)
        if node.parent is not None and (facts := self.said(node).get("copy")):
            keras.note_copy(model, **facts)
        return model

    def said(self, node: Node) -> dict[str, Any]:
        """What was said of the making of a shared model."""
        return json.loads(self._file(node).with_suffix(".json").read_text())

    def _file(self, node: Node) -> Path:
        return self.shared / f"{node.name}.keras"
