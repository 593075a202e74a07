"""The addresses of the application; what they do is `Site`'s."""

from __future__ import annotations

import math
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import segno
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from tfcompress.core import ArtifactError, DataError, InterpreterError
from tfcompress.core._schema import FormatError, parse_json
from tfcompress.core._types import Array
from tfcompress.report._html import page
from tfcompress.serve._catalogue import Served
from tfcompress.serve._host import Answer, Busy
from tfcompress.serve._limits import LOOPBACK, REQUESTS_A_SECOND, Gate, TooLarge
from tfcompress.serve._site import Site

LINKS = (("Report", "/"), ("Try", "/try"), ("Measure here", "/measure"))
ASSETS = {
    "app.css": "text/css",
    "page.css": "text/css",
    "runtime.js": "text/javascript",
    "try.js": "text/javascript",
    "measure.js": "text/javascript",
}
HOMES = {"page.css": ("tfcompress.report", ""), "runtime.js": ("tfcompress.devices", "pages")}
"""Package and folder of what pages share with others."""
NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
REPORT_POLICY = f"{NOTHING}; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
PAGE_POLICY = (
    f"{NOTHING}; script-src 'self' 'nonce-NONCE' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; worker-src 'self' blob:"
)


def create_app(
    site: Site,
    *,
    token: str = "",
    hosts: Sequence[str] = LOOPBACK,
    rate: float = REQUESTS_A_SECOND,
) -> FastAPI:
    """The application over `site`.

    Args:
        site: what it shows and does.
        token: what visitors must know; "": nothing.
        hosts: the names that it answers to.
        rate: requests a second that one address may send for long; 0: any number.
    """

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        site.close()

    app = FastAPI(lifespan=life, docs_url=None, redoc_url=None, openapi_url=None)
    _add_pages(app, site)
    _add_files(app, site)
    _add_answers(app, site)
    _add_errors(app)

    app.add_middleware(Gate, token=token, hosts=hosts, rate=rate or math.inf)
    return app


def _add_pages(app: FastAPI, site: Site) -> None:
    @app.get("/", response_class=HTMLResponse)
    def report() -> HTMLResponse:
        html = page(site.report(), links=LINKS)
        return HTMLResponse(html, headers={"Content-Security-Policy": REPORT_POLICY})

    @app.get("/try", response_class=HTMLResponse)
    def try_page() -> HTMLResponse:
        return _page("try.html", site, "/try")

    @app.get("/measure", response_class=HTMLResponse)
    def measure_page() -> HTMLResponse:
        return _page("measure.html", site, "/measure")

    @app.get("/join.svg")
    def join() -> Response:
        if not site.join:
            raise HTTPException(404, "only this machine can open this server")
        svg = segno.make(site.join, error="m").svg_inline(scale=4, dark="#111", light="#fff")
        return Response(
            svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1),
            200,
            media_type="image/svg+xml",
        )


def _add_files(app: FastAPI, site: Site) -> None:
    @app.get("/assets/{name}")
    def asset(name: str) -> Response:
        if name not in ASSETS:
            raise HTTPException(404, "no such file")
        return Response(_asset(name), media_type=ASSETS[name])

    @app.get("/litert/{name:path}")
    def litert(name: str) -> FileResponse:
        runtime = site.litert_js
        if runtime is None or name not in runtime.files:
            raise HTTPException(404, "no such file")
        return FileResponse(runtime.files[name])

    @app.get("/files/{key}.tflite")
    def tflite(key: str) -> FileResponse:
        file = _file(site, key)
        return FileResponse(file.path, media_type="application/octet-stream")

    @app.get("/api/files")
    def listed() -> list[dict[str, Any]]:
        return site.described()

    @app.get("/api/samples")
    def samples() -> dict[str, Any]:
        known = site.samples
        return {
            "shape": list(known.x.shape),
            "labelled": known.y is not None,
            "picture": known.picture,
            "low": known.low,
            "high": known.high,
            "classes": list(known.classes),
        }

    @app.get("/api/samples.bin")
    def values() -> Response:
        data = np.ascontiguousarray(site.samples.x, "<f4").tobytes()
        return Response(data, media_type="application/octet-stream")


def _add_answers(app: FastAPI, site: Site) -> None:
    @app.post("/api/measurements/{key}")
    async def measured(key: str, request: Request) -> dict[str, Any]:
        file = _file(site, key)
        body = parse_json(await request.body())
        if not isinstance(body, dict):
            raise FormatError("Expected an object - at `$`")
        kept = await run_in_threadpool(site.add, file, body)
        return {
            "relative_error": kept.relative_error,
            "agreement": kept.agreement,
            "score": kept.score,
            "samples": kept.samples,
        }

    @app.post("/api/predict/{key}")
    async def predict(key: str, request: Request) -> JSONResponse:
        file = _file(site, key)
        body, kind = await request.body(), request.headers.get("content-type", "")
        x, decode_ms = await run_in_threadpool(_input, site, body, kind)
        answer = await run_in_threadpool(site.predict, file, x)
        spent = {
            "queue": answer.queue_ms,
            "decode": decode_ms,
            "inference": answer.inference_ms,
        }
        return _answered(answer, spent)


def _answered(answer: Answer, spent: Mapping[str, float]) -> JSONResponse:
    """Outputs and times, the times as a Server-Timing header too (W3C)."""
    timing = ", ".join(f"{name};dur={value:.3f}" for name, value in spent.items())
    outputs = [values[0].ravel().tolist() for values in answer.outputs]
    content = {"outputs": outputs, "ms": dict(spent)}
    return JSONResponse(content, headers={"Server-Timing": timing})


def _input(site: Site, body: bytes, kind: str) -> tuple[Array, float]:
    """One input [1, ...] from a picture or from raw float32, and the milliseconds it took."""
    samples = site.samples
    if kind.startswith("image/"):
        if samples.picture is None:
            raise DataError("These files take no pictures; post float32 values.")
        pixels, decode_ms = site.pictures.read(body, samples.picture)
        return samples.of_picture(pixels), decode_ms
    shape = (1, *samples.x.shape[1:])
    if len(body) != 4 * int(np.prod(shape)):
        raise DataError(f"Expected {shape} float32 values; {len(body):,} bytes came.")
    return np.frombuffer(body, "<f4").reshape(shape), 0.0


def _add_errors(app: FastAPI) -> None:
    statuses: dict[type[Exception], int] = {
        FormatError: 422,
        DataError: 422,
        InterpreterError: 502,
        ArtifactError: 507,
    }

    def refuse(error: Exception, status: int) -> JSONResponse:
        return JSONResponse({"error": " ".join(str(error).split())}, status)

    for kind, status in statuses.items():

        def handler(_: Request, error: Exception, status: int = status) -> JSONResponse:
            return refuse(error, status)

        app.add_exception_handler(kind, handler)

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse({"error": error.detail}, error.status_code)

    @app.exception_handler(Busy)
    def busy(_: Request, error: Busy) -> JSONResponse:
        return JSONResponse({"error": "too many requests wait; try again"}, 503)

    @app.exception_handler(TooLarge)
    def too_large(_: Request, error: TooLarge) -> JSONResponse:
        return JSONResponse({"error": "the body is too large"}, 413)


def _file(site: Site, key: str) -> Served:
    file = site.catalogue.of(key)
    if file is None:
        raise HTTPException(404, "no such file here")
    return file


def _page(name: str, site: Site, here: str) -> HTMLResponse:
    """A page of this application, with a fresh nonce for its one inline script."""
    nonce, report = secrets.token_urlsafe(16), site.catalogue.report()
    html = (
        _templates()
        .get_template(name)
        .render(
            title=report.title,
            links=LINKS,
            here=here,
            nonce=nonce,
            litert=site.litert_js.version if site.litert_js else "",
            join=site.join,
            labelled=site.samples.y is not None,
            count=len(site.samples.x),
            picture=site.samples.picture,
            metric=report.metric,
        )
    )
    policy = PAGE_POLICY.replace("NONCE", nonce)
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("tfcompress.serve", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
    )


@cache
def _asset(name: str) -> bytes:
    package, folder = HOMES.get(name, ("tfcompress.serve", "pages"))
    return (files(package) / folder / name).read_bytes()
