"""The addresses: what they give, and what bad requests get."""

import io

import numpy as np
import pytest
from PIL import Image

import tfcompress as tfc


def key_of(site, name):
    return next(file.key for file in site.catalogue.files.values() if file.name == name)


def test_pages_say_what_they_may_load(client):
    for address in ("/", "/try", "/measure"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["cross-origin-embedder-policy"] == "require-corp"
        assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert 'href="/measure"' in client.get("/").text


def test_files_come_as_they_are(client, site, folder):
    key = key_of(site, "int8")
    assert client.get(f"/files/{key}.tflite").content == (folder / "int8-seed0.tflite").read_bytes()
    listed = client.get("/api/files").json()
    assert [item["name"] for item in listed] == ["float32", "int8", "uint8io", "dynamic"]
    assert listed[2]["inputs"][0]["dtype"] == "uint8"
    assert listed[2]["inputs"][0]["scale"] > 0


@pytest.mark.parametrize(
    "address",
    [
        "/files/0000000000000000.tflite",
        "/files/..%2f..%2freport.json",
        "/assets/..%2f_app.py",
        "/assets/base.html",
        "/litert/..%2f..%2fetc%2fpasswd",
        "/litert/../report.json",
        "/join.svg",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_other_path_is_reachable(client, address):
    answer = client.get(address)
    assert answer.status_code == 404
    assert "report" not in answer.text


def test_samples_are_the_test_images(client, site, digits):
    described = client.get("/api/samples").json()
    assert described["shape"] == [50, 8, 8, 1]
    assert (described["low"], described["high"]) == (0.0, 1.0)
    values = np.frombuffer(client.get("/api/samples.bin").content, "<f4").reshape(50, 8, 8, 1)
    np.testing.assert_array_equal(values, site.samples.x)
    rows = {image.tobytes() for image in digits[2]}
    assert all(image.tobytes() in rows for image in values)


def test_the_server_answers_as_evaluate_does(client, site, folder):
    x = site.samples.x[:1]
    for name in ("float32", "uint8io"):
        file = folder / f"{name}-seed0.tflite"
        _, outputs = tfc.evaluate(file, x, np.zeros(1), predictions=True)
        answer = client.post(f"/api/predict/{key_of(site, name)}", content=x.tobytes())
        np.testing.assert_array_equal(np.float32(answer.json()["outputs"][0]), outputs[0])
        assert set(answer.json()["ms"]) == {"queue", "decode", "inference"}
        assert "inference;dur=" in answer.headers["server-timing"]


def test_a_picture_answers_as_its_pixels_do(client, site):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype="uint8")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    address = f"/api/predict/{key_of(site, 'float32')}"
    kind = {"Content-Type": "image/png"}
    seen = client.post(address, content=buffer.getvalue(), headers=kind).json()
    values = (pixels[None, ..., None] / np.float32(255)).astype("<f4")
    fed = client.post(address, content=values.tobytes()).json()
    np.testing.assert_allclose(seen["outputs"], fed["outputs"], rtol=1e-6)
    broken = client.post(address, content=b"GIF89a", headers=kind)
    assert broken.status_code == 422
    assert "could not be read" in broken.json()["error"]
    short = client.post(address, content=b"1234")
    assert (short.status_code, "float32 values" in short.json()["error"]) == (422, True)


def test_what_a_browser_measured_is_a_column_of_the_report(client, site, posted):
    one = posted("int8")
    answer = client.post(one.address, json=one.content)
    assert answer.status_code == 200
    assert answer.json()["relative_error"] == 0
    assert answer.json()["agreement"] == 1
    score, _ = tfc.evaluate(
        site.catalogue.of(key_of(site, "int8")).path,
        site.samples.x,
        site.samples.y,
        predictions=True,
    )
    assert answer.json()["score"] == score
    page = client.get("/").text
    assert "browser: Pixel 8" in page
    assert site.report().rows[1]["latency_ms_p50@browser: Pixel 8"] == 0.5


def test_a_post_that_is_wrong_leaves_nothing(client, site, posted):
    one = posted()
    assert client.post("/api/measurements/nothing", json=one.content).status_code == 404
    bad = [
        {**one.content, "outputs": []},
        {**one.content, "outputs": [[[0.1]]]},
        {**one.content, "outputs": "x"},
        {**one.content, "timing": {}},
        {"outputs": one.content["outputs"]},
        [],
    ]
    for content in bad:
        answer = client.post(one.address, json=content)
        assert answer.status_code == 422, content
        assert answer.json()["error"]
    text = '{"timing": {"latency_ms_p50": NaN}, "outputs": [[[NaN]]]}'
    assert client.post(one.address, content=text).status_code == 422
    assert client.post(one.address, content="{" * 5000).status_code == 422
    assert site.store.all() == []
    assert not list(site.catalogue.folder.glob("*"))


def test_a_file_that_ends_its_interpreter_costs_one_answer(client, site):
    key = key_of(site, "int8")
    content = site.samples.x[:1].tobytes()
    assert client.post(f"/api/predict/{key}", content=content).status_code == 200
    site.runners[key]._remote._process.kill()
    failed = client.post(f"/api/predict/{key}", content=content)
    assert failed.status_code == 502
    assert "SIGKILL" in failed.json()["error"]
    assert client.post(f"/api/predict/{key}", content=content).status_code == 200
