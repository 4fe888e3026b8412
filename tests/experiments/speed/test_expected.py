"""The expected time of runs: by hand, where a step takes a known time."""

import pytest

from experiments.settings.config import run_config
from experiments.speed import expected as module
from experiments.speed.expected import Ahead, estimate, expected

SMALL = {"batch_size": 8, "width_stride": 8, "hidden": 16, "image.height": 16, "image.width": 80}


@pytest.fixture(scope="module")
def cells(make_cells):
    # 28 to learn from, which is three batches of 8; 10 to validate; 20 to judge.
    return make_cells(train=28, val=10, dev=20, human=4)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("out")


def ahead(cells, epochs=2, **changes):
    config = run_config({}, SMALL | changes)
    return Ahead(config, cells, epochs)


def test_runs_take_their_steps_what_they_read_and_their_beginning(cells, out, monkeypatch):
    monkeypatch.setattr(module, "_step_seconds", lambda config, _: config.batch_size / 10)
    monkeypatch.setattr(module.time, "process_time", lambda: 5.0)
    # An image a tenth of a second: 24 learnt and 10 read an epoch, 62 read at the end.
    one = 5 + (2 * (24 + 0.3 * 10) + 0.3 * 62) / 10
    assert estimate([ahead(cells)], out, 1) == pytest.approx(one)
    runs = [ahead(cells, seed=seed) for seed in range(3)]
    assert estimate(runs, out, 1) == pytest.approx(3 * one)
    assert estimate(runs, out, 2) == pytest.approx(2 * one)
    assert estimate(runs, out, 3) == pytest.approx(one)
    # A long one at the end is waited for.
    long = ahead(cells, epochs=200)
    assert estimate([*runs, long], out, 2) == pytest.approx(one + estimate([long], out, 1))


def test_each_kind_is_tried_once_on_images_of_its_size(cells, out, monkeypatch):
    tried = []

    def step_seconds(config, images):
        tried.append((config.image.width, images.pixels.shape[-1]))
        return 1.0

    monkeypatch.setattr(module, "_step_seconds", step_seconds)
    wide = {"image.width": 160}
    runs = [ahead(cells, seed=s, epochs=e) for s in (0, 1) for e in (1, 2)]
    estimate([*runs, ahead(cells, **wide), ahead(cells, seed=1, **wide)], out, 1)
    assert tried == [(80, 80), (160, 160)]


def test_without_time_to_try_a_kind_its_multiply_adds_say(cells, out, monkeypatch):
    monkeypatch.setattr(module, "_step_seconds", lambda *_: 1.0)
    monkeypatch.setattr(module, "_ALL", -1.0)
    monkeypatch.setattr(module, "_multiply_adds", lambda config: config.image.width)
    monkeypatch.setattr(module.time, "process_time", lambda: 0.0)
    narrow, wide = ahead(cells), ahead(cells, **{"image.width": 160})
    both = estimate([narrow, wide], out, 1)
    assert both == pytest.approx(3 * estimate([narrow], out, 1))


def test_steps_are_really_taken(cells, out):
    assert 0 < estimate([ahead(cells)], out, 1) < 600


@pytest.mark.slow
def test_in_a_process_of_its_own_and_none_where_that_fails(cells, out):
    assert 0 < expected([ahead(cells)], out, 1, 1) < 600
    assert expected([ahead(cells, batch_size=29)], out, 1, 1) is None


def test_folds_have_a_time_as_well(cells, out, monkeypatch):
    monkeypatch.setattr(module, "_step_seconds", lambda config, _: config.batch_size / 10)
    assert estimate([ahead(cells, split="kfold", folds=4)], out, 1) > 0
