"""The learning-rate range test: its bounds on made curves, and that it falls and blows up."""

from statistics import median

import pytest
import torch

from experiments.data.splits import learning_split
from experiments.search import range_test as module
from experiments.search.range_test import _bounds, plot, range_test
from experiments.settings.config import run_config
from experiments.training.run import load_data
from experiments.training.step import DivergedError, Step


def test_the_bounds_are_a_tenth_and_nine_tenths_of_the_way_down():
    rates = [10.0**n for n in range(-5, 2)]
    #         1e-5  1e-4  1e-3  1e-2  0.1  1.0  10
    losses = [10.0, 9.95, 9.0, 5.0, 0.9, 0.0, 20.0]
    assert _bounds(rates, losses) == (1e-3, 0.1)


def test_noise_at_the_start_is_no_fall():
    rates = [float(n) for n in range(1, 41)]
    # One bad batch, a dip that does not last, then the fall from 10 to 0 between 20 and 30.
    losses = [13.0, 10.0, 8.0, *[10.0] * 17, *[10.0 - n for n in range(1, 11)], *[0.5] * 10]
    low, high = _bounds(rates, losses)
    assert (low, high) == (21.0, 29.0)


@pytest.mark.parametrize("losses", [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0], [1.0]])
def test_a_loss_that_never_falls_leaves_the_whole_test(losses):
    rates = [0.1, 0.2, 0.3][: len(losses)]
    assert _bounds(rates, losses) == (rates[0], rates[-1])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["ctc", "ce_stop"])
def test_it_finds_where_an_arm_learns(make_cells, tmp_path, monkeypatch, loss):
    config = run_config(
        {"loss": loss, "batch_size": 8, "width_stride": 8, "hidden": 16},
        {"image.height": 16, "image.width": 80},
    )
    images = load_data(config, make_cells(train=24, val=8), tmp_path, judges=False)
    split = learning_split(images, config)
    tested = range_test(config, images, split)
    assert tested.rates == sorted(tested.rates)
    assert len(tested.rates) == len(tested.losses)
    assert 1e-5 < tested.low < tested.high <= tested.rates[-1]
    # At the first rates nothing is learnt; between the bounds most of it is.
    # Where it started is a median: the images of one batch may be hard ones.
    start = median(tested.losses[: len(tested.losses) // 10])
    fall = start - min(tested.losses)
    at = dict(zip(tested.rates, tested.losses, strict=True))
    assert at[tested.low] - at[tested.high] == pytest.approx(0.8 * fall, abs=0.15 * fall)
    monkeypatch.setattr(module, "_STEPS", 5)
    assert range_test(config, images, split) == range_test(config, images, split)
    plot(tested, "an arm", tmp_path / "range.png")
    assert (tmp_path / "range.png").read_bytes().startswith(b"\x89PNG")


def test_it_learns_from_the_batches_of_training(training_set, monkeypatch, epoch_batches):
    config, images, split = training_set
    seen = []

    class Spy(Step):
        def __call__(self, batch):
            seen.append(batch.inputs)
            return super().__call__(batch)

    monkeypatch.setattr(module, "Step", Spy)
    monkeypatch.setattr(module, "_STEPS", 5)
    range_test(config, images, split)
    expected = [b.inputs for epoch in (0, 1) for b in epoch_batches(*training_set, epoch=epoch)][:5]
    assert len(seen) == len(expected) == 5
    assert all(map(torch.equal, seen, expected))


def test_one_that_diverges_at_once_says_so(training_set, monkeypatch):
    config, images, split = training_set
    monkeypatch.setattr(Step, "__call__", lambda *_: (_ for _ in ()).throw(DivergedError("nan")))
    with pytest.raises(DivergedError):
        range_test(config, images, split)
