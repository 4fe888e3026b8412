"""Arms on record: one run each, whatever it is called and however many seeds it has by now."""

import math

import pandas as pd

from experiments.records.tracker import Tracker
from experiments.sweep.arm_records import record_arms


def an_arm(name, runs, **numbers):
    of = {"dataset": "cells", "data_digest": "d1", "split": "published", "loss": name[:3]}
    return of | {"name": name, "runs": runs, "seeds": len(runs)} | numbers


def test_an_arm_stays_the_run_that_stood_for_one_of_its_runs(tmp_path):
    tracker = Tracker(tmp_path)

    def on_record():
        return {run.info.run_name: run for run in tracker.all_runs()}

    ctc = an_arm("ctc", ["a0"], exact_match=0.5, sd=math.nan)
    ce = an_arm("ce", ["b0"], exact_match=0.4, sd=math.nan)
    record_arms(pd.DataFrame([ctc, ce]), tracker)
    first = on_record()
    assert {name: run.data.metrics for name, run in first.items()} == {
        "ctc": {"exact_match": 0.5, "seeds": 1},
        "ce": {"exact_match": 0.4, "seeds": 1},
    }
    # Another seed, and a longer name, since there is another arm by now.
    grown = an_arm("ctc width=40", ["a0", "a1"], exact_match=0.6, sd=0.1)
    record_arms(pd.DataFrame([ce, an_arm("ctc width=80", ["c0"], exact_match=0.7), grown]), tracker)
    second = on_record()
    assert set(second) == {"ctc width=40", "ctc width=80", "ce"}
    same = second["ctc width=40"]
    assert same.info.run_id == first["ctc"].info.run_id
    assert same.data.metrics == {"exact_match": 0.6, "sd": 0.1, "seeds": 2}
    assert (same.info.status, same.data.tags["split"]) == ("FINISHED", "published")
    history = tracker._client.get_metric_history(same.info.run_id, "exact_match")
    assert sorted((metric.step, metric.value) for metric in history) == [(1, 0.5), (2, 0.6)]
    assert tracker.finished_runs() == []


def test_a_run_that_is_made_again_and_one_that_counts_no_more_leave_one_arm(tmp_path):
    tracker = Tracker(tmp_path)

    def made(run_hash):
        record = tracker.start_run("run", run_hash, {"kind": "run"})
        record.end()
        return record.run_id

    def on_record():
        return [run.data.metrics for run in tracker.all_runs() if run.data.tags["kind"] == "arm"]

    runs = [made("h0"), made("h1")]
    record_arms(pd.DataFrame([an_arm("ctc", runs, exact_match=0.5)]), tracker)
    # The first was damaged and made again; the second is gone.
    for value in (0.6, 0.7):
        record_arms(pd.DataFrame([an_arm("ctc", [made("h0")], exact_match=value)]), tracker)
        assert on_record() == [{"exact_match": value, "seeds": 1}]
