"""The demo's server: its page, and the readers' answers to an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from experiments.data.decode import refuse_size
from experiments.deploy.demo.answer import Shown, answer, load_shown
from experiments.deploy.local_page import answer_on, local_page
from experiments.errors import UserError
from experiments.ports import HOST, listening

_FOLDER = Path(__file__).parent


def serve(names: list[str], out: Path, port: int) -> None:
    """Answer on this machine alone until it is stopped. Raises UserError.

    names: of readers; see experiments.deploy.reading.choice.artifacts_of_reader.
    """
    with listening(port) as sock:
        app = application([load_shown(name, out) for name in names])
        print(
            f"http://{HOST}:{port} ({' and '.join(names)} read there; Ctrl-C ends it)", flush=True
        )
        answer_on(sock, app)


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

    return local_page(_FOLDER, [Route("/readers", names), Route("/read", read, methods=["POST"])])


async def _body(request: Request) -> bytes:
    """The image as it is; no more of it is held than an image can have."""
    content = bytearray()
    async for part in request.stream():
        content += part
        refuse_size("the image", len(content))
    return bytes(content)


def _answers(readers: list[Shown], content: bytes) -> dict[str, Any]:
    return {"readers": [answer(shown, content) for shown in readers]}
