"""Whom the demo answers, and with what, without a network."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import experiments.deploy.demo
from experiments.deploy.demo.answer import answer, load_shown
from experiments.deploy.demo.application import application
from experiments.ports import listening

FOLDER = Path(experiments.deploy.demo.__file__).parent


@pytest.fixture(scope="module")
def readers(store):
    return [load_shown(name, store.out) for name in ("ctc", store.runs["latent_lstm"])]


@pytest.fixture(scope="module")
def app(readers):
    return application(readers)


def ask(app, path, parts=None, host="127.0.0.1:5000"):
    """Status, headers and body. parts: of a body to post."""
    sent = []
    scope = {
        **{"type": "http", "method": "GET" if parts is None else "POST", "path": path},
        **{"raw_path": path.encode(), "query_string": b"", "http_version": "1.1"},
        "headers": [(b"host", host.encode())],
    }
    waiting = list(parts or [b""])

    async def receive():
        if not waiting:
            await asyncio.Event().wait()  # whoever asks stays
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent)


def cell():
    content = BytesIO()
    Image.new("L", (60, 34), 200).save(content, format="PNG")
    return content.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content)
    )  # fmt: skip


def huge(side):
    """A PNG file of a few bytes that says it has this many pixels each way."""
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_both_readers_answer_in_order(app, readers):
    content = cell()
    status, _, body = ask(app, "/read", [content[:50], content[50:]])
    assert status == 200
    expected = {"readers": [answer(reader, content) for reader in readers]}
    assert json.loads(body) == json.loads(json.dumps(expected))
    status, _, body = ask(app, "/readers")
    assert status == 200
    assert json.loads(body) == [{"name": r.name, "about": r.about} for r in readers]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"\x89PNG broken", "of no known format"),
        (cell()[:-30], "truncated|broken|incomplete"),
        (huge(30_000), "its pixels are far more than HEAD_TO_HEAD_MAX_PIXELS allows"),
        (huge(5_000), "5000x5000 pixels are no cell: 25,000,000 pixels are more than the limit"),
    ],
    ids=["empty", "no image", "half an image", "huge", "large"],
)
def test_what_cannot_be_read_is_one_line_without_a_path(app, content, why):
    status, headers, body = ask(app, "/read", [content])
    assert status == 400
    assert headers["content-type"] == "application/json"
    message = json.loads(body)["message"]
    assert message.startswith("the image: not a readable image (")
    assert re.search(why, message)
    assert "/" not in message
    assert "\n" not in message


def test_no_more_is_held_than_an_image_can_have(app, monkeypatch):
    monkeypatch.setenv("HEAD_TO_HEAD_MAX_PIXELS", "100")
    part = bytes(300)
    status, _, body = ask(app, "/read", [part] * 2)
    assert (status, b"not a readable image" in body) == (400, True)
    # 800 bytes are the limit: the parts behind it are not asked for.
    parts = [part] * 5
    status, _, body = ask(app, "/read", parts)
    assert status == 400
    assert json.loads(body)["message"].startswith("the image: 900 bytes are no cell")


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:5000", "127.0.0.1.evil.example"]
)
def test_other_hosts_are_refused(app, host):
    for path, parts in (("/", None), ("/readers", None), ("/read", [cell()])):
        status, _, body = ask(app, path, parts, host)
        assert status == 400
        assert b"ctc" not in body
        assert b"<html" not in body


@pytest.mark.parametrize(
    "path", ["/", "/page.js", "/page.css", "/local_page.css", "/page.svg", "/readers", "/nothing"]
)
def test_every_answer_forbids_what_is_not_from_here(app, path):
    status, headers, _ = ask(app, path)
    assert status == (404 if path == "/nothing" else 200)
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_has_no_address_outside_and_nothing_inline(app):
    files = sorted(FOLDER.glob("page.*"))
    assert len(files) == 4
    for file in files:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import", text), file
    page = ask(app, "/")[2].decode()
    assert not re.search(r"<style|<script>|style=|\son[a-z]+=", page)
    for name in re.findall(r'(?:href|src)="([^"]+)"', page):
        assert ask(app, f"/{name}")[0] == 200


def test_the_command_refuses_what_it_cannot_do(cli, tmp_path):
    for runs in (["ctc"], ["ctc", "ctc"], ["ctc", "ce_stop", "champion"]):
        options = [word for run in runs for word in ("--run", run)]
        code, _, said = cli("demo", *options, "--out", tmp_path)
        assert code == 2
        assert said.startswith(f"error: --run {' --run '.join(runs)}: two different readers")
        assert said.count("\n") == 1
    with listening(0) as sock:
        port = sock.getsockname()[1]
        code, _, said = cli("demo", "--port", port, "--out", tmp_path)
    assert code == 2
    assert re.fullmatch(rf"error: port {port}: .*; choose another\n", said)
