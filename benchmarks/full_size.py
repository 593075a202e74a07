"""Report 003 at full size, without training: what its pruning ratios leave of VGG-19 and ResNet-50,
in parameters, MACs, time and memory.

    python benchmarks/full_size.py [--networks vgg19 resnet50] [--threads 1]

Weights are random: L1 ratios by layer leave the same widths whatever the weights are; of slimming
they do not, so γ is drawn (|N(0, 1)|, one draw), which spreads what goes evenly over the layers as
a training need not. The files of a network take turns in random order. Every network is a line of
benchmarks/results/full_size.jsonl, and docs/results/003_full_size.md is written.
"""

from __future__ import annotations

import argparse
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
LI = {"conv1_1": 0.7, "conv4_.*|conv5_.*": 0.5}
STAGES = {"A": (0.3, 0.3, 0.3, 0.3), "B": (0.5, 0.4, 0.6, 0.3), "C": (0.5, 0.6, 0.4, 0.3)}
PRINTED = {
    ("vgg19", "whole"): "20,035,018 parameters",
    ("vgg19", "slimming 70 %"): "1,861,534 parameters (−90 %), throughput +94 %",
    ("vgg19", "L1: 70 % of conv1_1, 50 % of conv4 and conv5"): "FLOPs −38 %",
    ("resnet50", "whole"): "23,528,330 parameters",
    ("resnet50", "slimming 60 %, trunk kept"): "9,947,065 parameters (−58 %), throughput +33 %",
}

NOTES = (
    "\n"
    "Written by `python benchmarks/full_size.py`: random weights, 32×32 images, a "
    "float32 and an int8 file of each row, batch 1,\n"
    "in turn in one run; latency is the fastest run, images per second follow from "
    "it, memory is the peak of the process that runs\n"
    "the file less what it had before. Slimming has its γ drawn at random: a trained "
    "network's widths differ; the report's keeps the\n"
    "residual trunk at its width. In brackets: share of the whole network's.\n"
)


def rows(name: str):
    """{row: technique or None} of a network."""
    ratios = (0.6, 0.7, 0.75) if name == "vgg19" else (0.45, 0.6)
    found = {"whole": None}
    found |= {
        f"slimming {100 * ratio:.0f} %": PruneFilters(ratio, importance="bn_gamma", scope="global")
        for ratio in ratios
    }
    if name == "vgg19":
        return found | {"L1: 70 % of conv1_1, 50 % of conv4 and conv5": PruneFilters(LI)}
    inner = r".*_conv[12]"
    found["slimming 60 %, trunk kept"] = PruneFilters(
        0.6, importance="bn_gamma", scope="global", only=inner
    )
    for letter, stages in STAGES.items():
        found[f"L1, stages' ratios {letter}"] = PruneFilters(inside_blocks(stages))
    return found


def inside_blocks(
    stages: tuple[float, ...], blocks: tuple[int, ...] = (3, 4, 6, 3)
) -> dict[str, float]:
    """Ratios by layer: the two inner convolutions of every bottleneck but the first and the last of
    its stage."""
    return {
        f"stage{stage}_block{block}_conv{number}": ratio
        for stage, (ratio, count) in enumerate(zip(stages, blocks), start=1)
        for block in range(2, count)
        for number in (1, 2)
    }


def drawn(model):
    """The model with γ = |N(0, 1)| of every BatchNormalization."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.gamma.assign(np.abs(rng.normal(size=layer.gamma.shape)).astype(np.float32))
    return model


def measure(name: str, threads: int) -> dict:
    """One network: parameters, MACs, bytes, latency and memory of every row's float32 and int8
    file."""
    whole = drawn(zoo.vgg19() if name == "vgg19" else zoo.resnet(50))
    samples = np.random.default_rng(0).random((100, 32, 32, 3), dtype=np.float32)
    models = {
        row: whole if technique is None else technique.apply(whole)
        for row, technique in rows(name).items()
    }
    files = {
        (row, to): tfc.convert(model, to, samples)
        for row, model in models.items()
        for to in ("float32", "int8")
    }
    labels = [f"{row}, {to}" for row, to in files]
    profiles = profiling.profile_many(
        list(files.values()),
        names=labels,
        threads=(threads,),
        ops=False,
        precision=0.03,
        timeout=900,
    )
    line: dict = {
        "network": name,
        "threads": threads,
        "runtime": f"{profiles[0].runtime}",
        "rows": {},
    }
    for row, model in models.items():
        found = cost(model)
        line["rows"][row] = {
            "params": int(sum(np.prod(w.shape) for w in model.trainable_weights)),
            "macs": found.macs,
        }
    for (row, to), profile in zip(files, profiles):
        latency = profile.latency[0]
        line["rows"][row][to] = {
            "size_bytes": profile.size_bytes,
            "latency_ms_min": latency.latency_ms_min,
            "latency_ms_p50": latency.latency_ms_p50,
            "peak_memory_bytes": profile.peak_memory_bytes,
        }
    return line


def table(lines: list[dict]) -> str:
    """Markdown: every row beside the whole network."""
    out = ["# Report 003 at full size: what its ratios leave, without training", ""]
    out += [*NOTES.strip().splitlines(), ""]
    for line in lines:
        out += [
            f"## {line['network']} ({line['threads']} thread{'s' * (line['threads'] > 1)}, "
            f"{line['runtime']})",
            "",
        ]
        out += [
            "| | parameters | MACs | MB float32 | MB int8 | ms float32 | ms int8 | images/s "
            "float32 | MB memory | printed |"
        ]
        out += ["|---|" + "--:|" * 8 + "---|"]
        whole = line["rows"]["whole"]
        for row, found in line["rows"].items():
            cells = [row, f"{found['params']:,} ({found['params'] / whole['params']:.0%})"]
            cells.append(f"{found['macs'] / 1e6:,.1f} M ({found['macs'] / whole['macs']:.0%})")
            cells += [f"{found[to]['size_bytes'] / 1e6:.2f}" for to in ("float32", "int8")]
            ms = {to: found[to]["latency_ms_min"] for to in ("float32", "int8")}
            cells += [f"{ms[to]:.2f} ({ms[to] / whole[to]['latency_ms_min']:.0%})" for to in ms]
            cells.append(f"{1000 / ms['float32']:.0f}")
            memory = found["float32"]["peak_memory_bytes"]
            cells += [
                "" if memory is None else f"{memory / 1e6:.1f}",
                PRINTED.get((line["network"], row), ""),
            ]
            out.append("| " + " | ".join(cells) + " |")
        out.append("")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--networks", nargs="*", choices=("vgg19", "resnet50"), default=["vgg19", "resnet50"]
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results" / "full_size.jsonl"
    )
    parser.add_argument(
        "--markdown", type=Path, default=ROOT / "docs" / "results" / "003_full_size.md"
    )
    args = parser.parse_args()
    lines = (
        [json.loads(text) for text in args.out.read_text().splitlines()]
        if args.out.exists()
        else []
    )
    for name in args.networks:
        line = measure(name, args.threads)
        lines = [old for old in lines if old["network"] != name] + [line]
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("".join(json.dumps(each) + "\n" for each in lines))
        args.markdown.write_text(table(lines))
        print(table([line]), flush=True)


if __name__ == "__main__":
    main()
