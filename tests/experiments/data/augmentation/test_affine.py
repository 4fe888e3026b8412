"""The affine augmentation against scipy, torchvision and transformations that need no arithmetic.

Conventions: x goes right and y goes down, both in pixels, from the image's centre. A positive angle
turns clockwise as seen. A shear of angle s moves (x, y) to (x + y tan s, y). Then come the scale,
and last the shift. A point p of the input is seen at  scale * rotation * shear * p + shift.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from experiments.data.augmentation.affine import Affine
from experiments.data.augmentation.none import Nothing
from experiments.seeding import generator

DRAWS = sum(Affine.parts.values())
STILL = {"degrees": 0, "translate": 0, "scale": (1, 1), "shear": 0}


def ranges(**given_ranges):
    """Only these ranges, everything else held still."""
    return Affine(**(STILL | given_ranges))


def affine(images, draws, augmentation):
    return augmentation.augment(images, draws)


def draw(count, seed):
    return Affine().draw(count, partial(generator, seed))


def lowest(count=1):
    """Every number at its lower end: minus the angles and shifts, the smaller scale."""
    return torch.zeros(count, DRAWS)


def highest(count=1):
    return torch.ones(count, DRAWS)


def picture(height=20, width=30, channels=1, seed=0):
    """Smooth, without any symmetry, (1, C, H, W)."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.random((1, channels, 5, 6))).float()
    return torch.nn.functional.interpolate(
        coarse, size=(height, width), mode="bilinear", align_corners=True
    )


def blob(x, y, height=40, width=60):
    """A soft dot at this place from the centre, in pixels, on black."""
    rows, columns = torch.meshgrid(
        torch.arange(height) - (height - 1) / 2,
        torch.arange(width) - (width - 1) / 2,
        indexing="ij",
    )
    return torch.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)[None, None]


def place(images):
    """Where the ink of each image is, (N,) x and (N,) y from the centre in pixels."""
    _, _, height, width = images.shape
    weight = images[:, 0] / images[:, 0].sum(dim=(1, 2), keepdim=True)
    x = (weight.sum(dim=1) * (torch.arange(width) - (width - 1) / 2)).sum(dim=1)
    y = (weight.sum(dim=2) * (torch.arange(height) - (height - 1) / 2)).sum(dim=1)
    return x, y


def by_scipy(image, degrees, shear, scale, shift_x, shift_y):
    """The convention above, point by point: where each pixel of the output comes from."""
    height, width = image.shape
    angle, slant = math.radians(degrees), math.tan(math.radians(shear))
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    back = np.linalg.inv(scale * rotation @ np.array([[1, slant], [0, 1]]))
    rows, columns = np.mgrid[0:height, 0:width]
    x, y = columns - (width - 1) / 2, rows - (height - 1) / 2
    from_x, from_y = np.tensordot(back, np.stack([x - shift_x, y - shift_y]), axes=1)
    where = [from_y + (height - 1) / 2, from_x + (width - 1) / 2]
    return map_coordinates(image, where, order=1, mode="nearest")


# --- against other ways to do it


@given(
    st.floats(0, 180),
    st.floats(0, 1),
    st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)).map(sorted),
    st.floats(0, 60),
    st.sampled_from([(20, 30), (16, 64), (21, 21)]),
)
@settings(max_examples=60)
def test_both_ends_of_all_ranges_together_agree_with_scipy(degrees, translate, scale, shear, size):
    # Also at the border, which is repeated outside ("nearest").
    height, width = size
    image = picture(height, width)
    all_of_them = ranges(degrees=degrees, translate=translate, scale=scale, shear=shear)
    for draws, sign, factor in ((highest(), 1, scale[1]), (lowest(), -1, scale[0])):
        found = affine(image, draws, all_of_them)
        wanted = by_scipy(
            image[0, 0].double().numpy(),
            sign * degrees,
            sign * shear,
            factor,
            sign * translate * width,
            sign * translate * height,
        )
        np.testing.assert_allclose(found[0, 0].numpy(), wanted, atol=2e-3)


@pytest.mark.parametrize(
    ("given_ranges", "angle", "shift", "scale", "shear"),
    [
        ({"degrees": 25}, 25, (0, 0), 1, 0),
        ({"translate": 0.13}, 0, (0.13, 0.13), 1, 0),
        ({"scale": (1, 1.3)}, 0, (0, 0), 1.3, 0),
        ({"scale": (0.7, 0.7)}, 0, (0, 0), 0.7, 0),
        ({"shear": 15}, 0, (0, 0), 1, 15),
        ({"degrees": 12, "translate": 0.1, "scale": (1, 1.1)}, 12, (0.1, 0.1), 1.1, 0),
    ],
    ids=["rotation", "translation", "larger", "smaller", "shear", "three of them"],
)
def test_it_agrees_with_torchvision_in_the_interior(given_ranges, angle, shift, scale, shear):
    height, width = 32, 64
    image = picture(height, width, channels=3)
    found = affine(image, highest(), ranges(**given_ranges))

    def by_torchvision(tensor):
        return functional.affine(
            tensor,
            angle=angle,
            translate=[shift[0] * width, shift[1] * height],
            scale=scale,
            # Its shear leans the other way. Ours is drawn from both ways alike.
            shear=[-shear, 0.0],
            interpolation=InterpolationMode.BILINEAR,
            fill=0.0,
        )

    # It fills with black outside, so only what is wholly inside can be compared.
    inside = by_torchvision(torch.ones_like(image)) > 0.9999
    assert inside.float().mean() > 0.4
    assert torch.allclose(found[inside], by_torchvision(image)[inside], atol=1e-4)


def test_a_quarter_turn_is_clockwise():
    image = picture(24, 24)
    turned = affine(image, highest(), ranges(degrees=90))
    assert torch.allclose(turned, torch.rot90(image, k=-1, dims=(2, 3)), atol=1e-4)
    back = affine(image, lowest(), ranges(degrees=90))
    assert torch.allclose(back, torch.rot90(image, k=1, dims=(2, 3)), atol=1e-4)


def test_half_a_turn_of_a_flat_cell_stays_in_its_frame():
    image = picture(16, 40)
    turned = affine(image, highest(), ranges(degrees=180))
    assert torch.allclose(turned, image.flip(2, 3), atol=1e-4)


def test_a_rotation_in_a_flat_cell_keeps_distances():
    # The sampling grid goes from -1 to 1 along both sides: turned there, a circle becomes an oval.
    x, y = place(affine(blob(12, 0), highest(), ranges(degrees=90)))
    assert (x.item(), y.item()) == pytest.approx((0, 12), abs=0.05)


def test_a_translation_by_whole_pixels_moves_them_right_and_down():
    image = picture(20, 30)
    moved = affine(image, highest(), ranges(translate=0.1))  # 3 of 30 and 2 of 20
    assert torch.allclose(moved[:, :, 2:, 3:], image[:, :, :-2, :-3], atol=1e-5)
    # Outside, the border goes on.
    assert torch.allclose(moved[:, :, 2:, 0], image[:, :, :-2, 0], atol=1e-5)
    assert torch.allclose(moved[:, :, 0, 3:], image[:, :, 0, :-3], atol=1e-5)


def test_twice_the_size_is_twice_as_far_from_the_centre():
    x, y = place(affine(blob(6, -4), highest(), ranges(scale=(1, 2))))
    assert (x.item(), y.item()) == pytest.approx((12, -8), abs=0.05)


def test_a_shear_moves_points_sideways_by_their_height():
    x, y = place(affine(blob(0, 8), highest(), ranges(shear=45)))
    assert (x.item(), y.item()) == pytest.approx((8, 8), abs=0.1)


# --- what it leaves alone


@pytest.mark.parametrize("size", [(32, 64), (17, 33)])
def test_without_any_range_nothing_moves(size):
    images = picture(*size, channels=3).repeat(4, 1, 1, 1)
    draws = draw(4, 0)
    assert torch.allclose(affine(images, draws, ranges()), images, atol=1e-4)


def test_the_middle_of_the_default_ranges_is_a_slight_enlargement():
    # Half-way between the ends: no angle, no shift, scale (0.95 + 1.1) / 2.
    image = picture()
    found = affine(image, torch.full((1, DRAWS), 0.5), Affine())
    wanted = by_scipy(image[0, 0].double().numpy(), 0, 0, 1.025, 0, 0)
    np.testing.assert_allclose(found[0, 0].numpy(), wanted, atol=1e-3)


def test_none_gives_the_images_as_they_are():
    images = picture(channels=3).repeat(2, 1, 1, 1)
    assert torch.equal(Nothing().augment(images.clone(), torch.zeros(2, 0)), images)


def test_paper_stays_paper_up_to_the_edge():
    # A black frame around moved cells would tell the model how they were moved.
    white = torch.ones(8, 1, 32, 64)
    out = affine(white, draw(8, 2), ranges(translate=0.5))
    assert torch.allclose(out, white, atol=1e-5)


# --- draws


def test_each_image_is_moved_by_its_own_draw():
    images = picture(channels=3).repeat(6, 1, 1, 1)
    draws = draw(6, 3)
    together = affine(images, draws, Affine())
    for i in range(6):
        alone = affine(images[i : i + 1], draws[i : i + 1], Affine())
        assert torch.allclose(together[i], alone[0], atol=1e-6)
        for j in range(i):
            assert not torch.allclose(together[i], together[j], atol=1e-2)


def test_all_channels_of_an_image_move_together():
    grey = picture().repeat(1, 3, 1, 1)
    out = affine(grey, draw(1, 4), Affine())
    assert torch.equal(out[:, 0], out[:, 1])
    assert torch.equal(out[:, 0], out[:, 2])


def test_draws_are_uniform_and_decided_by_the_generator():
    draws = draw(4000, 5)
    assert draws.shape == (4000, DRAWS)
    assert 0 <= draws.min() < 0.01
    assert 0.99 < draws.max() <= 1
    assert torch.allclose(draws.mean(dim=0), torch.tensor(0.5), atol=0.03)
    assert torch.allclose(draws.var(dim=0), torch.tensor(1 / 12), atol=0.01)
    # Neither image nor part of the movement says anything of another.
    assert torch.corrcoef(draws.T).fill_diagonal_(0).abs().max() < 0.08
    assert torch.equal(draw(4000, 5), draws)
    assert not torch.equal(draw(4000, 6), draws)


def test_movements_fill_their_ranges_and_stay_in_them():
    """Measured on the images, from where a dot has gone; by the draws as they are drawn."""
    count = 400
    draws = draw(count, 7)

    def moved(x, y, **given_ranges):
        return place(affine(blob(x, y).repeat(count, 1, 1, 1), draws, ranges(**given_ranges)))

    x, y = moved(12, 0, degrees=20)
    angles = torch.rad2deg(torch.atan2(y, x))
    fills(angles, -20, 20)

    x, y = moved(0, 0, translate=0.1)  # of 60 x 40 pixels
    fills(x, -6, 6)
    fills(y, -4, 4)
    assert torch.corrcoef(torch.stack([x, y]))[0, 1].abs() < 0.2

    x, y = moved(10, 0, scale=(0.8, 1.3))
    fills(x / 10, 0.8, 1.3)
    assert y.abs().max() < 0.05

    x, y = moved(0, 8, shear=30)
    fills(torch.rad2deg(torch.atan2(x, y)), -30, 30)


def fills(values, low, high):
    span = high - low
    assert low - 0.01 * span <= values.min() <= low + 0.03 * span
    assert high - 0.03 * span <= values.max() <= high + 0.01 * span
    assert abs(values.mean().item() - (low + high) / 2) < 0.07 * span
