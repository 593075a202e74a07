"""Report 003's curves: accuracy against the share of filters removed, by layer and by residual
block, and the ratios they suggest.

    tfcompress study examples/studies/003.toml
    python examples/studies/003_sensitivity.py studies/003

Takes the trained bases of the study's folder, the first 1,000 test images of CIFAR-10
(TFCOMPRESS_DATA, else Keras downloads them), no fine-tuning. Draws docs/pictures/003_*.png and
writes docs/results/003_sensitivity.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tfcompress as tfc
from tfcompress import analysis, zoo
from tfcompress.analysis import cost
from tfcompress.techniques import PruneFilters

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
WANTED = (("VGG-19", "layer"), ("ResNet-20", "layer"), ("ResNet-20", "block"))


def told(ratios: dict[str, float]) -> str:
    """The ratios, largest first, layers of one ratio together."""
    by_ratio: dict[float, list[str]] = {}
    for name, ratio in ratios.items():
        by_ratio.setdefault(ratio, []).append(name)
    return (
        "; ".join(
            f"{100 * ratio:.0f} %: {', '.join(names)}"
            for ratio, names in sorted(by_ratio.items(), reverse=True)
        )
        or "none"
    )


def accuracy(model, x, y) -> float:
    return float((model.predict(x, batch_size=250, verbose=0).argmax(1) == y.reshape(-1)).mean())


def by_hand(name: str) -> dict[str, dict[str, float]]:
    """The study file's own L1 ratios of a model, by recipe."""
    own = tomllib.loads(Path(__file__).with_name("003.toml").read_text())["models"][name][
        "recipes"
    ]["own"]
    steps = {recipe: table["techniques"][0] for recipe, table in own.items()}
    return {
        recipe: step["ratio"] for recipe, step in steps.items() if step["class"] == "PruneFilters"
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", type=Path, help="the study's folder")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--max-drop", type=float, default=0.02)
    args = parser.parse_args()
    data = zoo.load_data("cifar10")
    x, y = data.x_test[: args.images], data.y_test[: args.images]
    lines = ["# Report 003: which layers and blocks can do without filters", ""]
    lines += [
        f"Written by `python examples/studies/003_sensitivity.py`: {len(x):,} test images, "
        "filters by L1 norm, no fine-tuning."
    ]
    lines += [
        "Suggested: the largest ratio of each curve that loses no more than "
        f"{100 * args.max_drop:g} points, alone.",
        "",
    ]
    for name, by in WANTED:
        (base,) = sorted((args.study / name).glob("shared/base-*.keras"))[:1]
        model = tfc.load_model(base)
        curves = analysis.filter_sensitivity(model, (x, y), by=by, progress=True)
        picture = ROOT / "docs" / "pictures" / f"003_{name.lower().replace('-', '')}_{by}.png"
        curves.plot(args.max_drop, path=picture)
        ratios = analysis.suggest_ratios(curves, args.max_drop, largest=0.9)
        narrow = PruneFilters(ratios).apply(model) if ratios else model
        right = accuracy(narrow, x, y)
        left = cost(narrow).macs / cost(model).macs
        lines += [
            f"## {name}, by {by}",
            "",
            f"![Accuracy against the share of filters removed](../pictures/{picture.name})",
            "",
        ]
        lines += [f"Whole: {100 * curves.base:.2f} %. Suggested: {told(ratios)}.", ""]
        lines += [
            f"All of these at once: {100 * left:.1f} % of the MACs, {100 * right:.2f} % before "
            "any fine-tuning.",
            "",
        ]
        if by == "layer":
            lines += [
                "| the report's ratios, before fine-tuning | MACs left | accuracy |",
                "|---|--:|--:|",
            ]
            for recipe, chosen in by_hand(name).items():
                narrow = PruneFilters(chosen).apply(model)
                share = cost(narrow).macs / cost(model).macs
                lines.append(
                    f"| {recipe.removesuffix('-float32')} | {100 * share:.1f} % | "
                    f"{100 * accuracy(narrow, x, y):.2f} % |"
                )
            lines.append("")
        (ROOT / "docs" / "results" / "003_sensitivity.md").write_text("\n".join(lines))
        print("\n".join(lines[-5:]), flush=True)


if __name__ == "__main__":
    main()
