"""What `error_by_layer` returns: numbers a layer, as a table, a picture, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

from tfcompress.analysis.layer_error._compare import KernelError
from tfcompress.core._notebook import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADS = (
    "layer",
    "operators",
    "stored",
    "effect %",
    "added %",
    "error %",
    "SNR dB",
    "clipped %",
    "range %",
    "weights",
    "error %",
    "range %",
)


@dataclass(frozen=True)
class LayerError:
    """How far a layer's output in the file is off.

    With the file's value f, the Keras model's e, and k what the Keras layer makes of the file's own
    values before it, all over the inputs:

    Args:
        layer: the user's name; of a layer called several times, with the call's number.
        kind: its class.
        operators: what computes it in the file.
        inside: the layers that are computed in its operators, too.
        stored: the type of its values in the file.
        error: accumulated up to here, ‖f − e‖ / ‖e‖.
        snr_db: the same as a signal-to-noise ratio, 20·log₁₀(1 / error) in dB; None where exact.
        added: by this layer alone, ‖f − k‖ / ‖k‖.
        effect: ‖o' − o‖ / ‖o‖ of the model's outputs o, where o' are those of the exact model with
            f − k added to this layer's output; the largest of several outputs.
        clipped: the share of k outside what its integers reach; None if real.
        range_used: what its values span of the integers' range; None if real.
        kernel: the same of its weights; None without a kernel that can be compared.
    """

    layer: str
    kind: str
    operators: tuple[str, ...]
    inside: tuple[str, ...]
    stored: str
    error: float
    snr_db: float | None
    added: float
    effect: float
    clipped: float | None = None
    range_used: float | None = None
    kernel: KernelError | None = None


@dataclass(frozen=True)
class ErrorByLayer:
    """The errors of a file's layers, in the order of the network; `rank` has the worst first.

    Args:
        layers: the layers that have a tensor of their own in the file.
        inside: layer → the layer whose operators compute it.
        unmatched: layer → why it cannot be compared.
        inputs: how many inputs were compared.
        file: the file's name.
    """

    layers: tuple[LayerError, ...]
    inside: dict[str, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)
    inputs: int = 0
    file: str = ""

    def __iter__(self) -> Iterator[LayerError]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, layer: str) -> LayerError:
        """The numbers of `layer`, or of the layer that it is computed in."""
        name = self.inside.get(layer, layer)
        for each in self.layers:
            if each.layer == name:
                return each
        raise KeyError(layer)

    def __str__(self) -> str:
        return self.table()

    def rank(self) -> list[str]:
        """The layers, the one that changes the model's outputs most first."""
        return [each.layer for each in sorted(self.layers, key=lambda each: -each.effect)]

    def table(self, most: int | None = None) -> str:
        """A text table, the worst layer first; `most` cuts it after so many."""
        rows = [list(HEADS), *self._rows(most)]
        widths = [max(len(row[place]) for row in rows) for place in range(len(HEADS))]
        lines: list[str] = []
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
            lines.append("  ".join([row[0].ljust(widths[0]), *cells]).rstrip())
        return "\n".join([*lines, *self._notes()]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON data; errors that are infinite are null."""
        return json.loads(json.dumps(_finite(asdict(self))))

    def to_json(self) -> str:
        """`to_dict` as indented JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def plot(self, *, path: str | PathLike[str] | None = None) -> Figure:
        """A Matplotlib figure: effect, error and signal-to-noise ratio by layer.

        `path` saves it, in the format of its ending.
        """
        from tfcompress.analysis.layer_error._picture import draw

        return draw(self, path)

    def _repr_html_(self) -> str:
        title = f"Error by layer of {self.file}, the worst first"
        return table(HEADS, self._rows(None), title=title, notes=self._notes())

    def _rows(self, most: int | None) -> list[list[str]]:
        return [_row(self[name]) for name in self.rank()[:most]]

    def _notes(self) -> list[str]:
        notes = [
            f"{self.inputs:,} inputs. effect: error of the model's outputs by this layer alone;"
            " added: of its own output by itself; error: of its output, accumulated."
        ]
        if self.inside:
            notes.append(f"{len(self.inside)} layers are computed inside others.")
        for layer, reason in self.unmatched.items():
            notes.append(f"Not compared: {layer!r}, {reason}.")
        return notes


def _row(each: LayerError) -> list[str]:
    kernel = each.kernel
    cells = [
        each.layer,
        _operators(each.operators),
        each.stored,
        percent(each.effect),
        percent(each.added),
        percent(each.error),
        "exact" if each.snr_db is None else f"{each.snr_db:.1f}",
        percent(each.clipped),
        percent(each.range_used),
    ]
    if kernel is None:
        return [*cells, "", "", ""]
    return [*cells, kernel.stored, percent(kernel.error), percent(kernel.range_used)]


def _operators(kinds: tuple[str, ...]) -> str:
    """The kinds of operators, each once; of more than two, the first and how many more."""
    distinct = list(dict.fromkeys(kinds))
    if len(distinct) <= 2:
        return "+".join(distinct)
    return f"{distinct[0]} and {len(distinct) - 1} more"


def percent(share: float | None) -> str:
    """A share in percent with three digits; empty for None."""
    return "" if share is None else f"{100 * share:.3g}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value
