"""The parts of strong and paper, each by itself: it does what it says, and no more."""

from __future__ import annotations

from functools import partial
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from experiments.data.augmentation.paper import Paper
from experiments.data.augmentation.strong import Strong
from experiments.seeding import generator

SIZES = pytest.mark.parametrize(("height", "width"), [(40, 80), (64, 64), (34, 60)])

LEAST, MOST = 0.0, 1.0  # all draws at one end


def only_strong(images, draws, **strengths):
    still = {"degrees": 0, "translate": 0, "scale": (1, 1), "shear": 0}
    still |= {"elastic": 0, "contrast": 0, "noise": 0, "erasing": 0}
    return applied(Strong(**(still | strengths)), images, draws)


def only_paper(images, draws, **strengths):
    still = {"fading": 0, "lines": 0, "light": 0, "blur": 0, "noise": 0, "jpeg": 0}
    return applied(Paper(**(still | strengths)), images, draws)


def applied(augmentation, images, draws):
    """draws: gives the numbers of an augmentation."""
    return augmentation.augment(images, draws(augmentation))


def all_at(*values, count=1):
    return lambda augmentation: torch.tensor(values * count)[:, None].expand(
        -1, sum(augmentation.parts.values())
    )


def drawn(count, seed=0):
    return lambda augmentation: augmentation.draw(count, partial(generator, seed))


def noisy(count=1, channels=1, height=40, width=80, low=0.0, high=1.0, seed=0):
    stream = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand((count, channels, height, width), generator=stream)


def cell(count=1, height=40, width=80, channels=1, sheet=0.8, ink=0.3):
    """Paper with two strokes of ink on it."""
    images = torch.full((count, channels, height, width), sheet)
    images[..., 8:-8, 20:24] = ink
    images[..., 12:16, 40:60] = ink
    return images


# --- elastic


@SIZES
def test_an_elastic_displacement_is_bounded_smooth_and_fills_its_bound(height, width):
    count, strength = 60, 0.08
    amplitude = strength * height
    across = ((torch.arange(width) + 0.5) / width).expand(1, 1, height, width)
    down = ((torch.arange(height) + 0.5) / height)[:, None].expand(1, 1, height, width)
    # A ramp says of each pixel where it came from. Not at the border, which is repeated outside.
    margin = int(amplitude) + 2
    inside = (..., slice(margin, -margin), slice(margin, -margin))
    draws = drawn(count)
    moved = []
    for ramp, side in ((across, width), (down, height)):
        ramps = ramp.repeat(count, 1, 1, 1)
        change = (only_strong(ramps, draws, elastic=strength) - ramps) * side
        moved.append(change[inside])
        assert change.abs().max() <= amplitude + 0.01
        assert moved[-1].max() > 0.9 * amplitude
        assert moved[-1].min() < -0.9 * amplitude
        assert moved[-1].mean().abs() < 0.1 * amplitude
        # Neighbours go nearly the same way: nothing is torn, nothing folded over.
        assert moved[-1].diff(dim=3).abs().max() < 0.35 * amplitude
        assert moved[-1].diff(dim=2).abs().max() < 0.35 * amplitude
    assert torch.corrcoef(torch.stack([m.flatten() for m in moved]))[0, 1].abs() < 0.1


def test_at_its_default_an_elastic_displacement_folds_nothing():
    # A ramp that only rises stays one that only rises.
    ramps = ((torch.arange(80) + 0.5) / 80).expand(200, 1, 40, 80)
    out = only_strong(ramps, drawn(200), elastic=Strong().elastic)
    assert out.diff(dim=3).min() >= -1e-6


# --- contrast


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_scales_about_the_mean_of_the_image(channels):
    images = noisy(2, channels, low=0.4, high=0.6)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    for end, factor in ((MOST, 1.5), (LEAST, 0.5)):
        out = only_strong(images, all_at(end, count=2), contrast=0.5)
        torch.testing.assert_close(out - mean, factor * (images - mean), rtol=0, atol=2e-4)


def test_contrast_fills_its_range_evenly():
    images = noisy(low=0.45, high=0.55).repeat(600, 1, 1, 1)
    out = only_strong(images, drawn(600), contrast=0.4)
    factors = out.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert 0.599 < factors.min() < 0.62
    assert 1.38 < factors.max() < 1.401
    assert factors.mean().item() == pytest.approx(1, abs=0.03)


# --- noise


@pytest.mark.parametrize("part", [only_strong, only_paper])
@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_noise_is_normal_and_in_proportion_to_the_contrast_of_the_image(part, spread):
    images = noisy(height=200, width=300, low=0.5 - spread, high=0.5 + spread)
    noise = part(images, all_at(MOST), noise=0.4) - images
    assert noise.std().item() == pytest.approx(0.4 * images.std().item(), rel=0.02)
    assert noise.mean().abs() < 0.02 * noise.std()
    standard = (noise / noise.std()).flatten()
    assert (standard.abs() < 1).float().mean().item() == pytest.approx(0.683, abs=0.01)
    assert standard.pow(4).mean().item() == pytest.approx(3, abs=0.15)
    # Neither of its neighbour nor of the image does it say anything.
    for other in (noise.roll(1, dims=3), noise.roll(1, dims=2), images):
        assert torch.corrcoef(torch.stack([standard, other.flatten()]))[0, 1].abs() < 0.02


def test_noise_is_grey_and_each_image_has_its_own():
    images = noisy(1, 3, low=0.4, high=0.6).repeat(2, 1, 1, 1)
    noise = only_paper(images, drawn(2), noise=1) - images
    torch.testing.assert_close(noise[:, 0], noise[:, 1], rtol=0, atol=1e-6)
    first, second = noise[:, 0].flatten(1)
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.05


def test_the_amount_of_noise_is_drawn_evenly():
    images = noisy(low=0.4, high=0.6).repeat(500, 1, 1, 1)
    amounts = (only_paper(images, drawn(500), noise=0.5) - images).std(dim=(1, 2, 3)) / images.std()
    assert amounts.min() < 0.01
    assert amounts.max() == pytest.approx(0.5, rel=0.05)
    assert amounts.mean().item() == pytest.approx(0.25, rel=0.08)


# --- erasing


@SIZES
def test_erasing_sets_one_rectangle_of_at_most_the_given_area(height, width):
    count, strength = 400, 0.05
    images = noisy(1, 1, height, width, low=0.2, high=0.7).repeat(count, 1, 1, 1)
    out = only_strong(images, drawn(count), erasing=strength)
    changed = (out - images).abs() > 1e-3
    touched = changed.flatten(1).any(dim=1)
    assert touched.float().mean().item() == pytest.approx(0.5, abs=0.08)
    shapes = []
    for one, mask in zip(out[touched, 0], changed[touched, 0], strict=True):
        rows, columns = mask.any(dim=1).nonzero().flatten(), mask.any(dim=0).nonzero().flatten()
        box = one[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert box.max() - box.min() < 1e-6
        assert 0.2 - 1e-3 <= box.mean() <= 0.7 + 1e-3
        assert 0.3 * strength * one.numel() < box.numel() <= strength * one.numel()
        shapes.append(box.shape)
    ratios = torch.tensor([tall / wide for tall, wide in shapes])
    assert ratios.min() < 0.7
    assert ratios.max() > 1.4
    # It may fall anywhere, up to the first and last rows and columns.
    anywhere = changed[:, 0].any(dim=0)
    assert anywhere.any(dim=0).all()
    assert anywhere.any(dim=1).all()


def test_erasing_everything_is_possible_and_stays_in_the_image():
    images = noisy(8)
    out = only_strong(images, drawn(8), erasing=1)
    assert out.shape == images.shape
    assert not torch.equal(out, images)


# --- fading


def test_ink_fades_towards_paper_and_paper_stays():
    images = cell()
    images[..., 2, 2:9] = 0.95  # a glare
    out = only_paper(images, all_at(MOST), fading=0.6)
    wanted = images + 0.6 * (0.8 - images).clamp(min=0)
    torch.testing.assert_close(out, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(only_paper(images, all_at(LEAST), fading=0.6), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_ink_fades_unevenly_and_at_most_by_the_strength(channels):
    images = cell(50, channels=channels)
    lost = (only_paper(images, drawn(50), fading=0.6) - images) / 0.5
    ink = images < 0.5
    assert lost[~ink].abs().max() < 1e-6
    assert lost[ink].min() >= 0
    assert 0.4 < lost[ink].max() <= 0.6 + 1e-6
    within = lost[ink].reshape(50, -1)
    assert ((within.amax(dim=1) - within.amin(dim=1)) > 0.05).float().mean() > 0.5


# --- lines


@SIZES
def test_lines_are_dark_and_thin(height, width):
    white = torch.ones(300, 1, height, width)
    out = only_paper(white, drawn(300), lines=0.8)
    assert out.max() <= 1
    # No darker than where two borders and a rule cross.
    assert (1 - 0.8) ** 2 * (1 - 0.8 * 0.3) - 1e-6 <= out.min() < 1 - 0.8
    dark = out[:, 0] < 0.95
    assert dark.flatten(1).any(dim=1).float().mean() > 0.9
    assert dark.float().mean(dim=(1, 2)).max() < 0.25


@pytest.mark.parametrize("turned", [False, True], ids=["top", "left"])
def test_border_lines_go_from_end_to_end(turned):
    # Nothing that stands free like a stroke of a pen.
    out = only_paper(torch.ones(400, 1, 60, 60), drawn(400), lines=0.9)[:, 0]
    out = out.mT if turned else out
    # Where the line is near the edge, and dark, in the middle; tilted it may leave for the others.
    crossed = (out[:, 2:5, 30] < 0.6).any(dim=1)
    assert crossed.sum() > 20
    assert (out[crossed, :8].amin(dim=1) < 0.8).all()


def test_in_the_middle_only_pale_rules_are_drawn():
    # Down the middle, where the border lines do not go, and where writing stands.
    white = torch.ones(300, 1, 40, 80)
    out = only_paper(white, drawn(300), lines=1)[:, 0, 8:-8, 14:-14]
    assert 0.7 - 1e-6 <= out.min() < 0.75
    assert (out.amin(dim=(1, 2)) > 0.99).any()  # the rule is at times elsewhere


def test_lines_darken_ink_and_paper_alike_and_take_nothing_away():
    images = noisy(40)
    out = only_paper(images, drawn(40), lines=0.5)
    assert (out <= images + 1e-6).all()


# --- light


def test_a_shadow_is_smooth_and_not_deeper_than_its_strength():
    images = cell(200)
    out = only_paper(images, drawn(200), light=0.4)
    gain = out / images
    assert gain.max() <= 1 + 1e-6
    assert 0.6 - 1e-6 <= gain.min() < 0.65
    # White paper stays white in some, else training would know no such paper.
    assert (gain.amin(dim=(1, 2, 3)) > 0.95).float().mean() > 0.05
    assert gain.diff(dim=3).abs().max() < 0.4 * 0.1
    assert gain.diff(dim=2).abs().max() < 0.4 * 0.1
    assert ((gain.amax(dim=(1, 2, 3)) - gain.amin(dim=(1, 2, 3))) > 0.05).float().mean() > 0.5


# --- blur


@SIZES
@pytest.mark.parametrize("channels", [1, 3])
def test_blur_agrees_with_scipy(height, width, channels):
    images = noisy(2, channels, height, width)
    for end, deviation in ((MOST, 0.04 * height), (0.5, 0.02 * height)):
        out = only_paper(images, all_at(end, count=2), blur=0.04)
        for image, found in zip(images.reshape(-1, height, width), out.flatten(0, 1), strict=True):
            radius = int(np.ceil(3 * 0.04 * height))
            wanted = gaussian_filter(image.numpy(), deviation, mode="nearest", radius=radius)
            np.testing.assert_allclose(found.numpy(), wanted, atol=1e-5)
    assert torch.equal(only_paper(images, all_at(LEAST, count=2), blur=0.04), images)


# --- JPEG


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_what_a_file_of_this_quality_gives_back(channels):
    pixels = (noisy(1, channels) * 255).round().byte()
    out = only_paper(pixels / 255, all_at(MOST), jpeg=70)
    file = BytesIO()
    colours = pixels[0].permute(1, 2, 0).numpy()
    Image.fromarray(colours if channels == 3 else colours[..., 0]).save(file, "JPEG", quality=30)
    wanted = np.asarray(Image.open(file)).reshape(40, 80, channels).transpose(2, 0, 1)
    np.testing.assert_array_equal((out[0] * 255).round().byte().numpy(), wanted)


def test_jpeg_loses_more_the_more_quality_is_lost_and_spares_who_lose_none():
    images = noisy(4)
    draws = all_at(0.001, 0.2, 0.6, 1.0)
    error = (only_paper(images, draws, jpeg=90) - images).abs().mean(dim=(1, 2, 3))
    assert error[0] == 0
    assert 0 < error[1] < error[2] < error[3]


# --- all at once


def test_ink_stays_darker_than_the_paper_around_it():
    # Faint ink on grey paper, as the faintest cells that people read.
    count = 200
    images = cell(count, sheet=0.7, ink=0.6)
    ink = images[0] < 0.65
    near = torch.zeros_like(ink)
    near[:, 8:-8, 15:19] = near[:, 8:-8, 25:29] = True  # left and right of the first stroke
    stroke = ink.clone()
    stroke[:, :, 30:] = False
    out = applied(Paper(), images, drawn(count))
    contrast = (out * near).sum(dim=(1, 2, 3)) / near.sum()
    contrast -= (out * stroke).sum(dim=(1, 2, 3)) / stroke.sum()
    assert (contrast > 0.02).float().mean() > 0.97
