"""Memory of a compression, in multiples of a 40 MiB model above the process that holds it.

What `benchmarks/memory.py --network dense` prints, with room for another machine. Most of it is
TensorFlow's own: docs/memory.md has TFMOT and the raw converter beside it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "memory.py"
BOUNDS = {
    "tfcompress": {"apply": 3, "train": 8.5, "strip": 9.5, "convert": 14, "afterwards": 9.5},
    "tfcompress int8": {"convert": 9, "parity": 4.5, "afterwards": 4},
}
"""Way → step → its largest resident memory."""


@pytest.mark.parametrize("way", BOUNDS)
def test_no_step_takes_more_memory_than_it_did(way):
    command = [sys.executable, str(SCRIPT), "--network", "dense", "--in-this-process"]
    done = subprocess.run([*command, "--way", way], capture_output=True, text=True, check=True)
    multiples = json.loads(done.stdout.splitlines()[-1])["multiples"]
    assert set(BOUNDS[way]) <= set(multiples)
    over = {step: multiples[step] for step, most in BOUNDS[way].items() if multiples[step] > most}
    assert not over
