"""What every augmentation has to keep; a new one is found here by itself."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Literal

import pytest
import torch
from annotated_types import Le, Lt
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.augmentation import AUGMENTATIONS
from experiments.data.augmentation.affine import Affine
from experiments.data.augmentation.base import Augmentation, register
from experiments.data.augmentation.strong import Strong
from experiments.seeding import generator
from experiments.settings.config import run_config

# What has no strength has nothing to draw.
WITH_STRENGTHS = [name for name, kind in AUGMENTATIONS.items() if len(kind.model_fields) > 1]
STRENGTHS = [
    (name, strength)
    for name in WITH_STRENGTHS
    for strength in AUGMENTATIONS[name].model_fields
    if strength != "name"
]
every_augmentation = pytest.mark.parametrize("name", AUGMENTATIONS)


def part_way(name, part):
    """The augmentation with every strength at this part of the most it may be."""
    kind = AUGMENTATIONS[name]
    values = {}
    for key, field in kind.model_fields.items():
        if key == "name":
            continue
        if key == "scale":
            values[key] = (1 - 0.9 * part, 1 + 2 * part)
            continue
        bound = next(m for m in field.metadata if isinstance(m, Le | Lt))
        most = bound.le if isinstance(bound, Le) else bound.lt - 1
        values[key] = field.annotation(part * most)
    return kind(**values)


def noisy(count, channels=1, height=40, width=80, seed=0, low=0.1, high=0.9):
    """Images without two neighbours alike, so that every change is seen."""
    stream = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand((count, channels, height, width), generator=stream)


def drawn(augmentation, count, seed=1):
    return augmentation.draw(count, partial(generator, seed))


def applied(augmentation, images, seed=1):
    return augmentation.augment(images, drawn(augmentation, len(images), seed))


@pytest.mark.parametrize(("name", "strength"), STRENGTHS)
def test_a_strength_is_set_under_its_augmentation_and_is_part_of_the_runs_identity(name, strength):
    base = run_config({"augmentation": name}, {})
    value = getattr(base.augmentation, strength)
    other = [1, value[1]] if strength == "scale" else value / 2 if value % 1 else value - 1
    changed = run_config({"augmentation": name}, {f"augmentation.{strength}": other})
    assert changed.run_hash("d") != base.run_hash("d")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_what_a_search_tries_is_a_strength_whose_two_ends_are_allowed(name):
    kind = AUGMENTATIONS[name]
    for key, values in kind.ranges.items():
        for end in (values.low, values.high):
            assert getattr(kind.model_validate({key: end}), key) == end


@every_augmentation
@given(
    channels=st.sampled_from([1, 3]),
    size=st.sampled_from([(40, 80), (32, 64), (17, 33), (8, 8), (64, 20)]),
    part=st.floats(0, 1),
    seed=st.integers(0, 2**20),
    level=st.sampled_from([(0, 1), (0.45, 0.55), (0, 0), (1, 1), (0.9, 1)]),
)
@settings(max_examples=25)
def test_shape_type_range_and_input_are_kept(name, channels, size, part, seed, level):
    images = noisy(3, channels, *size, seed, *level)
    before = images.clone()
    out = applied(part_way(name, part), images, seed)
    assert (out.shape, out.dtype, out.device) == (images.shape, images.dtype, images.device)
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-6
    assert torch.equal(images, before)


@every_augmentation
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_does_not_see_its_batch(name, channels):
    for augmentation in without_leaps(AUGMENTATIONS[name]()):
        does_not_see_its_batch(augmentation, channels)


def without_leaps(augmentation):
    """It, or where it writes JPEG that by itself and the others by themselves.

    How a processor sums depends on the batch in the last bit, and JPEG makes whole steps of that.
    """
    parts = augmentation.parts
    if "jpeg" not in parts:
        return [augmentation]
    others = dict.fromkeys(set(parts) - {"jpeg"}, 0)
    return [augmentation.model_copy(update=change) for change in ({"jpeg": 0}, others)]


def does_not_see_its_batch(augmentation, channels):
    images, draws = noisy(7, channels), drawn(augmentation, 7)
    together = augmentation.augment(images, draws)
    order = torch.tensor([4, 0, 6, 2])
    torch.testing.assert_close(
        augmentation.augment(images[order], draws[order]), together[order], rtol=0, atol=1e-6
    )
    for i in range(7):
        alone = augmentation.augment(images[i : i + 1], draws[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=0, atol=1e-6)


@every_augmentation
def test_the_draws_decide_and_no_global_stream_is_touched(name):
    augmentation, images = AUGMENTATIONS[name](), noisy(4)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = applied(augmentation, images)
    # Dropout draws from this stream, and two arms are to draw alike.
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(applied(augmentation, images), first)


@pytest.mark.parametrize("name", WITH_STRENGTHS)
def test_every_image_and_every_epoch_is_another(name):
    same = noisy(1).repeat(6, 1, 1, 1)
    outs = torch.cat([applied(AUGMENTATIONS[name](), same, seed) for seed in (1, 2)])
    for i in range(12):
        for j in range(i):
            assert (outs[i] - outs[j]).abs().max() > 0.05


@every_augmentation
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(40, 80), (17, 33)])
def test_without_strength_nothing_changes(name, channels, size):
    images = noisy(5, channels, *size)
    torch.testing.assert_close(applied(part_way(name, 0), images), images, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "strength"), STRENGTHS)
def test_every_strength_has_an_effect_by_itself(name, strength):
    images = noisy(16)
    default = getattr(AUGMENTATIONS[name](), strength)
    alone = part_way(name, 0).model_copy(update={strength: default})
    changed = (applied(alone, images) - images).abs().amax(dim=(1, 2, 3))
    # Of each, some images may by chance be spared.
    assert (changed > 0.004).sum() >= 6


def test_strong_moves_as_affine_does():
    images = noisy(6)
    moves = Affine().model_dump(exclude={"name"})
    still = part_way("strong", 0).model_copy(update=moves)
    torch.testing.assert_close(applied(still, images), applied(Affine(), images))


def test_strong_and_paper_share_their_noise():
    images = noisy(3, low=0.4, high=0.6)
    first, second = (
        applied(part_way(name, 0).model_copy(update={"noise": 0.5}), images)
        for name in ("strong", "paper")
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-4)


def test_a_new_augmentation_changes_nothing_of_what_the_others_draw():
    class Grown(Strong):
        # A part of its own before, and others after, those that it shares.
        parts: ClassVar = {"flip": 3, "affine": 5, "noise": 2, "smudge": 7}

    old, new = Strong(), Grown()
    before, after = (drawn(one, 5) for one in (old, new))
    images = noisy(5)
    for part in ("affine", "noise"):
        assert torch.equal(old.drawn(part, before, images), new.drawn(part, after, images))
    # A part is a stream of its own: the first of strong draws what affine alone does.
    assert torch.equal(old.drawn("affine", before, images), drawn(Affine(), 5))
    assert not torch.equal(
        new.drawn("flip", after, images)[:, :2], new.drawn("noise", after, images)
    )


@pytest.mark.parametrize(
    ("name", "said"), [("affine", "two augmentations are called"), ("shaky", "set name")]
)
def test_a_name_is_taken_once_and_is_that_of_the_settings(name, said):
    class Shaky(Augmentation):
        name: Literal["other"] = "other"

        def augment(self, images, draws):  # noqa: ARG002
            return images

    with pytest.raises(ValueError, match=said):
        register(name)(Shaky)
    assert AUGMENTATIONS["affine"] is Affine
    assert "shaky" not in AUGMENTATIONS
