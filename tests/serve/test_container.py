"""The image's steps in a fresh environment, without TensorFlow; the image where Docker is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


def steps():
    """The `pip install` lines of the Dockerfile, as words."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return [line.split()[1:] for line in lines if line.startswith("RUN pip install")]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment in which the Dockerfile's steps were run."""
    folder = tmp_path_factory.mktemp("container")
    source = folder / "source"
    for name in ("docker", "tfcompress"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    for step in steps():
        command = [str(folder / "env" / "bin" / "pip"), *step[1:], "-q"]
        done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
        if "No matching distribution" in done.stderr or "Connection" in done.stderr:
            pytest.skip(f"no package registry: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return folder / "env" / "bin"


def test_it_serves_without_tensorflow(environment, folder):
    listed = subprocess.run(
        [environment / "pip", "list", "--format", "freeze"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert not re.search(r"^(tensorflow|keras|tf[_-]keras)", listed, re.M | re.I)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [environment / "tfcompress", "serve", folder, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env=clean,
        cwd=folder,
    )
    try:
        assert server.stderr is not None
        address = next(
            found[0] for line in server.stderr if (found := re.search(r"http://\S+", line))
        )
        files = httpx.get(f"{address}api/files").json()
        assert [file["refused"] for file in files] == [""] * 4
        shape = httpx.get(f"{address}api/samples").json()["shape"]
        assert shape == [16, 8, 8, 1]
        body = httpx.get(f"{address}api/samples.bin").content[: 4 * 64]
        answer = httpx.post(f"{address}api/predict/{files[1]['key']}", content=body)
        assert sum(answer.json()["outputs"][0]) == pytest.approx(1, abs=0.05)
    finally:
        server.kill()
        server.communicate()


def test_the_image_builds():
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "info"], capture_output=True).returncode:
        pytest.skip("needs a running Docker")
    pulled = subprocess.run([docker, "pull", "-q", "python:3.12-slim"], capture_output=True)
    if pulled.returncode:
        pytest.skip("the base image cannot be fetched")
    subprocess.run([docker, "build", "-q", str(ROOT)], check=True)
