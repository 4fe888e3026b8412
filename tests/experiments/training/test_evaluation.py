"""The metrics and tables of a run, on a data set worked out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.data.cells import Row
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.training.evaluation import (
    human_metrics,
    image_rows,
    label_metrics,
    prediction_rows,
)
from losses import Reading

# Index  part   file  label  read as        group
# 0      train  a     1      -              0
# 1      val    b     22     22   right     1
# 2      dev    c     12.5   125  wrong     2
# 3      dev    d     1      1    right     0 (also in training)
# 4      dev    e     -7     -7   right     4
# 5      human  a     ?      3              5   human1 3, human2 3
# 6      human  b     ?      1              0   human1 7, human2 1 (also in training)
# 7      human  c     ?      9              7   human1 4, human2 4
# 8      human  d     ?      5              8   only human1 read it
LABELS = ["1", "22", "12.5", "1", "-7", None, None, None, None]
PARTS = ["train", "val", "dev", "dev", "dev", "human", "human", "human", "human"]
IMAGES = Images(
    name="tiny",
    pixels=torch.zeros((9, 1, 8, 8), dtype=torch.uint8),
    rows=tuple(
        Row(part, f"{name}.jpg", label, Path())
        for part, name, label in zip(PARTS, "abcdeabcd", LABELS, strict=True)
    ),
    identities=tuple("abcaefahi"),
    readings={
        "human1": {"a.jpg": "3", "b.jpg": "7", "c.jpg": "4", "d.jpg": "5"},
        "human2": {"a.jpg": "3", "b.jpg": "1", "c.jpg": "4"},
    },
    digest="0",
    changed=frozenset({4}),
)
SPLIT = Split(
    train=(0,), val=(1,), test=(2, 3, 4), human=(5, 6, 7, 8), clean=frozenset({2, 4, 5, 7, 8})
)
READ = {
    "val": {1: Reading("22", 0.9)},
    "test": {2: Reading("125", 0.8), 3: Reading("1", 1.0), 4: Reading("-7", 0.5)},
    "human": {i: Reading(text, 0.5) for i, text in zip((5, 6, 7, 8), "3195", strict=True)},
}


def test_exact_match_and_cer_of_each_part():
    found = label_metrics(IMAGES, SPLIT, READ)
    assert found == pytest.approx(
        {
            "val.exact_match": 1,
            "val.cer": 0,
            "test.exact_match": 2 / 3,
            "test.cer": 1 / 7,  # one of the 4 + 1 + 2 characters is missing
            "test_clean.exact_match": 1 / 2,  # without d, which training also has
            "test_clean.cer": 1 / 6,
        }
    )


def test_without_a_leak_free_image_there_is_no_leak_free_metric():
    leaky = replace(SPLIT, clean=frozenset({5}))
    assert "test_clean.exact_match" not in label_metrics(IMAGES, leaky, READ)


def test_people_are_met_on_the_images_that_both_read():
    found = human_metrics(IMAGES, SPLIT, READ["human"])
    assert found == pytest.approx(
        {
            "human1.exact_match": 1 / 3,  # a
            "human2.exact_match": 2 / 3,  # a, b
            "agreed.exact_match": 1 / 2,  # a of a, c
            "either.exact_match": 2 / 3,
            "human1_clean.exact_match": 1 / 2,  # without b
            "human2_clean.exact_match": 1 / 2,
            "agreed_clean.exact_match": 1 / 2,
            "either_clean.exact_match": 1 / 2,
        }
    )


def test_without_people_there_are_no_such_metrics():
    assert human_metrics(IMAGES, SPLIT, {}) == {}


def test_the_tables_name_every_reading_once():
    rows = prediction_rows(IMAGES, READ, {"val": {1: 0.5}, "test": {2: 7.25, 3: 0, 4: 1e-9}})
    assert rows[0] == ["split", "filename", "truth", "reading", "confidence", "label_loss"]
    assert ["test", "c.jpg", "12.5", "125", "0.8", "7.25"] in rows
    assert ["human", "a.jpg", "", "3", "0.5", ""] in rows
    # The image is also in training, so that its label is known.
    assert ["human", "b.jpg", "1", "1", "0.5", ""] in rows
    assert len(rows) == 1 + 1 + 3 + 4
    about = image_rows(IMAGES, SPLIT, READ)
    assert about[0] == ["split", "filename", "group", "clean", "part", "changed"]
    assert ["test", "d.jpg", 0, 0, "dev", 0] in about
    assert ["test", "e.jpg", 4, 1, "dev", 1] in about
    assert [row[:2] for row in about[1:]] == [row[:2] for row in rows[1:]]


@pytest.mark.parametrize("spoilt", ["another label", "changed on purpose"])
def test_labels_that_differ_or_were_changed_tell_no_truth(spoilt):
    rows = list(IMAGES.rows)
    if spoilt == "another label":
        rows[3] = replace(rows[3], label="7")
        images = replace(IMAGES, rows=tuple(rows))
    else:
        images = replace(IMAGES, changed=frozenset({3}))
    assert ["human", "b.jpg", "", "1", "0.5", ""] in prediction_rows(images, READ, {})
