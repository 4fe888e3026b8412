"""A page for this machine alone: its files, what its answers forbid, and a server of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.ports import HOST

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/page.svg": ("page.svg", "image/svg+xml"),
}
_HEADERS = {
    # Nothing but these files, from nowhere but here.
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


def local_page(folder: Path, routes: Sequence[Route]) -> Starlette:
    """The page of four files in a folder, on a style that all have, and what it asks for."""
    style = Path(__file__).with_suffix(".css")
    return Starlette(
        routes=[
            Route(f"/{style.name}", _file(style, "text/css")),
            *(Route(path, _file(folder / name, kind)) for path, (name, kind) in _FILES.items()),
            *routes,
        ],
        middleware=[
            Middleware(_WithHeaders),
            # A page whose name its owner points at this machine (DNS rebinding) could else ask.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
        ],
    )


def answer_on(sock: socket, app: Starlette) -> None:
    """Answer until it is stopped."""
    with suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])


class _WithHeaders:
    """Every answer says what its page may do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *ours]}
            await send(message)

        await self._app(scope, receive, with_headers)


def _file(file: Path, kind: str) -> Any:
    async def send(_: Request) -> Response:
        return FileResponse(file, media_type=kind)

    return send
