"""Two runs at once: in processes of their own, which end with the command."""

import multiprocessing

import pytest

from experiments.errors import UserError
from experiments.settings.config import run_config
from experiments.speed import side_by_side as module
from experiments.speed.bench import Ratio
from experiments.speed.side_by_side import SideBySide, as_lines, side_by_side

SMALL = {"batch_size": 8, "width_stride": 8, "hidden": 16, "image.height": 16, "image.width": 80}


@pytest.mark.slow
def test_three_processes_take_steps_and_end(make_cells, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROUNDS", 2)
    data = make_cells(train=28, val=8)
    found = side_by_side(run_config({}, SMALL), data, tmp_path, 2)
    assert 0 < found.speed.least <= found.speed.median <= found.speed.most
    # Each of them has torch in it.
    assert found.alone > 100
    assert found.both > 1.5 * found.alone
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_process_that_dies_is_no_hang(make_cells, tmp_path):
    data = make_cells(train=28, val=8)
    config = run_config({}, SMALL | {"backbone": "small_cnn", "image.height": 8, "image.width": 8})
    # It is too small for its labels, which the child says.
    with pytest.raises(UserError, match="ended early"):
        side_by_side(config, data, tmp_path, 2)
    assert not multiprocessing.active_children()


def test_the_lines_say_ratio_and_memory():
    row, memory = as_lines(SideBySide(Ratio(1.7, 1.5, 1.9), 1200.4, 2300.6)).splitlines()
    assert row.startswith("two runs side by side over one with all threads")
    assert row.endswith("1.70  (1.50 to 1.90)")
    assert memory == "peak memory: one run 1200 MiB, two side by side 2301 MiB"
