"""A page for this machine alone: four files of a folder, and who is answered."""

import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from experiments.deploy.local_page import local_page
from tests.experiments.deploy.demo.test_application import ask

KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


@pytest.fixture
def app(tmp_path):
    for kind in KINDS:
        (tmp_path / f"page.{kind}").write_text(f"a {kind}")
    (tmp_path / "secret.html").write_text("a secret")

    async def answer(_):
        return JSONResponse("an answer")

    return local_page(tmp_path, [Route("/asked", answer)])


def test_it_has_its_four_files_and_what_it_asks_for_and_no_other(app):
    for kind, media in KINDS.items():
        path = "/" if kind == "html" else f"/page.{kind}"
        status, headers, body = ask(app, path)
        assert (status, body) == (200, f"a {kind}".encode())
        assert headers["content-type"].startswith(media)
    assert ask(app, "/asked")[2] == b'"an answer"'
    for path in ("/secret.html", "/../secret.html", "/page.py", "//secret.html"):
        assert ask(app, path)[0] == 404


def test_what_a_page_may_do_is_said_with_every_answer(app):
    for path in ("/", "/asked", "/secret.html"):
        headers = ask(app, path)[1]
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def test_only_names_of_this_machine_are_answered(app):
    for host, status in (("127.0.0.1:5000", 200), ("localhost:1", 200), ("evil.example", 400)):
        assert {ask(app, path, host=host)[0] for path in ("/", "/asked")} == {status}
