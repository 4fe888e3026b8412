"""The list of suspect labels, on readings worked out by hand."""

import pandas as pd
import pytest
from scipy.stats import binomtest

from analysis.findings.suspects import suspects
from analysis.tables.load import Results

ARMS = {"ctc": "columns", "ce_stop": "slots"}


def run(loss, fold, losses, seed=0, noise="0.0", digest="d", changed=(), split="kfold"):
    """One run of a fold: file name -> (label, reading, loss of the label)."""
    run_id = f"{loss}-{seed}-{fold}-{noise}-{digest}-{split}"
    config = {
        "loss": loss, "decoder": ARMS[loss], "backbone": "small_cnn", "augmentation.name": "none",
        "recipe": "2", "seed": str(seed), "fold": str(fold), "folds": "2", "label_noise": noise,
    }  # fmt: skip
    tags = {"dataset": "cells", "data_digest": digest, "split": split}
    row = {
        "run_id": run_id,
        **{f"config.{k}": v for k, v in config.items()},
        **{f"tags.{k}": v for k, v in tags.items()},
    }
    read = [
        {
            "run_id": run_id, "split": "test", "filename": name, "truth": label, "reading": reading,
            "confidence": 0.5, "label_loss": loss_of, "group": 0, "clean": True,
            "part": "train", "changed": name in changed,
        }
        for name, (label, reading, loss_of) in losses.items()
    ]  # fmt: skip
    # What is read on validation is no held-out reading.
    return row, [*read, read[0] | {"split": "val", "label_loss": 99.0}]


def results(*runs):
    rows, predictions = zip(*runs, strict=True)
    return Results(
        runs=pd.DataFrame(rows).set_index("run_id"),
        predictions=pd.DataFrame([row for part in predictions for row in part]),
        readers=pd.DataFrame(),
        unfinished=pd.DataFrame(),
    )


def four(**changes):
    """Two arms, two folds: a and b in the first, c in the second."""
    return results(
        run("ctc", 0, {"a": ("1", "7", 9.0), "b": ("2", "2", 0.1)}, **changes),
        run("ctc", 1, {"c": ("3", "8", 4.0)}, **changes),
        run("ce_stop", 0, {"a": ("1", "7", 5.0), "b": ("2", "5", 8.0)}, **changes),
        run("ce_stop", 1, {"c": ("3", "8", 6.0)}, **changes),
    )


def test_the_doubt_is_that_of_the_arm_that_doubts_least():
    (found,) = suspects(four(), "d")
    assert list(found.table["filename"]) == ["a", "c", "b"]
    assert list(found.table["doubt"]) == [5.0, 4.0, pytest.approx(0.1)]
    assert list(found.table["reading"].iloc[:2]) == ["7", "8"]
    assert found.arms == ["ce_stop slots small_cnn none", "ctc columns small_cnn none"]
    assert found.missing == []
    assert found.found() is None


def test_seeds_of_an_arm_are_averaged_first():
    extra = run("ctc", 0, {"a": ("1", "1", 0.0), "b": ("2", "2", 0.1)}, seed=1)
    base = four()
    both = Results(
        pd.concat([base.runs, results(extra).runs]),
        pd.concat([base.predictions, results(extra).predictions], ignore_index=True),
        base.readers,
        base.unfinished,
    )
    (found,) = suspects(both, "d")
    assert found.table.set_index("filename")["doubt"]["a"] == pytest.approx(4.5)  # (9 + 0) / 2
    assert found.missing == ["ctc columns small_cnn none, seed 1, fold 1"]


def test_other_data_other_splits_and_other_noise_are_kept_apart():
    assert suspects(four(), "another") == []
    assert suspects(four(split="published"), "d") == []
    noisy, plain = four(noise="0.02", changed={"a"}), four()
    both = Results(
        pd.concat([noisy.runs, plain.runs]),
        pd.concat([noisy.predictions, plain.predictions], ignore_index=True),
        plain.readers,
        plain.unfinished,
    )
    assert [found.noise for found in suspects(both, "d")] == [0.0, 0.02]


def test_what_is_found_of_changed_labels():
    # 100 images in the order of their doubt; the first four are 4% of the list.
    labels = {f"i{n:03}": ("1", "7", 100.0 - n) for n in range(100)}
    changed = {"i000", "i003", "i004", "i050"}
    made = [run(loss, 0, labels, noise="0.04", changed=changed) for loss in ARMS]
    (found,) = suspects(results(*made), "d")
    share = found.found()
    assert share.estimate == 0.5
    assert share.low == pytest.approx(binomtest(2, 4).proportion_ci(method="wilson").low)
