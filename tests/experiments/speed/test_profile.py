"""Where a training's time goes: every part of a step is there, and the shares are shares."""

import re
from types import SimpleNamespace

import pytest

from experiments.settings.config import run_config
from experiments.speed import profile
from experiments.speed.profile import STEPS, profile_training
from experiments.training.run import load_data
from experiments.training.step import PARTS

SETTINGS = {"batch_size": 8, "width_stride": 8, "hidden": 16, "image.height": 16}


@pytest.fixture(scope="module")
def seen(make_cells, tmp_path_factory):
    config = run_config({}, SETTINGS | {"image.width": 80})
    images = load_data(config, make_cells(train=28, val=8), tmp_path_factory.mktemp("out"))
    return profile_training(config, images)


def shares(text, after):
    below = text.partition(after)[2].partition("\n\n")[0]
    return {
        line.split()[0]: float(line.split()[-1].rstrip("%"))
        for line in below.splitlines()
        if line.endswith("%")
    }


def test_the_parts_of_a_step_are_all_there_and_make_a_whole(seen):
    found = shares(seen, "part of a step")
    assert list(found) == list(PARTS)
    assert sum(found.values()) == pytest.approx(100, abs=0.5)
    # What costs most in any network that is learnt by its gradients.
    assert found["backward"] > found["loss"]
    assert all(share > 0 for share in found.values())


def test_the_dearest_operations_come_first(seen):
    found = list(shares(seen, "operation ").values())
    assert found == sorted(found, reverse=True)
    assert len(found) == 10
    assert sum(found) <= 100
    assert "convolution" in seen


def test_an_epoch_that_is_too_short_gives_the_steps_it_has(seen):
    steps, images = re.match(r"(\d+) steps of (\d+) images", seen).groups()
    assert (int(steps), int(images)) == (28 // 8, 8)
    assert int(steps) < STEPS
    rate = re.search(r"([\d.]+) ms a step, (\d+) images a second", seen).groups()
    assert float(rate[1]) == pytest.approx(1000 * 8 / float(rate[0]), rel=0.05)
    assert float(re.search(r"process (\d+) MiB", seen)[1]) > 50


def test_on_windows_the_peak_is_that_of_its_own_count(monkeypatch):
    memory = SimpleNamespace(peak_wset=3 * 2**20)
    process = SimpleNamespace(memory_info=lambda: memory)
    monkeypatch.setattr(profile.sys, "platform", "win32")
    monkeypatch.setattr(profile.psutil, "Process", lambda: process)
    assert profile.peak_memory() == 3
