"""The demo's server: three files of a page, and the readers' answers to an image."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.data.decode import refuse_size
from experiments.deploy.demo.answer import Shown, answer, load_shown
from experiments.errors import UserError
from experiments.ports import HOST, listening

_FOLDER = Path(__file__).parent
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


def serve(names: list[str], out: Path, port: int) -> None:
    """Answer on this machine alone until it is stopped. Raises UserError.

    names: of readers; see experiments.deploy.choice.artifacts_of_reader.
    """
    with listening(port) as sock:
        app = application([load_shown(name, out) for name in names])
        print(
            f"http://{HOST}:{port} ({' and '.join(names)} read there; Ctrl-C ends it)", flush=True
        )
        with suppress(KeyboardInterrupt):
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[sock])


def application(readers: list[Shown]) -> Starlette:
    """GET the page; GET /readers, their names; POST /read, an image file as it is."""

    async def names(_: Request) -> Response:
        return JSONResponse([{"name": r.name, "about": r.about} for r in readers])

    async def read(request: Request) -> Response:
        try:
            content = await _body(request)
            return JSONResponse(await run_in_threadpool(_answers, readers, content))
        except UserError as error:
            return JSONResponse({"message": str(error)}, 400)

    return Starlette(
        routes=[
            *(Route(path, _file(*file)) for path, file in _FILES.items()),
            Route("/readers", names),
            Route("/read", read, methods=["POST"]),
        ],
        middleware=[
            Middleware(_WithHeaders),
            # A page whose name its owner points at this machine (DNS rebinding) could else ask.
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"]),
        ],
    )


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


def _file(name: str, kind: str) -> Any:
    async def send(_: Request) -> Response:
        return FileResponse(_FOLDER / name, media_type=kind)

    return send


async def _body(request: Request) -> bytes:
    """The image as it is; no more of it is held than an image can have."""
    content = bytearray()
    async for part in request.stream():
        content += part
        refuse_size("the image", len(content))
    return bytes(content)


def _answers(readers: list[Shown], content: bytes) -> dict[str, Any]:
    return {"readers": [answer(shown, content) for shown in readers]}
