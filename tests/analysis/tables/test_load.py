"""In which order a store's runs come, and what is filled in for older ones."""

import pytest

from analysis.tables.load import LEAK_FREE, load
from experiments.records.tracker import Tracker

FILES = {
    "config.json": "{}",
    "images.csv": "split,filename,group,clean,part,changed\n",
    "predictions.csv": "split,filename,truth,reading,confidence,label_loss\n",
}


@pytest.mark.slow
def test_runs_come_by_name_and_of_one_made_twice_the_later_one_last(tmp_path):
    made = []
    for name, run_hash in [("b", "1"), ("a", "2"), ("b", "1"), ("b", "0")]:
        tags = {"kind": "run", "data_digest": "d", "split": "s"}
        with Tracker(tmp_path).recording(name, run_hash, tags) as record:
            for file, text in FILES.items():
                (tmp_path / file).write_text(text)
                record.log_file(tmp_path / file)
        made.append(record.run_id)
    assert list(load(tmp_path).runs.index) == [made[1], made[3], made[0], made[2]]


@pytest.mark.slow
def test_a_run_that_logged_no_leak_free_score_has_that_of_its_readings(tmp_path):
    images = "test,a,0,1,dev,0\ntest,b,1,0,dev,0\ntest,c,2,1,dev,0\nval,d,3,1,train,0\n"
    read = "test,a,12,12,1,0\ntest,b,7,7,1,0\ntest,c,1.5,15,1,0\nval,d,3,3,1,0\n"
    files = {
        "config.json": "{}",
        "images.csv": FILES["images.csv"] + images,
        "predictions.csv": FILES["predictions.csv"] + read,
    }
    for name, metrics in [("logged", {"test_clean.exact_match": 0.25}), ("not", {})]:
        tags = {"kind": "run", "data_digest": "d", "split": "kfold"}
        with Tracker(tmp_path).recording(name, name, tags) as record:
            record.log_metrics(metrics | {"test.exact_match": 2 / 3})
            for file, text in files.items():
                (tmp_path / file).write_text(text)
                record.log_file(tmp_path / file)
    runs = load(tmp_path).runs
    found = dict(zip(runs["tags.mlflow.runName"], runs[LEAK_FREE], strict=True))
    # Of the two leak-free images one is read right; what was logged stands.
    assert found == {"logged": 0.25, "not": 0.5}
