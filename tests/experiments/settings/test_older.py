"""Runs of an older version, which lack a later setting, stand beside those of this one."""

import json

import pandas as pd
import pytest

from analysis.record import IMAGE_COLUMNS, IMAGES, PREDICTION_COLUMNS, PREDICTIONS, SETTINGS
from analysis.report import write_report
from experiments.records.tracker import Tracker
from experiments.settings.config import run_config
from experiments.sweep.pipeline import report

RIGHT = {"ctc": 12, "ce_stop": 18}  # of 24 images


def record_run(out, config, written, tmp_path):
    """A finished run with these settings in its record; nothing is trained."""
    tags = {"kind": "run", "loss": config.loss, "decoder": config.decoder, "seed": str(config.seed)}
    tags |= {"backbone": config.backbone, "augmentation": config.augmentation.name}
    tags |= {
        "machine": "one",
        "torch": "2",
        "dataset": "cells",
        "data_digest": "d" * 16,
        "split": config.split,
    }
    images = [["test", f"{i}.jpg", i, 1, "dev", 0] for i in range(24)]
    read = [
        ["test", f"{i}.jpg", "12", "12" if i < RIGHT[config.loss] else "21", 0.9, 0.1]
        for i in range(24)
    ]
    with Tracker(out).recording("a run", config.run_hash("d" * 16), tags) as record:
        record.log_metrics({f"{part}.exact_match": 0.5 for part in ("val", "test", "test_clean")})
        record.log_metrics({"test.cer": 0.2, "val.loss": 1.0, "train.seconds": 1.0})
        (tmp_path / SETTINGS).write_text(json.dumps(written))
        pd.DataFrame(images, columns=IMAGE_COLUMNS).to_csv(tmp_path / IMAGES, index=False)
        pd.DataFrame(read, columns=PREDICTION_COLUMNS).to_csv(tmp_path / PREDICTIONS, index=False)
        for name in (SETTINGS, IMAGES, PREDICTIONS):
            record.log_file(tmp_path / name)


def compared(folder):
    return pd.read_csv(folder / "comparisons.csv")


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_a_seed_of_each_version_is_one_arm_of_two_seeds_in_one_row(tmp_path):
    out = tmp_path / "out"
    for loss in RIGHT:
        for seed in (0, 1):
            config = run_config({"loss": loss, "seed": seed}, {})
            written = config.model_dump(mode="json")
            if seed == 0:  # by a version before there were these
                del written["ema"], written["image"]["pad"], written["augmentation"]["shear"]
            record_run(out, config, written, tmp_path)
    report(None, out)
    pairs = compared(out / "report")
    assert list(pairs["seeds"]) == [2]
    assert len(pairs["first_runs"][0].split()) == len(pairs["second_runs"][0].split()) == 2
    # Six more of 24 images are right, in either seed.
    assert abs(pairs["difference"][0]) == pytest.approx(0.25)
    # As they are written they would be two arms of a loss, each of one seed.
    write_report(out, tmp_path / "raw")
    assert set(compared(tmp_path / "raw")["seeds"]) <= {1}
