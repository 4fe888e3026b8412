"""What a scan finds: identical, near-identical, blank and broken images."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from experiments.data.audit import scan as scanning
from experiments.data.audit.scan import INK, NEAR, scan
from experiments.data.cells import Row, read_cells


def rows_of(folder, images):
    """Rows for these PIL images or bytes, written below the folder."""
    rows = []
    for number, image in enumerate(images):
        file = folder / f"{number}.png"
        file.write_bytes(image) if isinstance(image, bytes) else image.save(file)
        rows.append(Row("train", file.name, "1", folder))
    return tuple(rows)


def cell(seed, size=(60, 34)):
    """Dark blobs on light paper, another for each seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray((rng.random((5, 9)) < 0.35).astype(np.uint8) * 160)
    return Image.eval(small.resize(size, Image.Resampling.BICUBIC), lambda v: 220 - v)


def jpeg(image, quality):
    content = io.BytesIO()
    image.save(content, format="JPEG", quality=quality)
    return content.getvalue()


def test_identical_near_and_different_images_are_told_apart(tmp_path):
    one, other = cell(1), cell(2)
    shifted = one.transform(one.size, Image.Transform.AFFINE, (1, 0, 12, 0, 1, 0))
    images = [
        one,
        one.copy(),
        jpeg(one, 60),
        ImageEnhance.Brightness(one).enhance(0.8),
        one.resize((90, 51)),
        other,
        shifted,
    ]
    found = scan(rows_of(tmp_path, images))
    assert list(found.groups[:2]) == [found.groups[0]] * 2
    assert len(set(found.groups[1:])) == 6
    # Saved again, darker, larger: near. Another cell, or the same one shifted: not.
    assert len(set(found.near[:5])) == 1
    assert len(set(found.near[4:])) == 3


def test_a_cell_without_ink_is_near_to_nothing(tmp_path):
    paper = [Image.new("L", (60, 34), 200), Image.new("L", (60, 34), 201)]
    faint = Image.new("L", (60, 34), 200)
    faint.paste(200 - INK + 1, (10, 10, 30, 20))
    inked = Image.new("L", (60, 34), 200)
    inked.paste(200 - INK, (10, 10, 30, 20))
    found = scan(rows_of(tmp_path, [*paper, faint, inked]))
    assert list(found.contrast < INK) == [True, True, True, False]
    assert len(set(found.near)) == 4


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path):
    found = scan(rows_of(tmp_path, [cell(1), b"no image", cell(2)]))
    assert list(found.at) == [0, 2]
    assert list(found.unreadable) == [1]
    assert "1.png" in found.unreadable[1]


def test_no_image_at_all_is_no_error(tmp_path):
    found = scan(rows_of(tmp_path, [b""]))
    assert (len(found.at), len(found.groups), len(found.near)) == (0, 0, 0)


def test_every_image_is_counted_once(tmp_path):
    calls = []
    scan(rows_of(tmp_path, [cell(1), b"", cell(2)]), lambda: calls.append(1))
    assert len(calls) == 3


def test_many_images_on_several_processes_are_the_same_images(make_cells, monkeypatch):
    rows = read_cells(make_cells(train=40, dev=20), "0123456789.-").rows
    alone = scan(rows)
    monkeypatch.setattr(scanning, "_FEW", 10)
    monkeypatch.setattr(scanning, "_CHUNK", 8)
    together = scan(rows)
    assert together.sizes == alone.sizes
    for name in ("at", "contrast", "groups", "near"):
        assert np.array_equal(getattr(together, name), getattr(alone, name))


def linked_by_hand(thumbnails):
    """Near groups by comparing every pair and passing near on, without any tree."""
    group = list(range(len(thumbnails)))
    for a, b in combinations(range(len(thumbnails)), 2):
        if np.corrcoef(thumbnails[a], thumbnails[b])[0, 1] >= NEAR:
            group = [group[a] if g == group[b] else g for g in group]
    return group


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.floats(1, 30))
@settings(max_examples=60)
def test_near_is_what_comparing_every_pair_finds(seed, count, noise):
    rng = np.random.default_rng(seed)
    base = rng.integers(20, 235, (4, 128))
    # Some way between four pictures and noise: chains, crowds and loners.
    thumbnails = base[rng.integers(0, 4, count)] + rng.normal(0, noise, (count, 128))
    thumbnails = thumbnails.clip(0, 255).astype(np.uint8)
    found = scanning._near(thumbnails, np.arange(count), np.ones(count, dtype=bool))
    by_hand = linked_by_hand(thumbnails.astype(float))
    pairs = list(combinations(range(count), 2))
    assert [found[a] == found[b] for a, b in pairs] == [by_hand[a] == by_hand[b] for a, b in pairs]


@pytest.mark.parametrize("limit", [1, 50])
def test_a_crowd_is_joined_in_portions(monkeypatch, limit):
    monkeypatch.setattr(scanning, "_MANY_LINKS", limit)
    monkeypatch.setattr(scanning, "_BLOCK", 4)
    rng = np.random.default_rng(0)
    crowd = np.clip(rng.integers(0, 255, 128) + rng.normal(0, 3, (30, 128)), 0, 255)
    thumbnails = np.concatenate([crowd, rng.integers(0, 255, (5, 128))]).astype(np.uint8)
    found = scanning._near(thumbnails, np.arange(35), np.ones(35, dtype=bool))
    assert len(set(found[:30])) == 1
    assert len(set(found)) == 6
