"""In which order a store's runs come."""

import pytest

from analysis.tables.load import load
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
