"""Whom the server answers, and what it says of an error."""

import asyncio
import json

import pytest
from fastapi import FastAPI, Response

from experiments.deploy.server import guarded
from experiments.errors import UserError


@pytest.fixture(scope="module")
def app():
    made = FastAPI()

    @made.get("/ping")
    async def ping():
        return Response("pong")

    @made.get("/wrong")
    async def wrong():
        said = {"error_code": "BAD_REQUEST", "message": "why", "stack_trace": "/home/a/b.py"}
        return Response(json.dumps(said), 400)

    @made.get("/ours")
    async def ours():
        trace = f"Traceback: /home/a/b.py\n{UserError.__module__}.UserError: the image: is broken\n"
        return Response(json.dumps({"message": "something", "stack_trace": trace}), 400)

    @made.get("/words")
    async def words():
        return Response("no JSON", 504)

    return guarded(made)


def ask(app, path, host="127.0.0.1:5000"):
    """The status and the body, without a network."""
    sent = []
    scope = {
        **{"type": "http", "method": "GET", "path": path, "raw_path": path.encode()},
        **{"query_string": b"", "headers": [(b"host", host.encode())], "http_version": "1.1"},
    }

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent)
    length = dict(sent[0]["headers"]).get(b"content-length")
    assert length is None or int(length) == len(body)
    return sent[0]["status"], body


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:5000", "localhost", "localhost:8"])
def test_this_machine_is_answered(app, host):
    assert ask(app, "/ping", host) == (200, b"pong")


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:5000", "127.0.0.1.evil.example"]
)
def test_other_hosts_are_refused(app, host):
    status, body = ask(app, "/ping", host)
    assert status == 400
    assert b"pong" not in body


def test_an_error_says_why_and_not_where(app):
    status, body = ask(app, "/wrong")
    assert status == 400
    assert json.loads(body) == {"error_code": "BAD_REQUEST", "message": "why"}
    status, body = ask(app, "/ours")
    assert status == 400
    assert json.loads(body) == {"message": "the image: is broken"}
    assert ask(app, "/words") == (504, b"no JSON")
