"""A program of its own, python server.py MODEL PORT: MLflow's server of a registered model.

It imports nothing of the project, so that what answers is the code that was registered with the
model (experiments/deploy/serving.py), from MLflow's copy. What it adds to MLflow's server: it
answers only who asks for this machine by name, and an error says nothing of where files lie.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable

import mlflow.pyfunc
import uvicorn
from fastapi import FastAPI, Request, Response
from mlflow.pyfunc import scoring_server
from starlette.middleware.trustedhost import TrustedHostMiddleware

HOST = "127.0.0.1"
# What is wrong with an image; MLflow's own message only says that something was.
_OURS = "experiments.errors.UserError: "


def guarded(app: FastAPI) -> FastAPI:
    """The application, which refuses other hosts' names and keeps its tracebacks to itself."""

    @app.middleware("http")
    async def without_traceback(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        answer = await call_next(request)
        if answer.status_code < 400:
            return answer
        body = b"".join([part async for part in answer.body_iterator])  # type: ignore[attr-defined]
        return Response(_message(body), answer.status_code, media_type="application/json")

    # A web page whose name its owner points at this machine (DNS rebinding) could else ask here.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return app


def _message(body: bytes) -> bytes:
    try:
        said = json.loads(body)
    except ValueError:
        return body
    if isinstance(said, dict):
        last = str(said.pop("stack_trace", "")).strip().rpartition("\n")[2]
        if last.startswith(_OURS):
            said["message"] = last.removeprefix(_OURS)
    return json.dumps(said).encode()


def serve(model: str, port: int) -> None:
    """Answer until it is stopped. model: its address, in the store of MLFLOW_TRACKING_URI."""
    app = scoring_server.init(mlflow.pyfunc.load_model(model))
    uvicorn.run(guarded(app), host=HOST, port=port)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
