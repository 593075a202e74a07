"""The model card: what a person must know of a file that lies beside it, in Markdown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfcompress.core._artifact import Artifact

LOADING = """```python
from ai_edge_litert.interpreter import Interpreter  # pip install ai-edge-litert

interpreter = Interpreter("{file}.tflite")
interpreter.allocate_tensors()
entry, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
interpreter.set_tensor(entry["index"], x)  # x: a NumPy array of entry["shape"], entry["dtype"]
interpreter.invoke()
y = interpreter.get_tensor(result["index"])
```

With tfcompress, `tfc.Artifact.load("{file}")` reads the file and its JSON back, which also checks
the SHA-256{model}."""


def model_card(artifact: Artifact, file: str, *, model: bool) -> str:
    """The card of the artifact saved as `file`; `model` where its Keras model lies there too."""
    about = artifact.about
    sections = (
        _section("Warnings", artifact.warnings),
        _section("What was done", _steps(artifact)),
        _section("What was measured", _measured(artifact)),
        _section("What was checked before it was handed over", map(str, artifact.checks)),
        _section("What was left alone", map(str, artifact.skipped), "Nothing."),
        _section("What made it", _origin(about)),
    )
    keras = f', and `tfc.load_model("{file}.keras")` the compressed Keras model' if model else ""
    loading = "## How to load it\n\n" + LOADING.format(file=file, model=keras)
    blocks = [f"# {file}", _first(artifact), *(part for part in sections if part), loading]
    return "\n\n".join(blocks) + "\n"


def _first(artifact: Artifact) -> str:
    model = artifact.about.get("model")
    of = f" of the Keras model `{model}`" if model else ""
    return f"A `.tflite` file{of}, made by tfcompress with the recipe `{artifact.name}`."


def _section(title: str, lines: Iterable[str], otherwise: str = "") -> str:
    """A heading and its list; `otherwise`, or nothing at all, where the list is empty."""
    items = [f"- {line}" for line in lines]
    if not items and not otherwise:
        return ""
    return f"## {title}\n\n" + ("\n".join(items) or otherwise)


def _steps(artifact: Artifact) -> list[str]:
    """The techniques in order and the target, as they would be written in Python."""
    steps = [f"`{technique!r}`" for technique in artifact.recipe.techniques]
    trained = artifact.about.get("training", {})
    epochs = max((len(curve) for curve in trained.values()), default=0)
    if epochs:
        steps.append(f"trained for {epochs} epochs in all")
    steps.append(f"written as `{artifact.recipe.target!r}`")
    samples = artifact.about.get("samples")
    return [*steps, f"calibration samples: {samples}"] if samples else steps


def _measured(artifact: Artifact) -> list[str]:
    """Sizes, and what the metric was before and after where labels were there."""
    lines = [
        f"{artifact.size_bytes:,} bytes on disk, {artifact.gzip_bytes:,} gzipped",
        f"SHA-256 `{hashlib.sha256(artifact.data).hexdigest()}`",
    ]
    measured = artifact.about.get("measured")
    if not measured:
        return [*lines, "no accuracy: nothing was measured on labels when the file was saved"]
    name, before, after = (measured[key] for key in ("metric", "before", "after"))
    examples = f"on {measured['examples']:,} test examples"
    return [*lines, f"{name} {after:.4f}, the float32 file's {before:.4f}, {examples}"]


def _origin(about: Mapping[str, Any]) -> list[str]:
    """Seed, scale of the inputs, Keras, time and versions, as far as they are known."""
    lines = []
    if about.get("seed") is not None:
        lines.append(f"seed {about['seed']}")
    if about.get("input_scale"):
        lines.append(f"inputs: {about['input_scale']}")
    if about.get("flavour"):
        lines.append(f"a model of {'Keras 3' if about['flavour'] == 'keras' else 'tf_keras'}")
    if about.get("seconds"):
        lines.append(f"{sum(about['seconds'].values()):.1f} seconds")
    versions = about.get("versions", {})
    return lines + [f"{name} {version}" for name, version in versions.items()]
