"""The review in a real browser, by the keyboard alone, and on a small screen."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.data.cells import read_cells
from experiments.ports import HOST, listening
from tests.browser import CHROMIUM, browser

ROOT = Path(__file__).parents[4]
KEYS = {"Enter": 13, "ArrowUp": 38, "ArrowDown": 40, "Backspace": 8}


@pytest.fixture
def started(make_cells, tmp_path):
    """The address of a review of five images, its folder, and a way to end it."""
    images = make_cells(train=4, dev=1, duplicates=0, leaked=0) / "cell_images/training_set"
    with listening(0) as sock:
        port = sock.getsockname()[1]
    folder = tmp_path / "labelled"
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "experiments", "review", str(images), "--run", "ctc"),
            *("--output", str(folder), "--port", str(port)),
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    try:
        assert running.stdout.readline().startswith(f"http://{HOST}:{port} (5 images, 0 of them")
        yield f"http://{HOST}:{port}/", folder, running
    finally:
        running.kill()
        running.wait(30)
        running.stdout.close()


def press(page, key):
    for kind in ("keyDown", "keyUp"):
        text = {"text": "\r"} if (key, kind) == ("Enter", "keyDown") else {}
        page.call(
            "Input.dispatchKeyEvent",
            **{"type": kind, "key": key, "code": key, **text},
            windowsVirtualKeyCode=KEYS[key],
        )


def at(page, number):
    page.wait_for(
        f"document.getElementById('progress').textContent.startsWith('Image {number} of')"
    )
    page.wait_for("image.complete && image.naturalWidth === 60")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_readings_are_confirmed_and_corrected_by_the_keyboard(started, tmp_path):
    address, folder, running = started
    with browser(tmp_path / "profile") as page:
        page.look(1280, 900)
        page.open(address)
        at(page, 1)
        asked = json.loads(page.ask("JSON.stringify(asked)"))
        # As it was read; what is typed takes the place of a reading.
        press(page, "Enter")
        at(page, 2)
        page.call("Input.insertText", text="-12.5")
        press(page, "Enter")
        at(page, 3)
        press(page, "ArrowDown")  # without an answer
        at(page, 4)
        press(page, "Backspace")
        press(page, "Enter")
        page.wait_for("status.className === 'wrong'")
        assert "there is no label" in page.ask("document.getElementById('status').textContent")
        at(page, 4)
        press(page, "ArrowUp")
        press(page, "ArrowUp")
        at(page, 2)
        assert page.ask("value.value") == "-12.5"
        page.call("Input.insertText", text="-12.6")
        page.click("#save")
        at(page, 3)

        labels = {row.filename: row.label for row in read_cells(folder, "0123456789.-").rows}
        assert labels == {asked[0]["name"]: asked[0]["value"], asked[1]["name"]: "-12.6"}
        # The first that has no answer is where it goes on.
        page.open(address)
        at(page, 3)
        assert "2 labelled" in page.ask("progress.textContent")
        page.look(400, 900, "dark")
        assert page.ask("document.body.scrollWidth <= innerWidth && innerWidth === 400")
        assert page.requests
        assert all(request.startswith(address) for request in page.requests)
        assert len(page.said) == 1  # the answer that was refused
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0
    said = running.stdout.read()
    assert "2 labelled images in" in said
    assert "start=ctc" not in said  # of two images nothing can be learnt
