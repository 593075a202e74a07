"""A study that is killed at random moments ends with the report of one that was left alone."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import work

from tfcompress import study

pytestmark = pytest.mark.filterwarnings(
    "ignore:.* points below float32:tfcompress.core.ResultWarning"
)  # work.py trains so briefly that its files are poor

TWELVE = [
    *(
        "float32",
        "dynamic",
        "float16",
        "int8",
        "int16x8",
        "prune50-int8",
        "prune80-int8",
        "prune80-float32",
    ),
    *("cluster16-int8", "prune50-cluster16-int8", "qat-int8", "prune80-qat-int8", "prune2of4-int8"),
]


def kill_at_random(out, recipes, seeds, kills, spread):
    """Start the study and kill it (SIGKILL) at a random moment after its first step.

    It happens `kills` times; returns how far each run was. Temporary files go to the folder
    "temporary" beside `out`.
    """
    temporary = out.with_name(out.name + "-temporary")
    temporary.mkdir()
    rng, reached = random.Random(0), []
    command = [sys.executable, str(Path(work.__file__)), str(out), str(seeds), ",".join(recipes)]
    for _ in range(kills):
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        assert process.stdout is not None
        steps, moment = [process.stdout.readline()], rng.uniform(0, spread)
        reader = threading.Thread(target=lambda p=process, s=steps: s.extend(p.stdout), daemon=True)
        reader.start()
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join(10)
        process.stdout.close()
        reached.append(int((steps[-1] or "0/").split("/")[0]))
        assert process.poll() != 0, (
            "the study was over before it was killed: choose a smaller spread"
        )
    return reached


def nothing_left(out):
    """Neither half-written files in the study's folder nor temporary files elsewhere."""
    temporary = out.with_name(out.name + "-temporary")
    return not list(out.rglob(".*tfc-*")) and not list(temporary.iterdir())


def whole(out):
    """Nothing half-written under a name that counts, and every cell that has a row has its file."""
    for row in out.glob("*.row.json"):
        assert row.with_name(row.name.replace(".row.json", ".tflite")).stat().st_size > 0
    return len(list(out.glob("*.row.json")))


def test_killed_twice_it_ends_with_the_same_report(one_process, tmp_path):
    reached = kill_at_random(tmp_path, work.RECIPES, 1, 2, 6.0)
    cells = whole(tmp_path)
    report = study(work.build, work.RECIPES, **work.options(seeds=1, out=tmp_path))
    assert work.facts(report) == work.facts(one_process[1]), (
        f"killed at steps {reached} with {cells} cells done"
    )
    assert nothing_left(tmp_path)


@pytest.mark.slow
def test_thirteen_recipes_by_three_seeds_killed_five_times(tmp_path):
    alone = study(work.build, TWELVE, **work.options(seeds=3, out=tmp_path / "alone"))
    assert not [row["error"] for row in alone.rows if "error" in row]
    reached = kill_at_random(tmp_path / "killed", TWELVE, 3, 5, 25.0)
    cells = whole(tmp_path / "killed")
    report = study(work.build, TWELVE, **work.options(seeds=3, out=tmp_path / "killed"))
    print(f"killed at steps {reached}; {cells} of {len(alone.rows)} cells were done then")
    assert 0 < cells < len(alone.rows)
    assert work.facts(report) == work.facts(alone)
    assert report.to_markdown(work.STABLE) == alone.to_markdown(work.STABLE)
    assert nothing_left(tmp_path / "killed")
