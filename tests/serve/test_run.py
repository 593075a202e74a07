"""The server as a process: its address, its end, and what a kill leaves."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import httpx2 as httpx
import pytest

from tfcompress.serve._store import MEASURED, Measurement


@pytest.fixture
def started(folder):
    """`started(*options)`: a server of `folder` and its address."""
    processes = []

    def start(*options):
        command = [sys.executable, "-m", "tfcompress.cli", "serve", str(folder), *options]
        process = subprocess.Popen(
            [*command, "--port", "0"], stderr=subprocess.PIPE, text=True, env=os.environ
        )
        processes.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            address = re.search(r"http://\S+", line)
            if address and line.startswith("Open"):
                return process, address[0]
        raise AssertionError("the server said no address")

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_sigterm_ends_it_and_a_taken_port_is_one_line(started, folder):
    process, address = started()
    assert httpx.get(address).status_code == 200
    port = address.rpartition(":")[2].strip("/")
    second = subprocess.run(
        [sys.executable, "-m", "tfcompress.cli", "serve", str(folder), "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert re.fullmatch(
        r"tfcompress: Cannot listen on .*; choose another --port .*",
        second.stderr.splitlines()[-1],
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) in (0, -signal.SIGTERM)
    with pytest.raises(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
        pass


def test_a_kill_leaves_nothing_half_written(started, folder, posted):
    one = posted()
    process, address = started()
    shape = httpx.get(f"{address}api/samples").json()["shape"]
    one.content["outputs"] = [[[0.1] * 10] * shape[0]]
    kept = []

    def post_on():
        with httpx.Client(base_url=address) as client:
            try:
                while True:
                    kept.append(client.post(one.address, json=one.content).status_code)
            except httpx.HTTPError:
                pass

    threads = [threading.Thread(target=post_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(kept) < 30:
        assert process.poll() is None
    process.kill()
    for thread in threads:
        thread.join()
    files = list((folder / "browser").glob(MEASURED))
    assert len(files) >= kept.count(200) >= 30
    for file in files:
        Measurement(**json.loads(file.read_text()))
