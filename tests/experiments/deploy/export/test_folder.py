"""A model's folder for elsewhere: what stands in it, and what its forms are measured on."""

import csv
import itertools
import json
import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from experiments.deploy.export import folder as module
from experiments.deploy.export import measure
from experiments.deploy.export.folder import export
from experiments.deploy.model import load_model, pixels_of
from experiments.deploy.reading.onnx_reader import OnnxReader
from experiments.deploy.reading.predict import open_reader, predict
from experiments.errors import UserError
from experiments.readers import reader_folder, reader_names
from experiments.settings.config import run_config
from experiments.training.learnt import Learnt
from tests.command_line import one_line
from tests.experiments.deploy.export.test_onnx_file import assert_alike, onnx_of
from tests.experiments.training.test_learnt import made

NAMES = {"README.md", "config.json", "model.onnx", "weights.safetensors"}
# The published data as `make data` leaves it.
CELLS = os.environ.get("CELLS", "")


def by_the_readme(file, session, charset):
    """A reading by nothing but the folder's own words, for the columns of a CTC model."""
    _, channels, height, width = session.get_inputs()[0].shape
    assert channels == 1
    rgb = np.asarray(Image.open(file).convert("RGB"), dtype=float)
    grey = (rgb @ [0.299, 0.587, 0.114]).round().astype(np.uint8)
    grey = np.pad(grey, ((9, 9), (0, 0)))
    small = Image.fromarray(grey).resize((width, height), Image.Resampling.BILINEAR)
    images = np.asarray(small, dtype=np.float32)[None, None] / 255
    (steps,) = session.run(["steps"], {"images": images})
    merged = [key for key, _ in itertools.groupby(steps[0].argmax(axis=-1))]
    return "".join(charset[c] for c in merged if c < len(charset))


@pytest.fixture(scope="module")
def exported(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    return folder, export(store.artifacts("columns"), folder, store.data, store.out)


@pytest.mark.slow
def test_the_folder_is_enough_to_read_by(store, exported):
    folder, made = exported
    assert made.difference < 1e-5
    session = onnx_of(folder / "model.onnx")
    settings = json.loads((folder / "config.json").read_text())
    files = sorted(store.images.iterdir())
    expected = [row.value for row in predict(open_reader(store.artifacts("columns")), files)]
    found = [by_the_readme(file, session, settings["charset"]) for file in files]
    assert found == expected


@pytest.mark.slow
def test_the_folder_holds_the_run_and_a_word_on_it(store, exported, tmp_path):
    folder, artifacts = exported[0], store.artifacts("columns")
    names = {*NAMES, "model.int8.onnx"}
    assert {file.name for file in folder.iterdir()} == names
    for name in ("config.json", "weights.safetensors"):
        assert (folder / name).read_bytes() == (artifacts / name).read_bytes()
    assert run_config(json.loads((folder / "config.json").read_text()), {}).decoder == "columns"
    readme = (folder / "README.md").read_text()
    for words in (
        "(N, 1, 32, 80)",
        "`0123456789.-`",
        "Best path",
        "13 classes",
        "80x32",
        "9 rows of black",
    ):
        assert words in readme
    # As open to others as any new file.
    (tmp_path / "new").touch()
    mode = (tmp_path / "new").stat().st_mode
    assert {file.stat().st_mode for file in folder.iterdir()} == {mode}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.onnx", "model.int8.onnx"])
def test_onnx_tells_nothing_of_this_machine(exported, name):
    content = (exported[0] / name).read_bytes()
    assert module.__file__.encode() not in content
    assert not re.search(rb"\.py\b", content)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


@pytest.mark.slow
def test_from_the_command_line(cli, store, tmp_path):
    run = ("--run", store.runs["latent_lstm"], "--out", store.out)
    folder = tmp_path / "model"
    code, out, _ = cli("export", *run, "--output", folder)
    assert (code, str(folder) in out, out.count("\n")) == (0, True, 1)
    assert {file.name for file in folder.iterdir()} == NAMES
    trained = load_model(store.artifacts("latent_lstm"))
    cells = [pixels_of(file, trained.size) for file in sorted(store.images.iterdir())]
    assert_alike(trained, folder / "model.onnx", torch.stack(cells) / 255)
    # Nothing is overwritten, and nothing is left behind.
    kept = (folder / "README.md").stat().st_mtime_ns
    one_line(cli("export", *run, "--output", folder), folder, "another")
    assert (folder / "README.md").stat().st_mtime_ns == kept
    one_line(cli("export", *run, "--output", tmp_path / "no/model"), tmp_path / "no")
    champion = ("--run", "champion", "--out", store.out)
    one_line(cli("export", "--output", tmp_path / "x", *champion), "champion")
    one_line(cli("export", *run, "--output", tmp_path / "x", "--strict"), "--strict", "DATA")
    assert list(tmp_path.iterdir()) == [folder]


def test_a_model_that_cannot_be_written_is_refused(store, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no such operator\nand a long story")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(UserError, match="as ONNX \\(no such operator\\)"):
        export(store.artifacts("columns"), tmp_path / "model", None, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_onnx_that_says_something_else_is_refused(store, exported, tmp_path, monkeypatch):
    # The run's weights, one of them changed, against the ONNX model as it was.
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    weights = load_file(store.artifacts("columns") / "weights.safetensors")
    weights["characters.bias"][3] += 0.1
    save_file(weights, artifacts / "weights.safetensors")
    settings = (store.artifacts("columns") / "config.json").read_bytes()
    (artifacts / "config.json").write_bytes(settings)
    assert load_model(artifacts)

    def write_the_old(_, file):
        file.write_bytes((exported[0] / "model.onnx").read_bytes())
        return ["steps"]

    monkeypatch.setattr(module, "write_onnx", write_the_old)
    with pytest.raises(UserError, match=r"differs from torch by 0\.\d+;"):
        export(artifacts, tmp_path / "model", None, tmp_path)
    assert list(tmp_path.iterdir()) == [artifacts]


@pytest.mark.slow
def test_the_table_counts_what_each_form_reads_of_the_leak_free_test_part(store, exported):
    folder, made = exported
    artifacts = store.artifacts("columns")
    with (artifacts / "images.csv").open(newline="") as file:
        clean = {r["filename"] for r in csv.DictReader(file) if r["clean"] == "1"}
    with (artifacts / "predictions.csv").open(newline="") as file:
        truths = {
            row["filename"]: row["truth"]
            for row in csv.DictReader(file)
            if row["split"] == "test" and row["filename"] in clean
        }
    assert 0 < len(truths) < 6  # one of the test images is a copy
    files = [store.images / name for name in truths]
    readers = [open_reader(artifacts)]
    readers += [OnnxReader(folder / name) for name in ("model.onnx", "model.int8.onnx")]
    expected = [
        [row.value == truths[row.filename] for row in predict(reader, files)] for reader in readers
    ]
    assert [form.right.tolist() for form in made.table.forms] == expected
    assert [form.size for form in made.table.forms] == [
        (folder / name).stat().st_size
        for name in ("weights.safetensors", "model.onnx", "model.int8.onnx")
    ]
    assert made.table.text() in (folder / "README.md").read_text()
    assert re.search(r"`model.int8.onnx`: \w+", (folder / "README.md").read_text())


@pytest.mark.slow
def test_data_that_the_run_was_not_tested_on_is_refused(cli, store, make_cells, tmp_path):
    other = make_cells(train=24, dev=6, val=8, human=2, seed=1)
    output = ("--out", store.out, "--output", tmp_path / "model")
    command = ("export", "--run", store.runs["columns"], "--data", other, *output)
    one_line(cli(*command), other, "trained on", "DATA")
    assert list(tmp_path.iterdir()) == []
    # A reader of the suite has learnt none of these.
    code, printed, _ = cli("export", "--run", "ctc", "--data", other, *output)
    assert (code, "| ONNX, int8 |" in printed) == (0, True)


@pytest.mark.slow
def test_a_form_that_loses_too_much_is_named_and_ends_a_strict_export(
    cli, store, exported, monkeypatch
):
    # The folder is made once: what the command says of it is asked here.
    monkeypatch.setattr(module, "export", lambda *_: exported[1])
    run = ("export", "--run", store.runs["columns"], "--out", store.out, "--data", store.data)
    code, out, errors = cli(*run, "--output", "new", "--strict")
    assert (code, errors, "| ONNX, int8 |" in out) == (0, "", True)
    # As if each form had to gain a hundred points.
    monkeypatch.setattr(measure, "MOST_LOST", -1.01)
    code, _, errors = cli(*run, "--output", "new")
    assert code == 0
    assert errors.splitlines() == [
        f"{form} loses more than 0.5 points of the test part" for form in ("ONNX", "ONNX, int8")
    ]
    assert cli(*run, "--output", "new", "--strict")[0] == 1


@pytest.mark.long
@pytest.mark.skipif(not CELLS, reason="set CELLS to the folder of the published data")
@pytest.mark.parametrize("name", reader_names())
def test_the_readers_of_the_suite_lose_at_most_half_a_point(name, tmp_path):
    made = export(reader_folder(name), tmp_path / "model", Path(CELLS), tmp_path / "out")
    assert made.table.too_bad() == []
    torch_right, onnx_right, _ = (form.right for form in made.table.forms)
    assert (torch_right == onnx_right).mean() > 0.998
    card = json.loads((reader_folder(name) / "card.json").read_text())
    assert [int(torch_right.sum()), len(torch_right)] == card["right_of"]["test_clean"]
    size = (tmp_path / "model/model.int8.onnx").stat().st_size
    assert size < 0.6 * (reader_folder(name) / "model.onnx").stat().st_size


def test_a_reader_of_the_suite_is_measured_on_what_it_has_not_learnt(tmp_path, monkeypatch):
    # Another copy of its data set has another digest; other lists may judge by what it learnt.
    (tmp_path / "card.json").write_text('{"data_digest": "another"}')
    images, split = made(train="ab", val="v", test="tu")
    seen = Learnt(frozenset("ab"), frozenset("v"))
    monkeypatch.setattr(module, "read_learnt", lambda _: seen)
    assert module._same_data(tmp_path, images, split)
    seen = Learnt(frozenset("abt"), frozenset("v"))
    assert not module._same_data(tmp_path, images, split)
