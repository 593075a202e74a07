"""Rows with everything that a report can show."""

import random
from typing import Any

import pytest
from hypothesis import settings

from tfcompress.report import Report

settings.register_profile("report", deadline=None)
settings.load_profile("report")

# recipe: share of right answers, bytes, gzip bytes, latency in ms, extra
SPEC = {
    "float32": (0.97, 2_197_660, 2_030_000, 0.166),
    "float16": (0.97, 1_103_020, 980_000, 0.1655),
    "dynamic": (0.968, 560_744, 455_102, 0.063),
    "int8": (0.966, 559_184, 450_123, 0.076),
    "prune80-qat-int8": (0.90, 559_300, 170_123, 0.0765),
}
EXAMPLES = 400
LAYERS = {
    "float32": {"conv<1>": 4000, "dense": 8000},
    "dynamic": {"conv<1>": 4000, "dense": 2000},
    "int8": {"conv<1>": 1000, "other": 500},
}


def row(
    recipe: str, seed: int, accuracy: float, size: int, packed: int, ms: float, **more: Any
) -> dict[str, Any]:
    rng = random.Random(f"{recipe}{seed}")
    correct = "".join("01"[rng.random() < accuracy] for _ in range(EXAMPLES))
    ops = [
        {"index": i, "kind": kind, "name": "", "macs": 100 * i, "time_us_p50": 9.0 - i}
        for i, kind in enumerate(["CONV_2D", "SOFTMAX"])
    ]
    latency = [{"threads": n, "latency_ms_p50": ms / n} for n in (1, 2)]
    return {
        "recipe": recipe,
        "seed": seed,
        "accuracy": correct.count("1") / EXAMPLES,
        "size_bytes": size,
        "gzip_bytes": packed,
        "latency_ms_p50": ms * (1 + 0.005 * seed),
        "correct": correct,
        "profile": {
            "runtime": "litert 2.3.0",
            "latency": latency,
            "ops": ops,
            "notes": ["2 threads on 1 usable cores"],
            "sha256": "ab" * 32,
        },
        "checks": [
            {
                "stage": "int8",
                "what": "relative error",
                "value": 0.0123,
                "bound": 0.1,
                "layer": "conv<1>",
            }
        ],
        "skipped": [
            {
                "layer": "rescale",
                "kind": "Rescaling",
                "by": "QuantizeAware",
                "reason": "stays float & is fused",
            }
        ]
        if "qat" in recipe
        else [],
        "made": {
            "call": f"tfc.compress(model, '{recipe}', seed={seed})",
            "file": f"{recipe}.tflite",
            "seconds": 3.2,
        },
        "layers": [
            {"name": name, "op": "CONV_2D", "encoding": "int8", "bits": 8.0, "bytes": size}
            for name, size in LAYERS.get(recipe, {}).items()
        ],
        **more,
    }


@pytest.fixture
def report() -> Report:
    """Five recipes × two seeds and one that failed for both."""
    rows = [row(name, seed, *spec) for name, spec in SPEC.items() for seed in (0, 1)]
    rows += [
        {
            "recipe": "int16x8",
            "seed": seed,
            "error": "ConversionError: <HARD_SWISH> has no 16-bit kernel",
        }
        for seed in (0, 1)
    ]
    about = {
        "metric": "accuracy",
        "base": "float32",
        "test_examples": EXAMPLES,
        "command": "tfcompress study 'a b.toml'",
        "machine": {"cores": 2},
    }
    return Report(rows, "Digits & <friends>", about)
