"""Who may come in: the token, the names of the host, sizes and rates."""

import pytest
from fastapi.testclient import TestClient

from tfcompress import serve
from tfcompress.serve._limits import COOKIE, MAX_BODY_BYTES, Buckets


def test_a_foreign_name_and_a_foreign_page_are_turned_away(client, posted):
    assert client.get("/", headers={"Host": "attacker.example"}).status_code == 421
    one = posted()
    answer = client.post(one.address, json=one.content, headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    own = {"Origin": "http://127.0.0.1"}
    assert client.post(one.address, json=one.content, headers=own).status_code == 200


def test_a_body_that_is_too_large_is_not_read(client, posted):
    one = posted()
    length = {"Content-Length": str(MAX_BODY_BYTES + 1)}
    assert client.post(one.address, content=b"x", headers=length).status_code == 413

    def without_length():
        for _ in range(MAX_BODY_BYTES // 2**20 + 2):
            yield b" " * 2**20

    assert client.post(one.address, content=without_length()).status_code == 413


def test_the_token_of_the_address_becomes_a_cookie(site):
    app = serve.create_app(site, token="secret-word", hosts=["phone.example"])
    visitor = TestClient(app, base_url="http://phone.example")
    assert visitor.get("/").status_code == 401
    assert visitor.get("/?token=wrong").status_code == 401
    assert visitor.get("/files/x.tflite").status_code == 401
    first = visitor.get("/?token=secret-word")
    assert first.status_code == 200
    assert "HttpOnly" in first.headers["set-cookie"]
    assert visitor.cookies[COOKIE] == "secret-word"
    assert visitor.get("/api/files").status_code == 200


def test_a_bucket_empties_and_fills(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    buckets = Buckets(rate=2, size=3)
    assert [buckets.take("a") for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b")
    now[0] += 1.0
    assert [buckets.take("a") for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(
    ("host", "token", "address"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:8000/"),
        ("192.0.2.7", True, "http://192.0.2.7:8000/?token="),
    ],
)
def test_only_loopback_goes_without_a_token(host, token, address):
    place = serve.place(host, 8000)
    assert bool(place.token) is token
    assert place.address.startswith(address)
