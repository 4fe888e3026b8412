"""Readers that come with the suite: made of runs, read with at once, as good as their cards."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy.stats import binomtest

from experiments import readers as shipped_readers
from experiments.__main__ import main
from experiments.data.decode import decode
from experiments.data.synthetic.strings import ensure_strings
from experiments.deploy import trained
from experiments.deploy.model import load_model
from experiments.deploy.reading.onnx_reader import OnnxReader
from experiments.deploy.reading.threshold import reject_threshold
from experiments.readers import reader_folder, reader_names
from experiments.settings.config import run_config
from experiments.training.learnt import learnt_by, read_learnt
from experiments.training.run import load_data
from tests.command_line import one_line

# The published data as `make data` leaves it; the numbers of the cards are counted again there.
CELLS = os.environ.get("CELLS", "")
shipped = pytest.mark.parametrize("name", reader_names())


@pytest.fixture(scope="module")
def packed(store, tmp_path_factory):
    """A reader of the run with columns; ONNX takes its time, so it is made once."""
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shipped_readers, "FOLDER", folder)
        patch.setattr("sys.argv", pack_command(store))
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return folder / "ctc"


def pack_command(store):
    run = ("--run", store.runs["columns"], "--out", store.out)
    about = ("--name", "ctc", "--data", store.data, "--command", "make something")
    return [str(part) for part in ("head-to-head", "pack", *run, *about)]


@pytest.fixture
def ctc(packed, tmp_path, monkeypatch):
    """That reader where readers stand, and no other."""
    monkeypatch.setattr(shipped_readers, "FOLDER", tmp_path / "readers")
    return shutil.copytree(packed, tmp_path / "readers/ctc")


@pytest.mark.slow
def test_a_reader_is_its_run_in_half_precision_and_holds_no_label(ctc, store):
    artifacts = store.artifacts("columns")
    whole, half = (load_file(folder / "weights.safetensors") for folder in (artifacts, ctc))
    assert whole.keys() == half.keys()
    for key, tensor in whole.items():
        wanted = tensor.half() if tensor.dtype == torch.float32 else tensor
        assert torch.equal(half[key], wanted)
        assert half[key].dtype == wanted.dtype
    names = {file.name for file in ctc.iterdir()}
    assert names == {
        *("README.md", "card.json", "config.json", "learnt.csv", "validation.csv"),
        *("model.onnx", "weights.safetensors"),
    }
    images = {file.name for file in store.images.iterdir()}
    contents = [file.read_bytes() for file in ctc.iterdir()]
    assert not any(image.encode() in content for image in images for content in contents)


@pytest.mark.slow
def test_its_card_counts_what_it_reads(ctc, store, tmp_path):
    model, objective, _ = load_model(ctc)
    config = run_config(json.loads((ctc / "config.json").read_text()), {})
    images = load_data(config, store.data, tmp_path)
    card = json.loads((ctc / "card.json").read_text())
    with (store.artifacts("columns") / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    place = {(row.part == "validation", row.filename): i for i, row in enumerate(images.rows)}
    right = {"val": [], "test": []}
    for row in rows:
        if row["split"] in right:
            at = place[False, row["filename"]]
            scores = model(images.pixels[[at]].float() / 255)
            right[row["split"]].append(objective.decode(scores)[0].text == row["truth"])
    for part, found in right.items():
        assert card["right_of"][part] == [sum(found), len(found)]
    assert f"digest `{images.digest}`" in (ctc / "README.md").read_text()


@pytest.mark.slow
def test_its_confidences_reject_as_its_runs_do(ctc, store):
    with (store.artifacts("columns") / "predictions.csv").open(newline="") as file:
        of_run = [r for r in csv.DictReader(file) if r["split"] == "val"]
    with (ctc / "validation.csv").open(newline="") as file:
        of_reader = list(csv.DictReader(file))
    # Half precision changes a confidence in its fourth digit.
    before = sorted((float(r["confidence"]) for r in of_run), reverse=True)
    after = [float(r["confidence"]) for r in of_reader]
    assert after == pytest.approx(before, rel=0.02, abs=1e-4)


def test_a_threshold_is_the_same_from_a_run_and_from_its_reader(tmp_path):
    sure = [(1 - number / 400, int(number < 250)) for number in range(300)]
    run, reader = tmp_path / "run", tmp_path / "reader"
    run.mkdir()
    reader.mkdir()
    heads = "split,filename,truth,reading,confidence,label_loss\n"
    rows = [f"val,{n}.png,1,{1 if right else 7},{c:.6g},0\n" for n, (c, right) in enumerate(sure)]
    (run / "predictions.csv").write_text(heads + "".join(rows) + "test,x.png,1,7,1,0\n")
    rows = [f"val,{n}.png,{n},0,train,0\n" for n in range(len(sure))]
    (run / "images.csv").write_text("split,filename,group,clean,part,changed\n" + "".join(rows))
    rows = [f"{c:.6g},{right}\n" for c, right in sure]
    (reader / "validation.csv").write_text("confidence,right\n" + "".join(rows))
    found = reject_threshold(reader, 0.95)
    assert found == reject_threshold(run, 0.95)
    assert 0 < found.kept.kept < 300


@pytest.mark.slow
def test_without_a_champion_it_reads_at_once_and_says_so(cli, ctc, store, tmp_path):
    for out in (tmp_path / "none", store.out):
        code, said, errors = cli("predict", store.images, "--out", out)
        assert code == 0
        assert (f"no champion in {out}" in errors, "README.md" in errors) == (True, True)
        by_name = cli("predict", store.images, "--out", out, "--run", "ctc")
        assert (by_name[1], "no champion" in by_name[2]) == (said, False)
    assert len(said.splitlines()) == 1 + len(list(store.images.iterdir()))
    assert not (tmp_path / "none").exists()
    assert ctc.is_dir()


@pytest.mark.slow
def test_what_was_asked_for_by_name_is_not_replaced(cli, ctc, store, tmp_path):
    champion = ("--run", "champion", "--out", store.out)
    one_line(cli("predict", store.images, *champion), "no champion", "register")
    one_line(cli("predict", store.images, "--run", "ctd", "--out", store.out), "ctd")
    # Nor is a store that cannot be read passed over.
    (tmp_path / "mlflow.db").write_text("no database")
    one_line(cli("predict", store.images, "--out", tmp_path), tmp_path)
    assert ctc.is_dir()


@pytest.mark.slow
def test_none_is_written_over(cli, ctc, store):
    before = (ctc / "card.json").stat().st_mtime_ns
    one_line(cli(*pack_command(store)[1:]), ctc, "another name")
    assert (ctc / "card.json").stat().st_mtime_ns == before


# --- those that are there


@shipped
def test_a_card_says_what_its_counts_give(name):
    folder = reader_folder(name)
    card = json.loads((folder / "card.json").read_text())
    config = run_config(json.loads((folder / "config.json").read_text()), {})
    assert config.run_hash(card["data_digest"]) == card["run_hash"]
    page = (folder / "README.md").read_text()
    assert page == trained.card_text(card, config)
    for right, of in card["right_of"].values():
        interval = binomtest(right, of).proportion_ci(0.95, method="wilson")
        low, high = (f"{100 * bound:.1f}" for bound in interval)
        assert f"| {right} | {of} | {100 * right / of:.1f} ({low} to {high}) |" in page
    with (folder / "validation.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # Of identical images one stands for all: a few less than the card counts, and none is made up.
    right, of = card["right_of"]["val"]
    found = sum(row["right"] == "1" for row in rows)
    assert 0.9 * of < len(rows) < of
    assert 0.9 * right < found <= right
    assert 0 < len(rows) - found <= of - right


def test_a_card_of_other_data_says_nothing_of_the_published():
    config = run_config({"image": {"channels": 3}}, {})
    card = {"name": "mine", "command": "make speedrun", "dataset": "invoices", "published": False}
    card |= {"data_digest": "d", "trained_on": 80, "right_of": {}, "run_hash": "h"}
    page = trained.card_text(card, config)
    assert "80 images of the data set `invoices`, digest `d`" in page
    assert "colour pixels" in page
    for word in ("published", "mochangheng", "printed forms", "grey"):
        assert word not in page
    of_published = trained.card_text(card | {"published": True}, config)
    assert "80 images of the published data set (`make data`)" in of_published
    assert "mochangheng" in of_published


@shipped
def test_one_is_small_and_reads_by_onnx_what_it_reads_by_torch(name, tmp_path):
    folder = reader_folder(name)
    for file in ("weights.safetensors", "model.onnx"):
        assert (folder / file).stat().st_size <= 2_000_000
    by_torch, by_onnx = load_model(folder), OnnxReader(folder / "model.onnx")
    assert by_onnx.size == tuple(by_torch.size.model_dump().values())
    made = ensure_strings(tmp_path, counts={"train": 1, "val": 1, "dev": 60})
    files = sorted(made.rglob("*.jpg"))
    shape = by_onnx.size
    pixels = np.stack([decode(file, *shape).pixels for file in files])
    expected, found = by_torch.read(pixels), by_onnx.read(pixels)
    assert len({text for text, *_ in expected}) > 20
    for (text, sure, each), meant in zip(found, expected, strict=True):
        assert text == meant.text
        assert sure == pytest.approx(meant.confidence, rel=1e-3, abs=1e-6)
        assert each == pytest.approx(meant.characters, rel=1e-3, abs=1e-6)


@pytest.mark.long
@pytest.mark.skipif(not CELLS, reason="set CELLS to the folder of the published data")
@shipped
def test_every_number_of_a_card_is_counted_again(name, tmp_path):
    folder = reader_folder(name)
    card = json.loads((folder / "card.json").read_text())
    config = run_config(json.loads((folder / "config.json").read_text()), {})
    images = load_data(config, Path(CELLS), tmp_path)
    assert images.digest == card["data_digest"]
    split = trained.make_split(images, config)
    assert read_learnt(folder) == learnt_by(images, split)
    found = trained.count_right(images, split, trained.read_parts(folder, images, split))
    assert {part: list(counts) for part, counts in found.items()} == card["right_of"]
