"""The runs of a preset read together: the seeds of each arm, and all."""

import pytest

from experiments.deploy.reading.together import load_member
from experiments.records.tracker import Tracker
from experiments.settings.presets import load_preset
from experiments.sweep.ablation import planned_of
from experiments.training.run import run

PRESET = """
seeds = 2
[run]
epochs = 1
width_stride = 8
hidden = 16
batch_size = 8
[[grid]]
loss = ["ctc"]
"optimizer.max_lr" = [0.001, 0.002]
[[grid]]
loss = ["ctc"]
"optimizer.max_lr" = [0.002]
[[grid]]
loss = ["ce_stop"]
"""


@pytest.fixture(scope="module")
def data(make_cells):
    return make_cells(train=40, dev=6, human=2)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    file = tmp_path_factory.mktemp("preset") / "three.toml"
    file.write_text(PRESET)
    return str(file)


@pytest.fixture(scope="module")
def made(data, preset, tmp_path_factory):
    """A store with all runs of the preset, and the id of each by its rate, loss and seed."""
    out = tmp_path_factory.mktemp("made") / "out"
    planned, *_ = planned_of(load_preset(preset), None, data, out)
    assert len(planned) == 6  # the arm that stands there twice is one
    configs = [one.config for one in planned]
    return out, {(c.loss, c.optimizer.max_lr, c.seed): run(c, data, out) for c in configs}


def test_seeds_of_an_arm_read_together_and_so_do_all(cli, data, preset, made, monkeypatch):
    out, ids = made
    asked = ("ensemble", "--preset", preset, "--data", data, "--out", out)
    code, printed, error = cli(*asked)
    assert code == 0, error
    lines = [line for line in printed.splitlines() if "runs" in line]
    tracker = Tracker(out)
    found = [
        (line.split("  ")[1], set(tracker.tags(line.split()[0])["members"].split(",")))
        for line in lines
    ]
    slow, fast = ({ids["ctc", rate, seed] for seed in (0, 1)} for rate in (0.001, 0.002))
    other = {run_id for (loss, _, _), run_id in ids.items() if loss == "ce_stop"}
    assert found == [
        ("ctc-columns-small_cnn-affine, 2 runs", slow),
        ("ctc-columns-small_cnn-affine, 2 runs", fast),
        ("ce_stop-slots-small_cnn-affine, 2 runs", other),
        ("all, 6 runs", slow | fast | other),
    ]
    # Once more nothing is made anew, and of each one model is read to know that.
    loaded = []
    monkeypatch.setattr(
        "experiments.deploy.ensemble.load_member",
        lambda folder: loaded.append(folder) or load_member(folder),
    )
    code, again, _ = cli(*asked)
    assert [line for line in again.splitlines() if "runs" in line] == lines
    assert len(loaded) == len(lines)


def test_one_seed_of_each_is_read_together_as_a_whole(cli, data, preset, made):
    out, ids = made
    asked = ("ensemble", "--preset", preset, "--data", data, "--out", out)
    code, printed, error = cli(*asked, "--seeds", "1")
    assert code == 0, error
    (line,) = [line for line in printed.splitlines() if "runs" in line]
    assert line.endswith("all, 3 runs")
    members = Tracker(out).tags(line.split()[0])["members"].split(",")
    assert set(members) == {run_id for (_, _, seed), run_id in ids.items() if seed == 0}


def test_a_run_that_is_missing_is_told_with_the_way_out(cli, data, preset, made):
    out, _ = made
    asked = ("ensemble", "--preset", preset, "--data", data, "--out", out, "--seeds", "3")
    code, _, error = cli(*asked)
    assert code == 2
    assert error.count("\n") == 1
    assert "3 of 9 runs of three are not finished; make them with: make ablation" in error
    assert "SEEDS=0,1,2" in error


def test_runs_and_a_preset_are_one_too_many(cli, tmp_path):
    for given in ([], ["--run", "a", "--preset", "quick"]):
        code, _, error = cli("ensemble", *given, "--out", tmp_path)
        assert code == 2
        assert "name runs (--run), or a preset (--preset), one of them" in error


def test_one_run_is_no_ensemble_however_often_it_is_named(cli, data, made, tmp_path):
    out, _ = made
    one = tmp_path / "one.toml"
    one.write_text(
        PRESET[: PRESET.index("[[grid]]")].replace("seeds = 2", "") + "[[grid]]\nloss = ['ce_stop']"
    )
    code, _, error = cli("ensemble", "--preset", one, "--data", data, "--out", out)
    assert (code, error.count("\n")) == (2, 1)
    assert "one: has one run, which is no ensemble" in error
    code, _, error = cli("ensemble", "--run", "a", "--run", "a", "--data", data, "--out", out)
    assert (code, error.count("\n")) == (2, 1)
    assert "one of them twice" in error
