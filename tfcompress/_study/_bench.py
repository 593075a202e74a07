"""What all cells of a study share, and the models that several of them start from, in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tfcompress._study._fingerprint import fingerprint
from tfcompress._study._formats import NodeNote, file_hash
from tfcompress._study._node import Node
from tfcompress.core import ModelError, write_all
from tfcompress.core._schema import FormatError, read_checked
from tfcompress.core._types import Data, Model, Trainer
from tfcompress.core._versions import versions


@dataclass(eq=False, kw_only=True)
class Bench:
    """What all cells of a study share, and where its models are.

    It goes to worker processes as a pickle. `shared` is the folder of the models that several
    cells start from, each a `.keras` file with a note beside it; those that no file can hold stay
    in `_held`, in this process. Code in these files runs only if they are `trusted`. `scratch` is
    the folder for temporary files.
    """

    fit: Trainer | None
    samples: Data | None
    evaluate: Data
    metric: str
    runtime: str
    strict: bool
    trusted: bool
    out: Path | None
    shared: Path
    scratch: Path | None = None
    builder: Callable[[int], Model] | None = None
    _held: dict[str, Model] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in self.__dict__.items() if name not in CACHED}
        return {**kept, "_held": {}}

    @property
    def lasting(self) -> bool:
        """Whether addresses must mean the same to another process: where there is a folder."""
        return self.out is not None

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

    @cached_property
    def training_key(self) -> str:
        """The content address of what a trained model depends on, its recipe and base left out."""
        return fingerprint(self.fit, self.samples, self.strict, versions(), lasting=self.lasting)

    def hold(self, node: Node, model: Model) -> None:
        """Keep a model that this process was given."""
        self._held[node.key] = model

    def has(self, node: Node) -> bool:
        """Whether the model of `node` is there already, and undamaged."""
        if node.key in self._held:
            return True
        try:
            return self.note(node).sha256 == file_hash(self._file(node))
        except (OSError, FormatError):
            return False

    def nearest(self, node: Node) -> Node:
        """`node`, or the one with the longest prefix before it whose model is there."""
        return node if node.parent is None or self.has(node) else self.nearest(node.parent)

    def keep(self, node: Node, model: Model, **made: object) -> None:
        """Write a shared model, and the note of how it was `made` (fields of NodeNote, as JSON).

        Raises:
            ArtifactError: where it cannot be written.
        """
        from tfcompress._backend import bridge as keras

        file = self._file(node)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_all({file: lambda path: keras.save_model(model, path)}, overwrite=True)
        # The note comes last: where it is, and fits, the model is whole.
        facts = {"sha256": file_hash(file), "copy": keras.copy_facts(model), **made}
        write_all({file.with_suffix(".json"): json.dumps(facts) + "\n"}, overwrite=True)

    def model(self, node: Node) -> Model:
        """The model of `node`, compiled as the one it was made from.

        Raises:
            ModelError: where it is not there.
        """
        from tfcompress._backend import bridge as keras

        if node.key in self._held:
            return self._held[node.key]
        if not self._file(node).exists():
            raise ModelError(
                f"{node.name} could not be written to a file, which is how it gets to other "
                "processes; use n_jobs=1."
            )
        model = keras.load_model(self._file(node), trusted=self.trusted)
        if node.parent is not None:
            if keras.compile_problem(model):
                keras.carry_compile(self.model(node.parent), model)
            facts = self.note(node).copy_facts
            if facts:
                keras.note_copy(model, **facts)
        return model

    def note(self, node: Node) -> NodeNote:
        """How a shared model was made; OSError or FormatError where nothing says so."""
        return read_checked(self._file(node).with_suffix(".json"), NodeNote)

    def _file(self, node: Node) -> Path:
        return self.shared / f"{node.name}.keras"


CACHED = ("key", "training_key")
