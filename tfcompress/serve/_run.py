"""Starting the server: whom it listens to, the address that people open, the end of it."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from tfcompress.core import ArtifactError
from tfcompress.serve._app import create_app
from tfcompress.serve._limits import LOOPBACK
from tfcompress.serve._site import Site

LOCAL = ("127.0.0.1", "localhost", "::1")
GRACE_SECONDS = 10
BACKLOG = 128
ANY = ("0.0.0.0", "::")
ELSEWHERE = ("192.0.2.1", 9)
"""An address of documentation (RFC 5737): connecting a datagram socket sends nothing."""


@dataclass(frozen=True)
class Place:
    """Where a server listens, the names it answers to, and what a visitor must know."""

    host: str
    port: int
    token: str
    names: tuple[str, ...]

    @property
    def address(self) -> str:
        """What to open: on this machine, or from the network where the server is open to it."""
        name = self.names[0] if self.token else "127.0.0.1"
        shown = f"[{name}]" if ":" in name and not name.startswith("[") else name
        query = f"/?token={quote(self.token)}" if self.token else "/"
        return f"http://{shown}:{self.port}{query}"


def place(host: str, port: int, names: Sequence[str] = ()) -> Place:
    """The place for `--host` and `--port`, asked under `names` too.

    Outside loopback a token is drawn, and the address has the first of `names`.
    """
    if host in LOCAL:
        return Place(host, port, "", (*LOOPBACK, *names))
    outside = _own_address() if host in ANY else host
    own = (outside, socket.gethostname(), f"{socket.gethostname()}.local", *LOOPBACK)
    return Place(host, port, secrets.token_urlsafe(16), (*names, *own))


def run(site: Site, where: Place, *, rate: float, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; what runs then is finished first.

    Args:
        site: the application.
        where: the place.
        rate: requests a second that one address may send for long; 0: any number.
        ready: is told the address before the first request.

    Raises:
        ArtifactError: the port is taken or may not be listened to.
    """
    import uvicorn

    listening = _listening(where)
    port = listening.getsockname()[1]
    where = Place(where.host, port, where.token, where.names)
    site.join = where.address if where.token else ""
    app = create_app(site, token=where.token, hosts=where.names, rate=rate)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    ready(where.address)
    uvicorn.Server(config).run(sockets=[listening])


def _listening(where: Place) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    # asyncio sends small answers at once (TCP_NODELAY) on sockets that name their protocol.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((where.host, where.port))
        listening.listen(BACKLOG)  # who comes before the first answer waits
    except OSError as error:
        listening.close()
        raise ArtifactError(
            f"Cannot listen on {where.host}, port {where.port}: {error.strerror or error}; "
            "choose another --port (0: any that is free)."
        ) from error
    return listening


def _own_address() -> str:
    """This machine's address in its network; loopback where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ELSEWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
