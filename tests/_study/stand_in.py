"""Stand-ins for a model and the engine: what is tested with them is the study's own doing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tfcompress import profiling, study
from tfcompress._study._fingerprint import fingerprint
from tfcompress.core import Artifact, Latency, ModelError, Profile

X, Y = np.zeros((20, 4), "float32"), np.arange(20) % 2


class Model:
    """Stands for a trained model; `weight` is all there is to it."""

    def __init__(self, weight=0.0):
        self.weight = weight


@pytest.fixture
def engine(monkeypatch):
    """The engine, the bridge and the meters replaced by stand-ins that count their calls."""
    import tfcompress._compress
    from tfcompress._backend import bridge as keras

    made = []

    def flavour(model):
        if not isinstance(model, Model):
            raise ModelError("not a model")
        return "keras"

    def compress(model, wanted, *, seed, **rest):
        made.append((wanted.name, seed))
        if wanted.name == "float16":
            raise ZeroDivisionError("the trainer divides by zero")
        return Artifact(f"????TFL3{wanted.name}{model.weight}".encode() + bytes([seed]), wanted)

    def evaluate(file, x, y, **rest):
        data = file.data if isinstance(file, Artifact) else file.read_bytes()
        share = 0.5 + data[-1] / 10
        outputs = np.eye(2)[np.where(np.arange(len(y)) < share * len(y), y, 1 - y)]
        return float(share), outputs

    def profile_many(files, *, threads, names, **rest):
        clock = Latency(1, 9, 3, 0.5, 0.6, 0.7, 0.5, 0.01, 0.4, 0.9, 0.0, 0.0)
        return [
            Profile(
                name,
                1,
                1,
                "",
                "stub",
                latency=tuple(replace(clock, threads=n, latency_ms_p50=0.5 / n) for n in threads),
            )
            for name in names
        ]

    monkeypatch.setattr(keras, "flavour", flavour)
    monkeypatch.setattr(keras, "fingerprint", lambda model: fingerprint(model.weight))
    monkeypatch.setattr(keras, "set_seed", lambda seed: None)
    monkeypatch.setattr(keras, "save_model", lambda model, path: path.write_text(str(model.weight)))
    monkeypatch.setattr(keras, "compile_problem", lambda model: None)
    monkeypatch.setattr(
        keras, "load_model", lambda path, trusted=False: Model(float(path.read_text()))
    )
    monkeypatch.setattr(tfcompress._compress, "compress", compress)
    monkeypatch.setattr(profiling, "evaluate", evaluate)
    monkeypatch.setattr(profiling, "profile_many", profile_many)
    return made


def run(out=None, model=None, recipes=("float32", "int8"), **more):
    options: dict[str, Any] = {
        "samples": X,
        "evaluate": (X, Y),
        "seeds": 2,
        "progress": False,
        **more,
    }
    return study(model or Model(), list(recipes), out=out, **options)
