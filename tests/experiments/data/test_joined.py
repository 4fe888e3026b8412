"""Two images become one: what is written in both is there, in order, and so are the labels."""

import re
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.joined import joined, side_by_side
from experiments.seeding import generator

PAPER, INK = 200, 40


def strokes(*columns, width=40, height=16, paper=PAPER):
    """An image with a short upright stroke at each of these columns."""
    image = torch.full((1, height, width), paper, dtype=torch.uint8)
    for column in columns:
        image[0, height // 4 : 3 * height // 4, column : column + 2] = INK
    return image


def found(image):
    """Where the strokes of an image begin."""
    dark = (image[0] < (PAPER + INK) / 2).any(dim=0).int()
    return (dark.diff(prepend=torch.zeros(1, dtype=torch.int32)) == 1).nonzero()[:, 0].tolist()


def test_what_fits_keeps_its_size_and_distances():
    first, second = strokes(5, 11), strokes(28)
    for room in (0.0, 0.5, 1.0):
        (image,) = side_by_side(first[None], second[None], torch.tensor([room]))
        left, middle, right = found(image)
        assert middle - left == 6
        # Two margins of three columns, and the stroke itself.
        assert right - middle == 2 + 3 + 3
        assert image[0].min() == INK


def test_what_does_not_fit_is_made_narrower():
    first, second = strokes(1, 30), strokes(4, 20, 36)
    (image,) = side_by_side(first[None], second[None], torch.tensor([0.3]))
    places = found(image)
    assert len(places) == 5
    widths = [b - a for a, b in pairwise(places)]
    # 35 and 38 columns with their margins, in 40.
    assert widths[0] == pytest.approx(29 * 40 / 73, abs=1)
    assert widths[2:] == pytest.approx([16 * 40 / 73] * 2, abs=1)


def test_a_line_of_the_table_is_not_what_is_written():
    lined = strokes(10)
    lined[0, :, 37:39] = INK
    (image,) = side_by_side(lined[None], strokes(10)[None], torch.tensor([0.0]))
    left, right = found(image)
    assert right - left == 8


def test_the_second_has_the_paper_of_the_first():
    (image,) = side_by_side(strokes(8)[None], strokes(8, paper=120)[None], torch.tensor([0.5]))
    assert image.median() == PAPER
    assert image.max() == PAPER


def test_an_empty_image_is_taken_whole():
    blank = strokes()
    (image,) = side_by_side(blank[None], strokes(8)[None], torch.tensor([0.5]))
    assert len(found(image)) == 1


@settings(max_examples=50)
@given(
    texts=st.lists(st.text("01.-", min_size=1, max_size=5), min_size=1, max_size=12),
    share=st.floats(0, 1),
    longest=st.integers(1, 10),
    seed=st.integers(0, 2**30),
)
def test_labels_are_joined_as_images_are(texts, share, longest, seed):
    pixels = torch.stack([strokes(3 + 2 * i) for i in range(len(texts))])
    before = pixels.clone()
    stream = torch.Generator().manual_seed(seed)
    shown, labels = joined(pixels, texts, share, lambda text: len(text) <= longest, stream)
    assert torch.equal(pixels, before)
    assert (shown.shape, shown.dtype) == (pixels.shape, pixels.dtype)
    for old, new, image, at in zip(texts, labels, shown, pixels, strict=True):
        if new == old:
            continue
        assert new.startswith(old)
        assert new[len(old) :] in texts
        assert len(new) <= longest
        assert new.count(".") <= 1
        assert "-" not in new[1:]
        assert len(found(image)) == 2
        assert not torch.equal(image, at)


def test_the_share_is_about_that_and_the_stream_decides():
    texts = [f"{i:02d}" for i in range(400)]
    pixels = torch.stack([strokes(10)] * 400)

    def of(epoch):
        return joined(pixels, texts, 0.25, lambda _: True, generator(0, "joined", epoch))

    pixels_now, labels = of(0)
    assert 70 <= sum(a != b for a, b in zip(texts, labels, strict=True)) <= 130
    again = of(0)
    assert torch.equal(pixels_now, again[0])
    assert labels == again[1]
    assert labels != of(1)[1]
    assert all(re.fullmatch(r"\d{2,6}", label) for label in labels)
