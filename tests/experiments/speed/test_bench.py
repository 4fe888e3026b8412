"""Ratios of speeds: what takes twice as long is half as fast, however busy the machine is."""

import itertools

import pytest
import torch

from experiments.settings.config import run_config
from experiments.speed import bench
from experiments.speed.bench import Arm, Measured, Ratio, as_table, measure
from experiments.training.run import load_data

SMALL = {"batch_size": 8, "width_stride": 8, "hidden": 16, "image.height": 16, "image.width": 80}


@pytest.fixture(scope="module")
def images(make_cells, tmp_path_factory):
    data = make_cells(train=28, val=8)
    return lambda config: load_data(config, data, tmp_path_factory.mktemp("out"), judges=False)


def test_a_ratio_is_taken_round_by_round():
    # A machine that is twice as fast in one round than in another changes nothing.
    assert Ratio.of([2.0, 4.0, 8.0], [1.0, 2.0, 4.0]) == (2, 2, 2)
    assert Ratio.of([1.0, 3.0, 2.0], [1.0, 1.0, 1.0]) == (2, 1, 3)


@pytest.mark.slow
def test_what_takes_its_time_is_slower(images, monkeypatch):
    config = run_config({}, SMALL)
    clock = itertools.count()
    monkeypatch.setattr(bench.time, "perf_counter", lambda: float(next(clock)))
    # With a clock that only counts how often it is asked all take the same time, so that the ratio
    # is that of how many images each took meanwhile.
    twice = run_config({}, SMALL | {"batch_size": 16})
    arms = {"twice": Arm(twice, images(twice)), "same": Arm(config, images(config))}
    found = measure(arms, Arm(config, images(config)))
    assert found.steps == {"twice": (2, 2, 2), "same": (1, 1, 1)}
    assert found.harness == (1, 1, 1)
    assert found.data == (16, 16, 16)


def test_the_plain_loop_learns_what_a_run_does(images):
    config = run_config({}, SMALL)
    plain, ours = (
        make(config, images(config)) for make in (bench._plain_steps, bench.training_steps)
    )
    weights = []
    for take in (plain, ours):
        torch.manual_seed(3)  # of the dropout
        for _ in range(2):
            take()
        cells = {name: c.cell_contents for name, c in closure(take)}
        model = cells["model"] if "model" in cells else cells["step"]._model
        weights.append([w.detach().clone() for w in model.parameters()])
    for mine, other in zip(*weights, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def closure(function):
    return zip(function.__code__.co_freevars, function.__closure__, strict=True)


def test_the_table_says_each_ratio_with_its_range():
    steps = {"a, ctc": Ratio(1.5, 1.25, 1.75), "a, ce_stop": Ratio(0.75, 0.5, 1)}
    found = Measured(steps, Ratio(0.98, 0.97, 0.99), Ratio(60, 50, 70))
    lines = as_table(found, "other").splitlines()
    assert lines[1].startswith("a step of a, ctc over one of other")
    assert lines[1].endswith("1.50  (1.25 to 1.75)")
    assert lines[2].startswith("a step of a, ce_stop over one of other")
    assert lines[4].endswith("60.00  (50.00 to 70.00)")
