"""New images read by several models, as the ensemble of them was judged."""

import csv

import pandas as pd
import pytest

from experiments.deploy.ensemble import ensemble
from experiments.deploy.reading.choice import choose
from experiments.records.tracker import Tracker
from experiments.settings.config import run_config
from experiments.training.run import run

IMAGES = "cell_images/training_set"
SMALL = {"epochs": 1, "width_stride": 8, "hidden": 16, "batch_size": 8}
RUNS = {
    "ctc": {"loss": "ctc"},
    "slots": {"loss": "ce_stop"},
    "wide": {"loss": "ctc", "image": {"height": 32, "width": 80}},
    "letters": {"loss": "ctc", "charset": "0123456789.-x"},
}


@pytest.fixture(scope="module")
def data(make_cells):
    return make_cells(train=48, dev=12, human=6)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A store with all of RUNS, and their ids."""
    out, ids = tmp_path_factory.mktemp("together"), {}
    for name, settings in RUNS.items():
        ids[name] = run(run_config(SMALL, settings), data, out)
    return out, ids


def read_by(cli, data, out, tmp_path, *options):
    """The rows of `predict` by file name."""
    table = tmp_path / "read.csv"
    code, _, error = cli("predict", data / IMAGES, *options, "--out", out, "--output", table)
    assert code == 0, error
    with table.open(encoding="utf-8", newline="") as file:
        return {row["filename"]: row for row in csv.DictReader(file, delimiter=";")}


@pytest.mark.parametrize("views", [1, 3])
def test_an_ensemble_reads_new_images_as_it_was_judged(cli, data, made, tmp_path, views):
    out, ids = made
    run_id = ensemble([ids["ctc"], ids["slots"]], views, data, out)
    rows = read_by(cli, data, out, tmp_path, "--run", run_id)
    judged = pd.read_csv(
        Tracker(out).artifacts(run_id) / "predictions.csv", dtype=str, keep_default_na=False
    )
    judged = judged[judged["split"] == "test"]
    assert len(judged) == 12
    for _, image in judged.iterrows():
        row = rows[image["filename"]]
        assert row["value"].removeprefix("'") == image["reading"]
        assert float(row["confidence"]) == pytest.approx(float(image["confidence"]), rel=1e-3)


def test_several_that_are_named_are_the_ensemble_of_them(cli, data, made, tmp_path):
    out, ids = made
    run_id = ensemble([ids["ctc"], ids["slots"]], 1, data, out)
    (tmp_path / "a").mkdir()
    named = ("--run", ids["ctc"], "--run", ids["slots"])
    if ids["slots"] < ids["ctc"]:  # an ensemble has them in one order, which decides a tie
        named = (*named[2:], *named[:2])
    rows = read_by(cli, data, out, tmp_path, *named)
    assert rows == read_by(cli, data, out, tmp_path / "a", "--run", run_id)
    for row in rows.values():
        assert len(row["characters"].split()) == len(row["value"].removeprefix("'"))


def test_the_readers_of_the_suite_need_no_store(cli, data, tmp_path):
    empty = tmp_path / "none"
    both = read_by(cli, data, empty, tmp_path, "--run", "ctc", "--run", "ce_stop")
    assert len(both) == 60
    assert not empty.exists()


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (["ctc", "wide"], [], "image is 64x32 pixels, 1 channels, pad 0 and 80x32 pixels"),
        (["ctc", "letters"], [], "charset is 0123456789.- and 0123456789.-x"),
        (["ctc", "ctc"], [], "one of them twice"),
        (["ctc", "slots"], ["--accuracy", "0.5"], "the id of an ensemble"),
        (["ctc", "slots"], ["--format", "decimal=1"], "decimal"),
    ],
)
def test_what_cannot_be_read_together_is_refused(cli, data, made, names, options, said):
    out, ids = made
    runs = [word for name in names for word in ("--run", ids[name])]
    code, _, error = cli("predict", data / IMAGES, *runs, *options, "--out", out)
    assert code == 2
    assert error.count("\n") == 1
    assert said in error


def test_several_keep_to_a_format(cli, data, made, tmp_path):
    out, ids = made
    values = tmp_path / "values.txt"
    values.write_text("12\n7\n-3.5\n")
    runs = ("--run", ids["ctc"], "--run", ids["slots"], "--format", f"values={values}")
    rows = read_by(cli, data, out, tmp_path, *runs)
    assert {row["value"].removeprefix("'") for row in rows.values()} <= {"12", "7", "-3.5"}


def test_the_threshold_of_an_ensemble_is_from_its_own_validation_readings(cli, data, made):
    out, ids = made
    run_id = ensemble([ids["ctc"], ids["slots"]], 1, data, out)
    table = Tracker(out).artifacts(run_id) / "predictions.csv"
    read = pd.read_csv(table, dtype=str, keep_default_na=False)
    val = read[read["split"] == "val"]
    assert not (val["reading"] == val["truth"]).any()  # after one epoch
    asked = ("--run", run_id, "--accuracy", "0.5", "--out", out)
    code, _, error = cli("predict", data / IMAGES, *asked)
    assert code == 2
    assert "the best on validation is 0" in error
    chosen = choose([run_id], out)
    assert chosen.judged == table.parent
    assert set(chosen.members) == {Tracker(out).artifacts(ids[name]) for name in ("ctc", "slots")}
