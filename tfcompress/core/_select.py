"""Which of a model's layers a user means by `only=` and `skip=`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence

from tfcompress.core._errors import RecipeError
from tfcompress.core._rule import Rule
from tfcompress.core._types import Layer

Selector = str | Sequence[str] | Callable[[Layer], bool] | Rule


def check_selector(selector: Selector | None, option: str) -> None:
    """RecipeError unless `selector` can choose layers.

    It is None, a regular expression that compiles, a sequence of names, callable, or a Rule.
    """
    if selector is None or callable(selector) or isinstance(selector, Rule):
        return
    if isinstance(selector, str):
        try:
            re.compile(selector)
        except re.error as error:
            raise RecipeError(
                f"{option}={selector!r} is not a regular expression: {error}. "
                "Escape it, or give a list of names."
            ) from error
    elif not (isinstance(selector, Iterable) and all(isinstance(name, str) for name in selector)):
        raise RecipeError(
            f"{option} must be a regular expression, a list of layer names or a function of a "
            f"layer, got {selector!r}."
        )


def select(
    layers: Sequence[Layer], only: Selector | None = None, skip: Selector | None = None
) -> set[str]:
    """Names of the `layers` that `only` admits and `skip` does not take away again.

    A text is a regular expression that must match a whole name; a sequence holds exact names; a
    callable is given the layer.

    Raises:
        RecipeError: for a name that no layer has, and for an expression that matches none, with
            the nearest names.
    """
    chosen = {layer.name for layer in layers}
    if only is not None:
        chosen = _matching(layers, only, "only")
    if skip is not None:
        chosen -= _matching(layers, skip, "skip")
    return chosen


def _matching(layers: Sequence[Layer], selector: Selector, option: str) -> set[str]:
    check_selector(selector, option)
    if isinstance(selector, Rule):
        raise RecipeError(
            f"{option}={selector!r} is not decided yet: compress() does it, or "
            "technique.decided(model, x)."
        )
    names = [layer.name for layer in layers]
    if callable(selector):
        return {layer.name for layer in layers if selector(layer)}
    if isinstance(selector, str):
        matching = {name for name in names if re.fullmatch(selector, name)}
        if not matching:
            raise RecipeError(f"{option}={selector!r} matches no layer. {_near(selector, names)}")
        return matching
    for name in selector:
        if name not in names:
            raise RecipeError(
                f"{option} names a layer {name!r} that the model does not have. "
                f"{_near(name, names)}"
            )
    return set(selector)


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=4, cutoff=0.5)
    if near:
        return f"Near: {', '.join(near)}."
    more = ", …" if len(names) > 12 else ""
    return f"The model has: {', '.join(names[:12])}{more}."
