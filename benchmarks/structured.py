"""What half of the multiply-accumulates gives in time: pruned against unpruned float32 and int8
files, in turn in one run, by family.

    python benchmarks/structured.py [--families resnet8 mobilenet …] [--applications] \\
        [--threads 1] [--repeat]

A family is a network of the zoo for 32×32 images or, with --applications, of keras.applications at
its own image size, for ten classes (of a thousand, random weights give each one less than int8 can
tell from zero). Filters go by L1 norm until half of the MACs remain: the same share of every layer,
and in multiples of 8 by one threshold for all layers (`round_to=8, scope="global"`: the same share
of every layer would halve a narrow network's layers all at once or not at all). Weights are random:
they change no time. A family's six files take turns in random order. The shares are of each file's
fastest run, which other work on the machine disturbs least; medians are kept beside them. Every
family is a line of benchmarks/results/structured.jsonl; those that are there are not run again
(--repeat does), and docs/results/structured.md is written.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import tfcompress as tfc
from tfcompress import profiling, zoo
from tfcompress.analysis import cost
from tfcompress.techniques import PruneFilters

ROOT = Path(__file__).resolve().parents[1]
ZOO = ("quantnet", "vgg16", "vgg19", "resnet8", "resnet20", "resnet50", "mobilenet", "efficientnet")
APPLICATIONS = {
    "MobileNet": 224,
    "MobileNetV2": 224,
    "MobileNetV3Small": 224,
    "EfficientNetB0": 224,
    "ResNet50": 224,
    "ResNet50V2": 224,
    "DenseNet121": 224,
    "InceptionV3": 299,
    "Xception": 299,
    "ConvNeXtTiny": 224,
    "VGG16": 224,
}
RESCALING = ("MobileNetV3Small", "EfficientNetB0", "ConvNeXtTiny")
SHARE, PRECISION, SECONDS, SAMPLES = 0.5, 0.02, 4.0, 16


def build(name: str):
    """(model, samples of its input range)."""
    if name in ZOO:
        model, scale = zoo.student(name, 1.0), 1.0
    else:
        applications = importlib.import_module("keras").applications
        model, scale = (
            getattr(applications, name)(
                weights=None, input_shape=(APPLICATIONS[name],) * 2 + (3,), classes=10
            ),
            255.0 if name in RESCALING else 1.0,
        )
    return model, np.random.default_rng(0).random(
        (SAMPLES, *model.input_shape[1:]), dtype=np.float32
    ) * scale


def measure(name: str, threads: int) -> dict:
    """One family: sizes and medians of its six files."""
    whole, samples = build(name)
    models = {"whole": whole}
    models["pruned"] = PruneFilters(target_macs=SHARE).apply(whole)
    models["pruned8"] = PruneFilters(target_macs=SHARE, round_to=8, scope="global").apply(whole)
    files = {
        (kind, to): tfc.convert(model, to, samples)
        for kind, model in models.items()
        for to in ("float32", "int8")
    }
    names = ["-".join(key) for key in files]
    profiles = profiling.profile_many(
        list(files.values()),
        names=names,
        threads=(threads,),
        ops=False,
        precision=PRECISION,
        seconds=SECONDS,
        timeout=900,
    )
    costs = {kind: cost(model) for kind, model in models.items()}
    line = {
        "family": name,
        "threads": threads,
        "macs": {kind: each.macs for kind, each in costs.items()},
    }
    line |= {
        "params": {kind: each.params for kind, each in costs.items()},
        "kept": kept(whole, models["pruned"]),
    }
    line["bytes"] = {name: profile.size_bytes for name, profile in zip(names, profiles)}
    line["latency_ms_p50"] = {
        name: profile.latency[0].latency_ms_p50 for name, profile in zip(names, profiles)
    }
    line["latency_ms_min"] = {
        name: profile.latency[0].latency_ms_min for name, profile in zip(names, profiles)
    }
    line["uncertainty_fraction"] = {
        name: profile.latency[0].uncertainty_fraction for name, profile in zip(names, profiles)
    }
    line["runtime"] = f"{profiles[0].runtime}"
    return line


def kept(whole, pruned) -> float:
    """The share of the filters that remains."""
    after, before = (
        sum(w.shape[-1] for w in model.get_weights() if w.ndim > 1) for model in (pruned, whole)
    )
    return after / before


def table(lines: list[dict]) -> str:
    """Markdown: the share of MACs that remains, and of the time."""
    out = ["# Half of the multiply-accumulates: what is left of the time", ""]
    out += [
        "Written by `python benchmarks/structured.py`: float32 and int8 files before and after "
        "`PruneFilters(target_macs=0.5)`, freely"
    ]
    runtime = lines[0]["runtime"] if lines else "LiteRT"
    out += [
        f'and with `round_to=8, scope="global"`; one thread, batch 1, {runtime}, files in turn in '
        "one run,"
    ]
    out += [
        "the fastest run of each (the medians' shares in brackets). 50 % in every column would be "
        "time that follows the MACs.",
        "",
    ]
    out += [
        "| family | MACs | ms float32 | ms int8 | MACs left | float32 time left | int8 time left "
        "| MACs left, ×8 | float32, ×8 | int8, ×8 |"
    ]
    out += ["|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    order = [*ZOO, *APPLICATIONS]
    for line in sorted(lines, key=lambda line: order.index(line["family"])):
        ms, macs = line["latency_ms_min"], line["macs"]
        cells = [
            line["family"],
            f"{macs['whole'] / 1e6:,.1f} M",
            f"{ms['whole-float32']:.3f}",
            f"{ms['whole-int8']:.3f}",
        ]
        for kind in ("pruned", "pruned8"):
            cells.append(f"{100 * macs[kind] / macs['whole']:.1f} %")
            cells += [share(line, kind, to) for to in ("float32", "int8")]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def share(line: dict, kind: str, to: str) -> str:
    ratios = [
        line[f"latency_ms_{of}"][f"{kind}-{to}"] / line[f"latency_ms_{of}"][f"whole-{to}"]
        for of in ("min", "p50")
    ]
    return f"{100 * ratios[0]:.0f} % ({100 * ratios[1]:.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--families", nargs="*", choices=[*ZOO, *APPLICATIONS], help="default: the zoo's"
    )
    parser.add_argument("--applications", action="store_true", help="keras.applications too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", action="store_true", help="measure again what is there")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results" / "structured.jsonl"
    )
    parser.add_argument(
        "--markdown", type=Path, default=ROOT / "docs" / "results" / "structured.md"
    )
    args = parser.parse_args()
    lines = (
        [json.loads(text) for text in args.out.read_text().splitlines()]
        if args.out.exists()
        else []
    )
    for name in args.families or [*ZOO, *(APPLICATIONS if args.applications else ())]:
        if not args.repeat and any(
            line["family"] == name and line["threads"] == args.threads for line in lines
        ):
            continue
        line = measure(name, args.threads)
        lines = [
            old for old in lines if (old["family"], old["threads"]) != (name, args.threads)
        ] + [line]
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("".join(json.dumps(each) + "\n" for each in lines))
        print(table([line]).splitlines()[-1], flush=True)
        importlib.import_module("keras").utils.clear_session()
        gc.collect()
    args.markdown.parent.mkdir(parents=True, exist_ok=True)
    args.markdown.write_text(table([each for each in lines if each["threads"] == args.threads]))


if __name__ == "__main__":
    main()
