"""Who may ask, how often and how much: the token, the host's names, bytes and requests."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "tfcompress_token"
MAX_BODY_BYTES = 32 << 20
REQUESTS_A_SECOND = 200.0
BURST = 400
CLIENTS_KEPT = 1000
TOO_LARGE = HTTPStatus(413)  # its name differs between the versions of Python
SAFE = ("GET", "HEAD")
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Threads in WebAssembly need the first two."""


class Gate:
    """ASGI middleware that turns away what may not come in, before anything is read.

    Args:
        app: what it guards.
        token: what a visitor must know; "" lets everyone in who reaches the port.
        hosts: the names under which this server may be asked (against DNS rebinding).
        rate: requests a second that one address may send for long, `BURST` at once.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token: str = "",
        hosts: Sequence[str] = LOOPBACK,
        rate: float = REQUESTS_A_SECOND,
    ) -> None:
        self.app, self.token, self.hosts = app, token, tuple(hosts)
        self.buckets = Buckets(rate, BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self.app(scope, _limited(receive), self._marking(scope, send))

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        headers = Headers(scope=scope)
        client = (scope.get("client") or ("?", 0))[0]
        if not self.buckets.take(client):
            return _error(HTTPStatus.TOO_MANY_REQUESTS, "too many requests; wait a second")
        if _name(headers.get("host", "")) not in self.hosts:
            return _error(HTTPStatus.MISDIRECTED_REQUEST, "this server has another name")
        origin = headers.get("origin")
        foreign = origin and urlsplit(origin).netloc != headers.get("host")
        if foreign and scope["method"] not in SAFE:
            return _error(HTTPStatus.FORBIDDEN, "posts come from this server's own pages only")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return _error(TOO_LARGE, f"at most {MAX_BODY_BYTES:,} bytes are taken")
        if self.token and not self._knows_token(scope, headers):
            return _error(HTTPStatus.UNAUTHORIZED, "the address lacks its token; open the whole")
        return None

    def _knows_token(self, scope: Scope, headers: Headers) -> bool:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        kept = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        known = self.token.encode()
        return any(secrets.compare_digest(word.encode(), known) for word in (asked, kept))

    def _marking(self, scope: Scope, send: Send) -> Send:
        """`send`, with the headers of every answer and a cookie for who brought the token."""
        brought = self.token and b"token=" in scope["query_string"]

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(ISOLATED)
                if brought:
                    cookie = f"{COOKIE}={self.token}; Path=/; HttpOnly; SameSite=Strict"
                    headers.append("set-cookie", cookie)
            await send(message)

        return marked


class TooLarge(Exception):
    """A body without a stated length went over the limit."""


def _limited(receive: Receive) -> Receive:
    """`receive`, which stops where a body is larger than it said or may be."""
    total = 0

    async def counted() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY_BYTES:
            raise TooLarge
        return message

    return counted


class Buckets:
    """A token bucket a client: `rate` requests a second refill it, up to `size`."""

    def __init__(self, rate: float, size: float) -> None:
        self.rate, self.size = rate, size
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, client: str) -> bool:
        """One request of `client`; False where its bucket is empty."""
        if math.isinf(self.rate):
            return True
        now = time.monotonic()
        with self._lock:
            left, before = self._left.pop(client, (self.size, now))
            left = min(self.size, left + self.rate * (now - before))
            self._left[client] = (max(left - 1, 0.0), now)
            while len(self._left) > CLIENTS_KEPT:
                self._left.popitem(last=False)
        return left >= 1


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _error(status: HTTPStatus, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status)
