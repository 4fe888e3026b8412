"""The loop: clipping, and which epoch is kept."""

import pytest
import torch

from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.data.splits import make_split
from experiments.errors import UserError
from experiments.settings.config import run_config
from experiments.training import loop
from experiments.training.loop import fit


@pytest.fixture
def trained(make_cells, tmp_path):
    """What is fitted in an epoch of two batches under these settings."""
    folder = make_cells(train=20, dev=4, human=0, duplicates=0, leaked=0, human_leaked=0)
    images = load_images(read_cells(folder, "0123456789.-"), 16, 64, 1)

    def train(**settings):
        common = {"image": {"height": 16, "width": 64}, "hidden": 8, "batch_size": 8, "epochs": 1}
        config = run_config(common | settings, {})
        file = tmp_path / f"{config.run_hash('')}.safetensors"
        nothing = lambda *_: None  # noqa: E731
        return fit(config, images, make_split(images, config), file, nothing, nothing)

    return train


def test_clip_norm_0_leaves_the_gradients_as_they_are(trained):
    whole, unclipped, clipped = (
        torch.cat([p.detach().flatten() for p in trained(clip_norm=norm).model.parameters()])
        for norm in (0, 1e9, 0.01)
    )
    assert torch.equal(whole, unclipped)
    assert not torch.equal(whole, clipped)


def test_without_clipping_a_loss_that_is_no_number_still_stops_the_run(trained):
    with pytest.raises(UserError, match=r"lower the learning rate \(optimizer.max_lr=1e\+30\)"):
        trained(clip_norm=0, optimizer={"max_lr": 1e30}, epochs=3)


def fitted(monkeypatch, trained, scores, **settings):
    """What is trained when validation says this."""
    said = iter(scores)

    def validate(*_):
        exact, loss = next(said)
        return {"val.exact_match": exact, "val.loss": loss}

    monkeypatch.setattr(loop, "validate", validate)
    return trained(epochs=len(scores), **settings)


def kept(monkeypatch, trained, scores, **settings):
    """The epoch that is kept, and how many were trained, when validation says this."""
    progress = fitted(monkeypatch, trained, scores, **settings).progress
    return progress.best, len(progress.history)


def test_while_nothing_is_read_the_epoch_with_the_least_loss_is_kept(monkeypatch, trained):
    assert kept(monkeypatch, trained, [(0, 9.0), (0, 5.0), (0, 4.0), (0, 6.0)]) == (2, 4)
    assert kept(monkeypatch, trained, [(0.5, 5.0), (0.25, 1.0), (0.5, 4.0)], seed=1) == (2, 3)
    assert kept(monkeypatch, trained, [(0.5, 4.0), (0.5, 4.0)], seed=2) == (0, 2)


def test_the_last_epoch_is_kept_whatever_validation_says(monkeypatch, trained):
    falls, rises = [(0.5, 1.0), (0.25, 2.0)], [(0.25, 2.0), (0.5, 1.0)]
    last, first, second = (
        fitted(monkeypatch, trained, scores, ema=0.3, **settings).model.state_dict()
        # Patience makes another run of the third, which else were the second gone on with.
        for scores, settings in ((falls, {"keep": "last"}), (falls, {}), (rises, {"patience": 5}))
    )
    assert all(torch.equal(last[key], second[key]) for key in last)
    assert not all(torch.equal(last[key], first[key]) for key in last)
    assert kept(monkeypatch, trained, falls, keep="last") == (1, 2)


def test_patience_does_not_run_out_while_the_loss_falls(monkeypatch, trained):
    falling = [(0, 9.0), (0, 8.0), (0, 7.0), (0, 6.0), (0.1, 5.0)]
    assert kept(monkeypatch, trained, falling, patience=1) == (4, 5)
    level = [(0, 9.0), (0, 8.0), (0, 8.5), (0, 8.0), (0.1, 5.0)]
    assert kept(monkeypatch, trained, level, patience=1, seed=1) == (1, 3)
