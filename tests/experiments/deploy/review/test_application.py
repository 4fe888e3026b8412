"""Whom the review answers, what it takes, and where it ends up, without a network."""

import asyncio
import json
import re
import shlex
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

import experiments.deploy.review
from experiments.data.cells import read_cells
from experiments.data.splits import make_split
from experiments.deploy.review import application as review
from experiments.deploy.review.application import application, to_learn
from experiments.deploy.review.doubtful import Doubtful
from experiments.deploy.review.labels import Labelled
from experiments.settings.config import run_config
from experiments.settings.presets import load_preset
from experiments.training.average import remaining
from experiments.training.epochs import count_batches
from experiments.training.run import load_data

FOLDER = Path(experiments.deploy.review.__file__).parent
JSON = "application/json"


IMAGES = "cell_images/training_set"


@pytest.fixture(scope="module")
def cells(make_cells):
    return make_cells(train=24, dev=6, val=8, human=2)


@pytest.fixture
def asked(cells, tmp_path):
    broken = tmp_path / "<b>broken.png"
    broken.write_bytes(b"none")
    files = [*sorted((cells / IMAGES).iterdir())[:2], broken]
    return [Doubtful(file, str(number), f"read {number}") for number, file in enumerate(files)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "labelled"


@pytest.fixture
def app(asked, folder):
    return application(asked, Labelled(folder, [one.image for one in asked]))


def ask(app, path, body=None, kind=JSON, host="127.0.0.1:5000"):
    """Status, headers and body. body: to post."""
    sent = []
    headers = [(b"host", host.encode()), (b"content-type", kind.encode())]
    scope = {
        **{"type": "http", "method": "GET" if body is None else "POST", "path": path},
        **{"raw_path": path.encode(), "query_string": b"", "http_version": "1.1"},
        "headers": headers,
    }

    waiting = [body or b""]

    async def receive():
        if not waiting:
            await asyncio.Event().wait()  # whoever asks stays
        return {"type": "http.request", "body": waiting.pop(), "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent)


def label(app, number, value, **how):
    return ask(app, "/label", json.dumps({"number": number, "value": value}).encode(), **how)


def test_it_shows_what_is_asked_and_keeps_what_is_answered(app, asked, folder):
    shown = json.loads(ask(app, "/asked")[2])
    assert shown["folder"] == str(folder)
    assert shown["images"][1] == {
        **{"name": asked[1].image.name, "value": "1", "why": "read 1", "label": None}
    }
    status, headers, content = ask(app, "/image/1")
    assert (status, headers["content-type"]) == (200, "image/png")
    with Image.open(BytesIO(content)) as sent, Image.open(asked[1].image) as original:
        assert sent.tobytes() == original.convert("RGB").tobytes()
    status, _, body = label(app, 1, " 12.5 ")
    assert (status, json.loads(body)) == (200, {"labelled": 1})
    (row,) = read_cells(folder, "0123456789.-").rows
    assert (row.filename, row.label) == (asked[1].image.name, "12.5")
    assert json.loads(ask(app, "/asked")[2])["images"][1]["label"] == "12.5"


@pytest.mark.parametrize(
    ("number", "value"),
    [(0, ""), (0, "  "), (0, "1\n2"), (0, "1" * 101), (3, "1"), (-1, "1"), ("0", "1"), (0, None)],
)
def test_what_is_no_answer_changes_nothing(app, folder, number, value):
    status, _, body = label(app, number, value)
    assert status == 400
    assert json.loads(body)["message"]
    assert not folder.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 9_000, b'"' + b"a" * 20_000 + b'"'])
def test_nor_does_what_is_no_json(app, folder, body):
    assert ask(app, "/label", body)[0] == 400
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_of_somebody_else_cannot_answer(app, folder, kind):
    # These are the kinds that a browser sends elsewhere without asking first.
    assert label(app, 0, "1", kind=kind)[0] == 415
    assert not folder.exists()


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example:5000"])
def test_other_hosts_are_refused(app, folder, host):
    assert label(app, 0, "1", host=host)[0] == 400
    for path in ("/", "/asked", "/image/0"):
        status, _, body = ask(app, path, host=host)
        assert status == 400
        assert b"jpg" not in body
    assert not folder.exists()


def test_an_image_that_cannot_be_shown_is_one_line(app):
    status, _, body = ask(app, "/image/2")
    assert status == 400
    assert "not a readable image" in json.loads(body)["message"]
    assert ask(app, "/image/3")[0] == 404
    assert ask(app, "/image/../0")[0] == 404


@pytest.mark.parametrize("path", ["/", "/page.js", "/asked", "/image/0", "/nothing"])
def test_every_answer_forbids_what_is_not_from_here(app, path):
    headers = ask(app, path)[1]
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


def test_the_command_refuses_what_it_cannot_do(cli, cells, tmp_path):
    output = ("--output", tmp_path / "new", "--out", tmp_path)
    for given in ((), (cells / IMAGES, "--data", cells)):
        code, _, said = cli("review", *given, *output)
        assert (code, said.count("\n")) == (2, 1)
        assert said.startswith("error: review: give images")
    for given in (("--run", "ctc"), ("--accuracy", "0.9")):
        code, _, said = cli("review", "--data", cells, *given, *output)
        assert (code, said.count("\n")) == (2, 1)
        assert "leave out --run and --accuracy" in said
    (tmp_path / "new").write_text("mine")
    code, _, said = cli("review", cells / IMAGES, "--run", "ctc", *output)
    assert (code, said.count("\n")) == (2, 1)
    assert "name another folder" in said
    assert (tmp_path / "new").read_text() == "mine"


def settings_in(command):
    """What a command sets, and what follows its other options."""
    words = shlex.split(command)
    given = dict(w.split("=", 1) for option, w in pairwise(words) if option == "--set")
    return given, {option: w for option, w in pairwise(words) if option.startswith("--")}


def test_the_command_to_learn_has_the_settings_that_were_measured(tmp_path):
    measured = [
        point for point in load_preset("fine_tuning").points("1") if point.get("start") == "ctc"
    ]
    assert len(measured) == 3
    folder, out = tmp_path / "a b", tmp_path / "it's out"
    for point in measured:
        labelled = round(point["train_images"] / 0.72)  # a fifth is the test part, and so on
        given, options = settings_in(to_learn(folder, labelled, out))
        assert (options["--data"], options["--out"]) == (str(folder), str(out))
        assert {key: given[key] for key in ("epochs", "ema", "start")} == {
            key: str(point[key]) for key in ("epochs", "ema", "start")
        }


@pytest.mark.parametrize("count", [10, 11, 20, 44, 45, 60, 89, 100, 200])
def test_a_few_labelled_images_are_enough_for_the_command(make_cells, tmp_path, count):
    folder = tmp_path / "labelled"
    images = sorted((make_cells(train=count) / IMAGES).iterdir())
    labelled = Labelled(folder, images)
    for number in range(count):
        labelled.label(number, str(number))
    given, options = settings_in(to_learn(folder, count, tmp_path))
    settings = json.loads(Path(options["--config"]).read_text())
    config = run_config(settings, {k: json.loads(v) for k, v in given.items() if k != "start"})
    split = make_split(load_data(config, folder, tmp_path), config)
    assert split.test
    assert split.val
    batches = count_batches(config, len(split.train))
    assert remaining(config.ema, batches * config.epochs) < 0.1


def test_of_a_handful_nothing_can_be_learnt(tmp_path):
    assert to_learn(tmp_path, 9, tmp_path) == ""


@pytest.mark.parametrize("learns", [True, False])
def test_what_it_says_in_the_end(asked, folder, monkeypatch, capsys, tmp_path, learns):
    monkeypatch.setattr(review, "answer_on", lambda *_: None)
    labelled = Labelled(folder, [one.image for one in asked])
    labelled.label(0, "1")
    monkeypatch.setattr(review, "_FEWEST", 1)
    review.serve(asked, folder, 0, tmp_path if learns else None)
    said = capsys.readouterr().out
    # Readers of the suite have learnt published cells: they are no start for those in doubt.
    assert ("start=ctc" in said) == learns
    assert (str(folder / "labels.csv") in said) == (not learns)
