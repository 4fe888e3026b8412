"""A web server on 127.0.0.1 that does what a test tells it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Web:
    """Serves `files` by path, with Range and ETag as RFC 9110 has them unless told otherwise.

    ranges: whether Range is heeded. etag: the version of every file; none where empty.
    sized: whether the length of an answer is told (else it is sent in chunks).
    span: the most bytes that an answer to a Range has.
    script: what to do with the next requests, one each, instead of serving the whole file.
    requests: the paths and headers that came. sent: how many bytes of content each got.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges = True
        self.etag = '"one"'
        self.sized = True
        self.span: int | None = None
        self.script: list[Callable[[Handler], None] | None] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.sent: list[int] = []
        self.released = threading.Event()
        web = self

        class Bound(Handler):
            owner = web

        self.server = Server(("127.0.0.1", 0), Bound)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def url(self, path: str, content: bytes | None = None) -> str:
        """The address of a file; with content, the file is there from now on."""
        if content is not None:
            self.files[path] = content
        return f"{self.address}/{path}"

    @staticmethod
    def cut(most: int) -> Callable[[Handler], None]:
        """Hang up after so many bytes."""
        return lambda handler: handler.serve(most)

    @staticmethod
    def status(code: int, **headers: str) -> Callable[[Handler], None]:
        """Answer with nothing but this."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return lambda handler: handler.answer(code, given)

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    owner: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        web = self.owner
        web.requests.append((self.path.lstrip("/"), dict(self.headers)))
        web.sent.append(0)
        self.number = len(web.sent) - 1
        step = web.script.pop(0) if web.script else None
        (step or Handler.serve)(self)

    def serve(self, most: int | None = None, then: Callable[[], object] | None = None):
        """Answer as asked. most: send only so many bytes, do `then`, and hang up."""
        web = self.owner
        content = web.files.get(self.path.lstrip("/"))
        if content is None:
            return self.answer(404)
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        current = self.headers.get("If-Range") in (None, web.etag)
        begin = int(asked[1]) if asked and web.ranges and current else 0
        if begin >= len(content) > 0:
            return self.answer(416, {"Content-Range": f"bytes */{len(content)}"})
        end = min(len(content), begin + web.span) if begin and web.span else len(content)
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{len(content)}")
        if web.etag:
            self.send_header("ETag", web.etag)
        if web.sized:
            self.send_header("Content-Length", str(end - begin))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = content[begin:end][:most]
        web.sent[self.number] = len(body)
        if web.sized:
            self.wfile.write(body)
        else:
            for at in range(0, len(body), 1000):
                piece = body[at : at + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if most is None:
                self.wfile.write(b"0\r\n\r\n")
        if most is not None:
            self.wfile.flush()
            if then:
                then()
            self.close_connection = True
        return None

    def answer(self, status: int, headers: dict[str, str] | None = None):
        """Say this, and a page about it."""
        self.send_response(status)
        for name, value in ({"Content-Length": "7"} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"<html/>")

    def log_message(self, format, *arguments):
        pass


@pytest.fixture
def web(monkeypatch) -> Iterator[Web]:
    """The server, reached directly whatever proxy the machine has."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    web = Web()
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield web
    web.released.set()
    web.server.shutdown()
    thread.join()
    web.server.server_close()
