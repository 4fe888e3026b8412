"""A page for this machine alone: four files of a folder, and who is answered."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.responses import JSONResponse
from starlette.routing import Route

from experiments.deploy import local_page as module
from experiments.deploy.local_page import local_page
from tests.contrast import contrast, palettes
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_colours_stand_out_from_each_other(scheme):
    style = Path(module.__file__).with_suffix(".css").read_text()
    colours = palettes(style)[scheme]
    for ground in ("page", "card"):
        for text in ("text", "quiet", "wrong"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["accent"], colours[ground]) >= 3  # drawn: bars, maps, the focus
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, *tags):
        return [attributes for tag, attributes in self.found if tag in tags]


@pytest.mark.parametrize("name", ["demo", "review"])
def test_who_cannot_see_it_is_told_what_each_part_is(name):
    page = Elements((Path(module.__file__).parent / name / "page.html").read_text())
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("h1")) == len(page.of("main")) == len(page.of("title")) == 1
    labels = {label["for"] for label in page.of("label")}
    assert {field["id"] for field in page.of("input", "select", "textarea")} == labels
    assert all("alt" in image for image in page.of("img"))
    assert all(drawn.get("aria-label") for drawn in page.of("canvas"))
    assert any(part.get("role") == "status" for part in page.of("p"))
    assert "user-scalable" not in str(page.of("meta"))
