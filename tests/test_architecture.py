"""The import rules of setup.cfg hold, and importing is cheap, silent and leaves the environment as
it was."""

import json
import subprocess
import sys

CHEAP = """
import os, sys, json, time
before = dict(os.environ)
start = time.perf_counter()
import tfcompress
seconds = time.perf_counter() - start
unwanted = ["tensorflow", "keras", "tf_keras", "numpy", "matplotlib"]
unwanted.append("tensorflow_model_optimization")
heavy = [name for name in unwanted if name in sys.modules]
print(json.dumps({"seconds": seconds, "heavy": heavy, "environment": dict(os.environ) == before}))
"""


def test_import_contracts_hold():
    from importlinter.cli import lint_imports

    assert lint_imports() == 0


def test_import_is_cheap_and_silent():
    seconds = []
    # The best of five: what the import costs, not what the machine does beside it.
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", CHEAP], capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
        assert len(done.stdout.splitlines()) == 1
        found = json.loads(done.stdout)
        assert found["heavy"] == []
        assert found["environment"]
        seconds.append(found["seconds"])
    assert min(seconds) < 0.3
