"""What more training images bring, on runs of which the scores are known."""

import pandas as pd
import pytest

from analysis.findings.data_size import growths, read_right
from analysis.tables import arms as tables
from analysis.tables.load import Results


def a_run(loss, wanted, had, seed, right, *, digest="d", **other):
    settings = {
        "loss": loss,
        "decoder": "columns" if loss == "ctc" else "slots",
        "backbone": "small_cnn",
        "augmentation.name": "none",
        "epochs": str(1000 // had),
        "train_images": str(wanted),
        "recipe": "3",
        "fold": "0",
        "seed": str(seed),
        **other,
    }
    return {
        "run_id": "-".join(settings.values()),
        "tags.dataset": "cells",
        "tags.data_digest": digest,
        "tags.split": "published",
        "metrics.train.images": float(had),
        "metrics.val.exact_match": right,
        "metrics.test_clean.exact_match": right,
        **{f"config.{key}": value for key, value in settings.items()},
    }


def section(*runs):
    table = pd.DataFrame(runs).set_index("run_id")
    (found,) = tables.sections(Results(table, pd.DataFrame(), pd.DataFrame(), pd.DataFrame()))
    return found


RUNS = [
    a_run("ctc", 100, 100, 0, 0.5),
    a_run("ctc", 100, 100, 1, 0.6),
    # All there are; of seed 1 one fewer, since its validation part is a whole group larger.
    a_run("ctc", 0, 200, 0, 0.8),
    a_run("ctc", 0, 199, 1, 0.7),
    a_run("ce_stop", 100, 100, 0, 0.4),
    a_run("ce_stop", 0, 200, 0, 0.9),
]


def test_arms_that_differ_in_images_and_epochs_alone_are_one():
    found = {one.loss: one for one in growths(section(*RUNS))}
    assert set(found) == {"ctc", "ce_stop"}
    assert list(found["ctc"].labels) == [100, 200]
    scores = read_right(section(*RUNS), found["ctc"])
    assert scores.groupby("images")["exact_match"].mean().to_dict() == {
        100: pytest.approx(0.55),
        200: pytest.approx(0.75),
    }


def test_another_setting_is_another_arm():
    runs = [a_run("ctc", 100, 100, 0, 0.5), a_run("ctc", 0, 200, 0, 0.8, ema="0.9")]
    assert growths(section(*[{"config.ema": "0", **run} for run in runs])) == []


def test_runs_that_did_not_say_how_many_images_they_had_are_left_out():
    old = a_run("ctc", 0, 200, 0, 0.8) | {"metrics.train.images": float("nan")}
    assert growths(section(old, a_run("ctc", 100, 100, 0, 0.5))) == []
    older = [{k: v for k, v in run.items() if k != "metrics.train.images"} for run in RUNS]
    assert growths(section(*older)) == []


def test_epochs_alone_make_no_growth_and_of_as_many_images_the_longest_counts():
    # Seeds have one image more or fewer, by chance.
    two = [a_run("ctc", 0, had, seed, 0.5, epochs=str(epochs)) for epochs in (1, 2)
           for seed, had in enumerate((269, 268 + epochs))]  # fmt: skip
    assert growths(section(*two)) == []
    few = a_run("ctc", 100, 100, 0, 0.3)
    (found,) = growths(section(*two, few))
    assert list(found.labels) == [100, 270]
    assert "epochs=2" in found.labels[270]
