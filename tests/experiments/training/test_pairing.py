"""Two arms with the same seed see the same split, batch order and augmentation."""

import pytest
import torch

from experiments.data.augmentation.affine import Affine
from experiments.data.splits import make_split
from experiments.data.synthetic.strings import ensure_strings
from experiments.settings.config import run_config
from experiments.training import loop
from experiments.training.build import build
from experiments.training.run import load_data
from losses import OBJECTIVES


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 200, "val": 40, "dev": 40}
    return ensure_strings(tmp_path_factory.mktemp("strings"), counts=counts)


def seen(data, tmp_path, monkeypatch, **settings):
    """The split, and every augmented batch that the model was given, of two epochs."""
    config = run_config(
        {"epochs": 2, "width_stride": 8, "augmentation": "affine", "val_fraction": 0.2},
        {**settings, "hidden": 16},
    )
    images = load_data(config, data, tmp_path)
    # The embedded data set has a validation list of its own: without it, the seed cuts one.
    rows = [row for row in images.rows if row.part != "val"]
    images = type(images)(
        images.name,
        images.pixels[: len(rows)],
        tuple(rows),
        images.groups[: len(rows)],
        images.readings,
        images.digest,
    )
    split = make_split(images, config)
    batches = []

    moved = Affine.augment

    def spy(augmentation, inputs, draws):
        batches.append(moved(augmentation, inputs, draws))
        return batches[-1]

    with monkeypatch.context() as patched:
        patched.setattr(Affine, "augment", spy)
        _fit(config, images, split, tmp_path / f"{'-'.join(map(str, settings.values()))}.ckpt")
    return split, torch.stack(batches)


def _fit(config, images, split, checkpoint):
    loop.fit(config, images, split, checkpoint, lambda *_: None, lambda *_: None)


@pytest.mark.slow
def test_the_loss_changes_nothing_that_the_seed_decides(data, tmp_path, monkeypatch):
    arms = [{"loss": name, "seed": 3} for name in OBJECTIVES]
    arms.append({"loss": "ce_stop", "decoder": "latent_lstm", "seed": 3})
    arms.append({"loss": "ctc", "loss_options": {"shortcut_weight": 0.1}, "seed": 3})
    split, batches = seen(data, tmp_path, monkeypatch, **arms[0])
    assert len(batches) == 2 * (160 // 32)
    for arm in arms[1:]:
        other_split, other_batches = seen(data, tmp_path, monkeypatch, **arm)
        assert other_split == split
        assert torch.equal(other_batches, batches)


@pytest.mark.slow
def test_the_seed_and_the_epoch_change_them(data, tmp_path, monkeypatch):
    split, batches = seen(data, tmp_path, monkeypatch, loss="ctc", seed=3)
    other_split, other_batches = seen(data, tmp_path, monkeypatch, loss="ctc", seed=4)
    assert other_split.val != split.val
    assert not torch.equal(other_batches, batches)
    first, second = batches.chunk(2)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(
    "arm",
    [
        *({"loss": name} for name in OBJECTIVES),
        {"loss": "ctc", "loss_options": {"shortcut_weight": 0.1}},
        {"loss": "ce_stop", "loss_options": {"length_weight": 0.0}},
    ],
    ids=str,
)
def test_the_trunk_and_the_encoder_start_alike_for_every_layout(arm):
    first, second = (
        build(run_config({}, {**settings, "seed": 5}))[0].state_dict()
        for settings in ({"loss": "ctc"}, arm)
    )
    shared = [k for k in first if k.startswith(("trunk.", "encoder."))]
    assert len(shared) > 10
    for key in shared:
        assert torch.equal(first[key], second[key]), key
