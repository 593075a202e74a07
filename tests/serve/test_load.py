"""Files under load: what is counted, where the time goes, and the columns of the report."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from tfcompress import serve
from tfcompress.cli import app
from tfcompress.core import InterpreterError
from tfcompress.serve._load import Load, Loads, Request, measure


@pytest.fixture
def answering():
    """`answering(statuses)`: the address of a server that gives them in turn."""
    servers = []

    def start(statuses):
        given = iter(statuses * 100_000)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                body = b'{"outputs": [], "ms": {"queue": 1.0, "decode": 2.0, "inference": 3.0}}'
                self.send_response(next(given))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever).start()
        return f"http://127.0.0.1:{server.server_port}/api/predict/x"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_every_request_is_counted(answering):
    load = measure(Request(answering([200, 200, 503]), b"1234", "image/png"), 2, 0.3)
    assert load.clients == 2
    assert load.answered > 0
    assert 0.3 < load.failed / load.answered < 0.7
    assert load.images_per_second == pytest.approx(load.answered / load.seconds)
    assert (load.queue_ms, load.decode_ms, load.inference_ms) == (1.0, 2.0, 3.0)
    assert load.latency_ms_p50 <= load.latency_ms_p90 <= load.latency_ms_p99


def test_a_server_that_never_answers_is_an_error(answering):
    with pytest.raises(InterpreterError, match=r"None of [1-9][0-9]* requests was answered"):
        measure(Request(answering([500]), b"", "image/png"), 1, 0.1)


def test_loads_of_a_study_become_columns_of_its_report(folder, digits):
    words = ["online", str(folder), "--seconds", "0.2", "--clients", "1,2", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    loads = json.loads(done.stdout)
    assert set(loads) == {"float32", "int8", "uint8io", "dynamic"}
    for name in loads:
        one, two = loads[name]
        assert (one["clients"], two["clients"]) == (1, 2)
        assert one["failed"] == two["failed"] == 0
        assert one["memory_bytes"] > 10_000_000
        assert one["inference_ms"] > 0
    samples = serve.chosen(digits[2], digits[3], 2)
    site = serve.Site(serve.of_folder(folder), samples)
    row = site.report().rows[0]
    site.close()
    assert row["images_per_second@online, 2 clients"] == loads["float32"][1]["images_per_second"]
    assert row["latency_ms_p50@online, 1 client"] == loads["float32"][0]["latency_ms_p50"]


@pytest.mark.parametrize("clients", ["0", "two", "65", ""])
def test_clients_that_are_no_small_numbers_are_refused(folder, clients):
    done = CliRunner().invoke(app, ["online", str(folder), "--clients", clients])
    assert done.exit_code == 1
    assert "--clients" in str(done.exception)


def test_a_damaged_file_of_loads_is_passed_over(tmp_path):
    loads = Loads(tmp_path)
    load = Load(1, 1.0, 5, 0, 5.0, 1.0, 1.0, 1.0, 0.4, 0.2, 0.2, 0.2, 0.5, 7, 0)
    loads.keep("0" * 16, [load])
    assert len(loads.of("0" * 64)) == 1
    (tmp_path / "online" / f"{'0' * 16}.json").write_text('[{"clients": 1}]')
    assert loads.of("0" * 64) == []
