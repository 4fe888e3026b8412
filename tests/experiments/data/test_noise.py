"""Labels changed on purpose: how many, how, and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from experiments.data.cells import Row
from experiments.data.images import Images
from experiments.data.noise import change_labels

CHARSET = "0123456789.-"

modest = settings(max_examples=100)


def images_of(labels: list[str], human: int = 3) -> Images:
    rows = [
        Row("train" if number % 3 else "dev", f"{number}.jpg", label, Path("labelled"))
        for number, label in enumerate(labels)
    ] + [Row("human", f"{number}.jpg", None, Path("human")) for number in range(human)]
    pixels = torch.arange(len(rows), dtype=torch.uint8).reshape(-1, 1, 1, 1)
    identities = tuple(str(max(0, k - 1)) for k in range(len(rows)))
    return Images("made", pixels, tuple(rows), identities, {"human1": {"0.jpg": "12"}}, "d")


charsets = st.sampled_from([CHARSET, "01", "abcé/%, "])
shares = st.floats(0, 1)


@st.composite
def data_sets(draw):
    charset = draw(charsets)
    labels = draw(st.lists(st.text(charset, min_size=1, max_size=6), min_size=1, max_size=60))
    return images_of(labels), charset


@modest
@given(data_sets(), shares)
def test_the_share_is_exact_and_each_change_is_one_edit_within_the_charset(made, share):
    images, charset = made
    noisy = change_labels(images, share, charset)
    labelled = [k for k, row in enumerate(images.rows) if row.label is not None]
    assert len(noisy.changed) == round(share * len(labelled))
    longest = max(2, *(len(images.rows[k].label) for k in labelled))
    for k, (before, after) in enumerate(zip(images.rows, noisy.rows, strict=True)):
        if k in noisy.changed:
            assert Levenshtein.distance(before.label, after.label) == 1
            assert set(after.label) <= set(charset)
            # Nothing that a model was not given room for.
            assert 0 < len(after.label) <= longest
        # Nothing else is changed.
        assert replace(after, label=before.label) == before
        assert k in noisy.changed or after == before
    assert noisy.pixels is images.pixels
    unchanged = ("name", "groups", "readings", "digest")
    assert all(getattr(noisy, key) == getattr(images, key) for key in unchanged)


@modest
@given(data_sets(), shares, st.randoms(use_true_random=False))
def test_the_order_of_rows_decides_nothing(made, share, rng):
    images, charset = made
    rows = list(images.rows)
    rng.shuffle(rows)
    shuffled = replace(images, rows=tuple(rows))
    one, other = (
        {(row.part, row.filename): row.label for row in change_labels(i, share, charset).rows}
        for i in (images, shuffled)
    )
    assert one == other


@modest
@given(data_sets())
def test_more_noise_keeps_the_mistakes_of_less(made):
    images, charset = made
    little, much = (change_labels(images, share, charset) for share in (0.2, 0.6))
    assert little.changed <= much.changed
    assert all(little.rows[k] == much.rows[k] for k in little.changed)


def test_no_noise_is_the_same_data_set():
    images = images_of(["12", "3"])
    assert change_labels(images, 0, CHARSET) is images


def test_all_kinds_of_slips_are_made_at_all_places():
    rng = random.Random(0)
    images = images_of(["".join(rng.choices("123456", k=4)) for _ in range(900)] + ["12345"])
    noisy = change_labels(images, 1, CHARSET)
    edits = [
        (edit.tag, edit.src_pos)
        for k in noisy.changed
        for edit in Levenshtein.editops(images.rows[k].label, noisy.rows[k].label)
    ]
    assert len(edits) == 901
    for tag in ("insert", "delete", "replace"):
        places = [place for kind, place in edits if kind == tag]
        assert len(places) / len(edits) == pytest.approx(1 / 3, abs=0.06)
        for place in range(4):
            assert places.count(place) / len(places) == pytest.approx(1 / 4, abs=0.12)


def test_a_charset_of_one_character_has_slips_too():
    noisy = change_labels(images_of(["1", "11", "1"]), 1, "1")
    assert [row.label for row in noisy.rows[:3]] == ["11", "1", "11"]


def test_the_mistakes_are_the_same_on_every_machine():
    noisy = change_labels(images_of(["12.5", "-3", "77", "0", "130"]), 0.6, CHARSET)
    assert {k: noisy.rows[k].label for k in sorted(noisy.changed)} == {
        1: "13",
        2: "73",
        4: ".30",
    }
