"""Ready-made recipes, and the grammar of their names in one table of words.

A name is words joined by `-`: techniques in order, then one target. Without a target it is
`packed` after `mixed` and `xnor`, `packedsize` after `cqat`, and `float32` otherwise.
`WORDS` is the table; the parser, `tfcompress compress --help`, `tfcompress recipes` and the README
are all made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from tfcompress import targets, techniques
from tfcompress.analysis.dimension import ESTIMATORS
from tfcompress.core import Recipe, RecipeError, Target, Technique
from tfcompress.recipes._words import SHORT, TARGETS, WORDS, Word

__all__ = ["READY", "WORDS", "Word", "recipe", "words_as_markdown", "words_in_short"]

READY = (
    "float32",
    "dynamic",
    "float16",
    "int8",
    "int16x8",
    "prune50-int8",
    "prune80-int8",
    "prune2of4-int8",
    "cluster16-int8",
    "cluster32-int8",
    "qat-int8",
    "prune80-qat-int8",
    "cluster16-qat-int8",
    "prune80-cluster16-qat-int8",
    "macs50-int8",
    "macs50taylor-finetune-int8",
    "lowrank50-int8",
    "slim50-finetune-qat-int8",
    "twonn-mixed21",
    "twonn-cluster-cqat",
    "xnor",
    "pca-mixed21",
)
"""Names to start from; any other name of the grammar works as well."""


def recipe(name: str | Recipe | Target) -> Recipe:
    """The recipe of that name; a Recipe is returned as it is, a Target gets no techniques.

    Raises RecipeError for a word that is not in the grammar, with the nearest names, and for a
    target that does not stand last.
    """
    if isinstance(name, Recipe):
        return name
    if isinstance(name, Target):
        return Recipe([], name)
    if not isinstance(name, str):
        raise RecipeError(
            f"Expected a recipe's name, a Recipe or a Target, "
            f"got {name!r} of type {type(name).__name__}."
        )
    words = [word for part in _split(name) for word in _split(_in_full(part))]
    _refuse_early_target(words, name)
    members: list[Technique] = []
    target: Target | None = None
    for word in words:
        member = _build(word, members, name)
        if isinstance(member, Target):
            target = member
        else:
            members.append(member)
    return Recipe(members, target or _default_target(words, members), name=name)


def words_in_short() -> str:
    """All words in one line, for a help text."""
    return ", ".join(word.spelling for word in WORDS)


def words_as_markdown() -> str:
    """The table of words as Markdown, as it stands in the README."""
    rows = [f"| `{word.spelling}` | {word.meaning} | `{word.example}` |" for word in WORDS]
    return "\n".join(["| word | meaning | example |", "|---|---|---|", *rows])


def _split(name: str) -> list[str]:
    """The words of `name`; `twonn` and `pca` belong to the word behind them."""
    words: list[str] = []
    prefix = ""
    for part in name.strip().lower().split("-"):
        if part in ESTIMATORS and not prefix:
            prefix = f"{part}-"
            continue
        words.append(prefix + part)
        prefix = ""
    if prefix:
        words.append(prefix.rstrip("-"))
    return words


def _in_full(word: str) -> str:
    """The words that `word` is short for, or `word` itself."""
    for entry in SHORT:
        if match := entry.match(word):
            return match.expand(entry.words)
    return word


def _is_target(word: str) -> bool:
    return any(entry in TARGETS and entry.match(word) for entry in WORDS)


def _refuse_early_target(words: Sequence[str], name: str) -> None:
    """RecipeError for a target before the last word, with the name that was probably meant."""
    early = [word for word in words[:-1] if _is_target(word)]
    if not early:
        return
    others = [word for word in words if not _is_target(word)]
    if len(early) > 1 or _is_target(words[-1]):
        raise RecipeError(
            f"Recipe {name!r} has more than one target; a recipe ends in one: "
            f"{'-'.join([*others, early[0]])}, for example."
        )
    raise RecipeError(
        f"Recipe {name!r}: {early[0]} is a target, the format of the file, and stands last; "
        f"write {'-'.join([*others, early[0]])}."
    )


def _build(word: str, before: Sequence[Technique], name: str) -> Technique | Target:
    """What `word` means behind the techniques `before`; RecipeError with near names if nothing."""
    for entry in WORDS:
        match = entry.match(word)
        if match and entry.build:
            return entry.build(match, before)
    known = [entry.example for entry in WORDS] + [target.spelling for target in TARGETS]
    near = get_close_matches(name, READY, 3, 0.4) + get_close_matches(word, known, 3, 0.6)
    hint = f" Near: {', '.join(dict.fromkeys(near))}." if near else ""
    raise RecipeError(
        f"Unknown word {word!r} in recipe {name!r}.{hint} `tfcompress recipes` lists the words."
    )


def _default_target(words: Sequence[str], members: Sequence[Technique]) -> Target:
    """The target of a name that ends in a technique."""
    if "cqat" in words:
        return targets.Packed(prefer="size")
    if any(isinstance(member, techniques.MixedPrecision) for member in members):
        return targets.Packed()
    return targets.Float32()
