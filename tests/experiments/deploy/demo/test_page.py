"""The page in a real browser: written on by the mouse, given images, and what it asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from experiments.ports import HOST, listening
from tests.browser import CHROMIUM, browser
from tests.experiments.deploy.demo.test_application import huge

ROOT = Path(__file__).parents[4]
# The strokes of characters, from 0 to 1 across and down.
STROKES = {
    "1": [[(0, 0.3), (0.5, 0), (0.5, 1)]],
    "2": [[(0, 0.2), (0.3, 0), (0.7, 0.05), (0.8, 0.3), (0.35, 0.75), (0, 1), (0.9, 1)]],
    ".": [[(0.1, 0.97)]],
    "5": [[(0.8, 0), (0.1, 0), (0.1, 0.4), (0.5, 0.35), (0.8, 0.6), (0.5, 1), (0, 0.9)]],
}
# Across, in such characters.
WIDTHS = {"1": 1.0, "2": 1.4, ".": 0.5, "5": 1.2}
STATUS = "document.getElementById('status').textContent"
CARDS = "[...document.querySelectorAll('.card')].map((card) => card.innerText)"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of a demo that runs."""
    with listening(0) as sock:
        port = sock.getsockname()[1]
    folder = tmp_path_factory.mktemp("elsewhere")
    running = subprocess.Popen(
        [sys.executable, "-m", "experiments", "demo", "--port", str(port)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    try:
        assert running.stdout.readline().startswith(f"http://{HOST}:{port} (ctc and ce_stop")
        yield f"http://{HOST}:{port}/"
    finally:
        running.terminate()
        ended = running.wait(30)
        running.stdout.close()
    assert ended == 0


@pytest.fixture
def page(address, tmp_path):
    with browser(tmp_path) as opened:
        opened.look(1280, 900)
        opened.open(address)
        yield opened


def write(page, text):
    """Write on the paper by the mouse."""
    left, top, width, height = page.ask(
        "(() => { window.scrollTo(0, 0); const b = paper.getBoundingClientRect(); "
        "return [b.x, b.y, b.width, b.height]; })()"
    )
    at, size = left + 0.1 * width, 0.5 * height
    for character in text:
        for corners in STROKES[character]:
            points = [(at + 0.6 * size * x, top + 0.2 * height + size * y) for x, y in corners]
            path = points[:1]
            for (x, y), (to_x, to_y) in pairwise(points):
                path += [(x + (to_x - x) * i / 5, y + (to_y - y) * i / 5) for i in range(1, 6)]
            page.stroke(path)
        at += 0.6 * size * WIDTHS[character]


def cards(page, count):
    """The answers' texts, the newest first, once there are so many."""
    page.wait_for(f"document.querySelectorAll('.card').length === {count}")
    return page.ask(CARDS)


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_a_number_is_written_and_both_readers_read_it(page):
    page.click("#read")
    assert "nothing on the paper" in page.ask(STATUS)
    assert not any(request.endswith("/read") for request in page.requests)

    write(page, "12.5")
    page.click("#read")
    cards(page, 1)
    readings = "[...document.querySelectorAll('.reading')].map((e) => e.textContent)"
    assert page.ask(readings) == ["12.5", "12.5"]
    assert page.ask("document.querySelectorAll('tbody tr').length") == 20
    assert page.ask("document.querySelectorAll('.characters li').length") == 8
    # Of the classes a column, the attention, and the classes a position; all but the second are
    # above or beside the image as the reader has it.
    maps = page.ask("[...document.querySelectorAll('canvas.map')].map((c) => [c.width, c.height])")
    assert maps == [[30, 13], [30, 5], [5, 13]]
    # Each row is beside its name.
    heights = "[...document.querySelectorAll('{}')].map((e) => e.getBoundingClientRect().height)"
    assert page.ask(heights.format("canvas.map")) == page.ask(heights.format(".names"))
    seen = page.ask("[...document.querySelectorAll('canvas.seen')].map((c) => [c.width, c.height])")
    assert seen == [[60, 32]] * 2
    assert page.ask(STATUS).startswith("Drawing 1: ctc reads 12.5 with ")

    # One stroke less, and none.
    page.click("#undo")
    page.click("#read")
    cards(page, 2)
    assert "5" not in page.ask("document.querySelector('.reading').textContent")
    page.click("#clear")
    page.click("#read")
    assert "nothing on the paper" in page.ask(STATUS)
    assert page.said == []


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_images_have_a_card_each_and_nothing_is_asked_of_others(page, address, store, tmp_path):
    broken, large = tmp_path / "broken.png", tmp_path / "<b>large.png"
    broken.write_bytes(b"\x89PNG broken")
    large.write_bytes(huge(30_000))
    images = sorted(store.images.iterdir())[:3]
    page.choose("#files", [*images, broken, large])
    newest, second, *others = cards(page, 5)
    assert newest.startswith("<b>large.png")  # as a text, not as a part of the page
    assert "its pixels are far more than HEAD_TO_HEAD_MAX_PIXELS allows" in newest
    assert second.startswith("broken.png")
    assert "not a readable image (of no known format)" in second
    for card, image in zip(reversed(others), images, strict=True):
        assert card.startswith(image.name)
        assert card.count("probable readings") == 2
    assert page.ask("document.querySelectorAll('.card:nth-child(n + 3) tbody tr').length") == 60
    # Pictures are of the page's own pixels, and its colours change with the scheme.
    before = page.ask("document.querySelector('canvas.map').toDataURL()")
    page.look(400, 900, "dark")
    page.wait_for(f"document.querySelector('canvas.map').toDataURL() !== '{before}'")
    assert page.ask("document.body.scrollWidth <= innerWidth && innerWidth === 400")

    assert page.requests
    assert all(request.startswith(address) for request in page.requests)
    # All that the console has to say is what the server refused.
    assert len(page.said) == 2
    assert all("status of 400" in line for line in page.said)
