"""Finished runs read together, from the command to the report; and what is refused."""

import json
import multiprocessing
import os
import signal
from contextlib import contextmanager

import pandas as pd
import pytest

from analysis.report import markdown
from analysis.tables.load import load
from experiments.data.splits import make_split
from experiments.deploy import ensemble as module
from experiments.deploy.ensemble import ensemble
from experiments.deploy.reading.voting import Member
from experiments.errors import UserError
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.config import run_config
from experiments.training.learnt import Learnt, learnt_by
from experiments.training.run import load_data, run

SMALL = {"epochs": 1, "width_stride": 8, "hidden": 16, "batch_size": 8}
RUNS = {
    "ctc": {"loss": "ctc", "seed": 0},
    "slots": {"loss": "ce_stop", "seed": 1, "image": {"height": 32, "width": 80}},
}


@pytest.fixture(scope="module")
def data(make_cells):
    return make_cells(train=48, dev=12, human=6)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """A store with both of RUNS, and their ids."""
    out = tmp_path_factory.mktemp("made") / "out"
    return out, {name: run(run_config(SMALL, s), data, out) for name, s in RUNS.items()}


def read_csv(file):
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def test_an_ensemble_is_recorded_as_its_members_are(data, made):
    out, ids = made
    members = [ids["ctc"], ids["slots"]]
    run_id = ensemble(members, 2, data, out)
    tracker = Tracker(out)
    tags = tracker.tags(run_id)
    assert tags["kind"] == "ensemble"
    assert tags["members"] == ",".join(sorted(members))
    assert (tags["tta"], tags["split"], tags["dataset"]) == ("2", "published", "cells")
    assert tags["data_digest"] == tracker.tags(ids["ctc"])["data_digest"]

    folder, of_member = tracker.artifacts(run_id), tracker.artifacts(ids["ctc"])
    about = json.loads((folder / "members.json").read_text())
    assert [m["run_id"] for m in about["members"]] == sorted(members)
    metrics = tracker._client.get_run(run_id).data.metrics
    assert metrics["cost.parameters"] == sum(m["parameters"] for m in about["members"])
    for m in about["members"]:
        of_run = tracker._client.get_run(m["run_id"]).data.metrics
        assert m["parameters"] == of_run["cost.parameters"]
    # Two views of each, and candidates to weigh.
    assert metrics["cost.reading_ms"] > sum(m["reading_ms"] for m in about["members"])

    read, alone = read_csv(folder / "predictions.csv"), read_csv(of_member / "predictions.csv")
    assert list(read.columns) == list(alone.columns)
    held_out = ["test", "human"]
    for table, column in (("predictions.csv", "truth"), ("images.csv", "clean")):
        mine, its = (read_csv(f / table) for f in (folder, of_member))
        mine, its = (t[t["split"].isin(held_out)].reset_index(drop=True) for t in (mine, its))
        keys = ["split", "filename", column]
        pd.testing.assert_frame_equal(mine[keys], its[keys])
    test = read[read["split"] == "test"]
    assert metrics["test.exact_match"] == pytest.approx((test["truth"] == test["reading"]).mean())
    assert {"test_clean.exact_match", "agreed.exact_match", "test.cer"} <= set(metrics)


def test_it_is_validated_on_what_no_member_learnt_from(data, made):
    out, ids = made
    parts = []
    for name in ("ctc", "slots"):
        config = run_config(SMALL, RUNS[name])
        images = load_data(config, data, out)
        split = make_split(images, config)
        parts.append({images.rows[i].filename for i in split.val})
    folder = Tracker(out).artifacts(ensemble([ids["ctc"], ids["slots"]], 1, data, out))
    read = read_csv(folder / "predictions.csv")
    assert set(read.loc[read["split"] == "val", "filename"]) == parts[0] & parts[1]
    assert parts[0] != parts[1]


@pytest.mark.parametrize("name", ["ctc", "slots"])
def test_a_run_with_itself_reads_what_it_has_read(data, made, name):
    out, ids = made
    tracker = Tracker(out)
    twice = tracker.artifacts(ensemble([ids[name]] * 2, 1, data, out))
    once = tracker.artifacts(ids[name])
    columns = ["split", "filename", "reading"]
    first, second = (read_csv(f / "predictions.csv") for f in (twice, once))
    pd.testing.assert_frame_equal(first[columns], second[columns])
    confidences = [table["confidence"].astype(float) for table in (first, second)]
    pd.testing.assert_series_equal(*confidences, rtol=1e-4)
    metrics, own = (
        tracker._client.get_run(i).data.metrics for i in (twice.parent.name, once.parent.name)
    )
    for key in own:
        if key.endswith(("exact_match", "cer")) and not key.startswith("epoch/"):
            assert metrics[key] == pytest.approx(own[key]), key


def test_the_same_ensemble_is_made_once(data, made, capsys):
    out, ids = made
    first = ensemble([ids["ctc"], ids["slots"]], 1, data, out)
    capsys.readouterr()
    assert ensemble([ids["slots"], ids["ctc"]], 1, data, out) == first
    assert first in capsys.readouterr().out
    assert ensemble([ids["slots"], ids["ctc"]], 2, data, out) != first


@pytest.mark.slow
def test_of_several_machines_one_makes_it(data, made, monkeypatch):
    out, ids = made
    claimed = []

    @contextmanager
    def claim(_, run_hash):
        claimed.append(run_hash)
        yield

    monkeypatch.setattr(Tracker, "claimed", claim)
    run_id = ensemble([ids["ctc"], ids["slots"]], 3, data, out)
    assert claimed == [Tracker(out).tags(run_id)["run_hash"]]


def test_the_report_has_it_beside_its_best_member_and_among_no_arms(data, made):
    out, ids = made
    run_id = ensemble([ids["ctc"], ids["slots"]], 1, data, out)
    results = load(out)
    assert run_id in results.ensembles.index
    assert run_id not in results.runs.index
    assert set(ids.values()) == set(results.runs.index)
    report = markdown(results)
    assert "### Read together" in report
    table = report.partition("### Read together")[2].partition("\n### ")[0]
    assert "ce_stop slots small_cnn affine" in table
    ensemble([ids["ctc"]], 3, data, out)
    assert "seed 0; 3 views" in markdown(load(out))


# --- what is refused


KFOLD = {"split": "kfold", "fold": 0}


@pytest.mark.parametrize(
    ("one", "other", "named"),
    [
        ({}, KFOLD, "split is"),
        ({}, {"split": "clean"}, "split is"),
        (KFOLD, KFOLD | {"fold": 1}, "different test images"),
        ({}, {"label_noise": 0.1}, "label_noise is"),
        ({}, {"charset": "0123456789.-+"}, "charset is"),
        (KFOLD, KFOLD | {"seed": 1, "loss": "ce_stop", "val_fraction": 0.3}, None),
    ],
)
def test_members_that_were_judged_differently_are_refused(data, tmp_path, one, other, named):
    finished = []
    for settings in (one, other):
        config = run_config(SMALL, settings)
        images = load_data(config, data, tmp_path)
        member = Member(None, config.objective(), config)
        run_id = f"run{len(finished)}"
        finished.append(module._Finished(run_id, member, images, make_split(images, config)))
    if named is None:
        module._check_same(*finished)
        return
    for pair in (finished, finished[::-1]):
        with pytest.raises(UserError, match=named) as refused:
            module._check_same(*pair)
        assert "\n" not in str(refused.value)
        assert all(member.run_id in str(refused.value) for member in pair)


def test_every_member_is_held_against_the_first(data, made, monkeypatch):
    out, ids = made
    held = []
    monkeypatch.setattr(module, "_check_same", lambda a, b: held.append((a.run_id, b.run_id)))
    ensemble([ids["ctc"], ids["slots"], ids["slots"]], 1, data, out)
    first, *rest = sorted([ids["ctc"], ids["slots"], ids["slots"]])
    assert held == [(first, other) for other in rest]


def test_other_data_is_refused(made, make_cells):
    out, ids = made
    other = make_cells(train=48, dev=12, human=6, seed=7, name="other")
    with pytest.raises(UserError, match=r"was made from data .* set --data to the folder"):
        ensemble([ids["ctc"], ids["slots"]], 1, other, out)


def test_one_run_as_it_is_is_refused(data, made):
    out, ids = made
    with pytest.raises(UserError, match="--run, or set --tta"):
        ensemble([ids["ctc"]], 1, data, out)


def test_a_run_that_is_not_there_or_is_none_is_refused(data, made, tmp_path):
    out, ids = made
    with pytest.raises(UserError, match="gone: no finished run in"):
        ensemble([ids["ctc"], "gone"], 1, data, out)
    itself = ensemble([ids["ctc"], ids["slots"]], 1, data, out)
    with pytest.raises(UserError, match=f"{itself}: is an ensemble itself"):
        ensemble([ids["ctc"], itself], 1, data, out)
    with pytest.raises(UserError, match="no runs here"):
        ensemble([ids["ctc"], ids["slots"]], 1, data, tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_a_run_whose_split_would_be_another_today_is_refused(data, made, monkeypatch):
    out, ids = made
    monkeypatch.setattr(module.Split, "digest", lambda *_: "another")
    with pytest.raises(UserError, match="its split is not made any more; train the run again"):
        ensemble([ids["ctc"], ids["slots"]], 1, data, out)


def test_a_member_that_has_learnt_from_its_judges_is_refused(data, made, monkeypatch):
    out, ids = made
    config = run_config(SMALL, RUNS["ctc"])
    images = load_data(config, data, out)
    split = make_split(images, config)
    alone = next(i for i in split.test if i in split.clean)
    seen = learnt_by(images, split) | Learnt(frozenset({images.identities[alone]}))
    monkeypatch.setattr(module, "read_learnt", lambda _: seen)
    with pytest.raises(UserError, match=r"has learnt from (.* and )?1 test images"):
        ensemble([ids["ctc"], ids["slots"]], 1, data, out)


# --- killed


def ensemble_that_dies(ids, views, data, out, at):
    """SIGKILL to itself before the at-th artifact is logged."""
    logged = []
    log_file = RunRecord.log_file

    def die(self, file):
        if len(logged) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        logged.append(file)
        log_file(self, file)

    RunRecord.log_file = die
    ensemble(ids, views, data, out)


@pytest.mark.slow
def test_an_ensemble_that_was_killed_counts_nowhere_and_can_be_made_again(data, made):
    out, ids = made
    members = list(ids.values())
    before = load(out)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=ensemble_that_dies, args=(members, 4, data, out, 3))
    process.start()
    process.join(timeout=300)
    assert process.exitcode == -signal.SIGKILL
    results = load(out)
    assert list(results.ensembles.index) == list(before.ensembles.index)
    assert set(results.predictions["run_id"]) == set(before.predictions["run_id"])
    assert list(results.unfinished["tags.mlflow.runName"]) == ["ensemble-2x4"]
    assert "4 views" not in markdown(results)

    run_id = ensemble(members, 4, data, out)
    assert run_id == results.unfinished["run_id"].item()
    assert run_id in load(out).ensembles.index
    assert load(out).unfinished.empty
