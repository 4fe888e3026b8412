"""The expected time of runs: by hand, where a step takes a known time."""

import pytest
import torch

from experiments.settings.config import run_config
from experiments.speed import expected as module
from experiments.speed.expected import Ahead, expected
from experiments.training.run import load_data

SMALL = {"batch_size": 8, "width_stride": 8, "hidden": 16, "image.height": 16, "image.width": 80}


@pytest.fixture(scope="module")
def images(make_cells, tmp_path_factory):
    # 28 to learn from, which is three batches of 8; 10 to validate; 20 to judge.
    data = make_cells(train=28, val=10, dev=20, human=4)
    return load_data(run_config({}, SMALL), data, tmp_path_factory.mktemp("out"))


def ahead(images, epochs=2, **changes):
    config = run_config({}, SMALL | changes)
    return Ahead(config, images, epochs)


def test_runs_take_their_steps_what_they_read_and_their_beginning(images, monkeypatch):
    monkeypatch.setattr(module, "_step_seconds", lambda run: run.config.batch_size / 10)
    # An image a tenth of a second: 24 learnt and 10 read an epoch, 62 read at the end.
    one = 5 + (2 * (24 + 0.3 * 10) + 0.3 * 62) / 10
    assert expected([ahead(images)], 1, 1, 5) == pytest.approx(one)
    runs = [ahead(images, seed=seed) for seed in range(3)]
    assert expected(runs, 1, 1, 5) == pytest.approx(3 * one)
    assert expected(runs, 2, 1, 5) == pytest.approx(2 * one)
    assert expected(runs, 3, 1, 5) == pytest.approx(one)
    # A long one at the end is waited for.
    long = ahead(images, epochs=200)
    assert expected([*runs, long], 2, 1, 5) == pytest.approx(one + expected([long], 1, 1, 5))


def test_each_kind_is_tried_once(images, monkeypatch):
    tried = []
    monkeypatch.setattr(module, "_step_seconds", lambda run: tried.append(run.config) or 1.0)
    wide = {"image.width": 160}
    runs = [ahead(images, seed=s, epochs=e) for s in (0, 1) for e in (1, 2)]
    expected([*runs, ahead(images, **wide), ahead(images, seed=1, **wide)], 1, 1, 0)
    assert [config.image.width for config in tried] == [80, 160]


def test_without_time_to_try_a_kind_its_multiply_adds_say(images, monkeypatch):
    monkeypatch.setattr(module, "_step_seconds", lambda _: 1.0)
    monkeypatch.setattr(module, "_ALL", -1.0)
    monkeypatch.setattr(module, "_multiply_adds", lambda config: config.image.width)
    narrow, wide = ahead(images), ahead(images, **{"image.width": 160})
    both = expected([narrow, wide], 1, 1, 0)
    assert both == pytest.approx(3 * expected([narrow], 1, 1, 0))


def test_steps_are_really_taken_and_threads_left_as_they_were(images):
    torch.set_num_threads(1)
    assert 0 < expected([ahead(images)], 1, 2, 0) < 60
    assert torch.get_num_threads() == 1
