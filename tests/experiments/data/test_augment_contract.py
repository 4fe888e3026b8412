"""What every augmentation has to keep, found by themselves: no list to extend."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from annotated_types import Le, Lt
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.augment import AUGMENTATIONS, draw
from experiments.schema import Frozen
from experiments.settings.config import RunConfig, run_config

WITH_STRENGTHS = [name for name in AUGMENTATIONS if name != "none"]
STRENGTHS = [
    (name, strength)
    for name in WITH_STRENGTHS
    for strength in type(getattr(RunConfig(), name)).model_fields
]
every_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)


def part_way(name, part):
    """The settings with every strength of this augmentation at this part of the most it may be."""
    if name == "none":
        return RunConfig()
    model = type(getattr(RunConfig(), name))
    values = {}
    for key, field in model.model_fields.items():
        if key == "scale":
            values[key] = (1 - 0.9 * part, 1 + 2 * part)
            continue
        bound = next(m for m in field.metadata if isinstance(m, Le | Lt))
        most = bound.le if isinstance(bound, Le) else bound.lt - 1
        values[key] = field.annotation(part * most)
    return RunConfig(augmentation=name, **{name: model(**values)})


def noisy(count, channels=1, height=40, width=80, seed=0, low=0.1, high=0.9):
    """Images without two neighbours alike, so that every change is seen."""
    stream = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand((count, channels, height, width), generator=stream)


def drawn(count, seed=1):
    return draw(count, torch.Generator().manual_seed(seed))


def test_every_augmentation_can_be_set_and_every_setting_is_there():
    assert set(AUGMENTATIONS) == set(get_args(RunConfig.model_fields["augmentation"].annotation))


@pytest.mark.parametrize("name", WITH_STRENGTHS)
def test_its_strengths_stand_under_its_name_and_can_be_searched(name):
    assert isinstance(getattr(RunConfig(), name), Frozen)
    base = RunConfig()
    for key, value in base.flat().items():
        if key.startswith(f"{name}.") and key != f"{name}.scale":
            changed = run_config({}, {key: value / 2 if isinstance(value, float) else value - 1})
            assert changed.run_hash("d") != base.run_hash("d")


@every_augmentation
@given(
    channels=st.sampled_from([1, 3]),
    size=st.sampled_from([(40, 80), (32, 64), (17, 33), (8, 8), (64, 20)]),
    part=st.floats(0, 1),
    seed=st.integers(0, 2**20),
    level=st.sampled_from([(0, 1), (0.45, 0.55), (0, 0), (1, 1), (0.9, 1)]),
)
@settings(deadline=None, max_examples=25)
def test_shape_type_range_and_input_are_kept(name, channels, size, part, seed, level):
    images = noisy(3, channels, *size, seed, *level)
    before = images.clone()
    out = AUGMENTATIONS[name](images, drawn(3, seed), part_way(name, part))
    assert (out.shape, out.dtype, out.device) == (images.shape, images.dtype, images.device)
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-6
    assert torch.equal(images, before)


@every_augmentation
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_does_not_see_its_batch(name, channels):
    images, draws, config = noisy(7, channels), drawn(7), RunConfig()
    together = AUGMENTATIONS[name](images, draws, config)
    order = torch.tensor([4, 0, 6, 2])
    torch.testing.assert_close(
        AUGMENTATIONS[name](images[order], draws[order], config),
        together[order],
        rtol=0,
        atol=1e-6,
    )
    for i in range(7):
        alone = AUGMENTATIONS[name](images[i : i + 1], draws[i : i + 1], config)
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-6)


@every_augmentation
def test_the_draws_decide_and_no_global_stream_is_touched(name):
    images, draws, config = noisy(4), drawn(4), RunConfig()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = AUGMENTATIONS[name](images, draws, config)
    # Dropout draws from this stream, and two arms are to draw alike.
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(AUGMENTATIONS[name](images, draws.clone(), config), first)


@pytest.mark.parametrize("name", WITH_STRENGTHS)
def test_every_image_and_every_epoch_is_another(name):
    same = noisy(1).repeat(6, 1, 1, 1)
    outs = torch.cat([AUGMENTATIONS[name](same, drawn(6, seed), RunConfig()) for seed in (1, 2)])
    for i in range(12):
        for j in range(i):
            assert (outs[i] - outs[j]).abs().max() > 0.05


@every_augmentation
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(40, 80), (17, 33)])
def test_without_strength_nothing_changes(name, channels, size):
    images = noisy(5, channels, *size)
    out = AUGMENTATIONS[name](images, drawn(5), part_way(name, 0))
    torch.testing.assert_close(out, images, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "strength"), STRENGTHS)
def test_every_strength_has_an_effect_by_itself(name, strength):
    images, draws = noisy(16), drawn(16)
    still = part_way(name, 0)
    default = getattr(getattr(RunConfig(), name), strength)
    config = run_config(still.model_dump(), {f"{name}.{strength}": default})
    changed = (AUGMENTATIONS[name](images, draws, config) - images).abs().amax(dim=(1, 2, 3))
    # Of each, some images may by chance be spared.
    assert (changed > 0.004).sum() >= 6


def test_strong_moves_as_affine_does():
    images, draws = noisy(6), drawn(6)
    still = part_way("strong", 0).model_dump()
    ranges = RunConfig().affine.model_dump()
    config = run_config(still, {f"strong.{key}": value for key, value in ranges.items()})
    moved = AUGMENTATIONS["strong"](images, draws, config)
    torch.testing.assert_close(moved, AUGMENTATIONS["affine"](images, draws, RunConfig()))


def test_strong_and_paper_share_their_noise():
    images, draws = noisy(3, low=0.4, high=0.6), drawn(3)
    first, second = (
        AUGMENTATIONS[name](
            images, draws, run_config(part_way(name, 0).model_dump(), {f"{name}.noise": 0.5})
        )
        for name in ("strong", "paper")
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)
