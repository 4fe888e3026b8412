"""The table of a model's forms: what is compared, and in which order times are taken."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from experiments.deploy.export import measure as module
from experiments.deploy.export.measure import Measured, Table, measure
from experiments.deploy.export.part import Part

TIMES = {1: [1.0, 2.0, 3.0], 32: [10.0, 20.0, 30.0]}
PART = Part(np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1), ["1"] * 40)


def form(name, wrong, of=1000):
    return Measured(name, 1_500_000, np.arange(of) >= wrong, TIMES)


@pytest.mark.parametrize(("wrong", "bad"), [(100, []), (105, []), (106, ["int8"]), (90, [])])
def test_more_than_half_a_point_is_too_much(wrong, bad):
    table = Table([form("torch", 100), form("ONNX", 100), form("int8", wrong)], np.arange(1000))
    assert table.too_bad() == bad


def test_a_row_has_what_was_counted_and_its_interval():
    table = Table([form("torch", 100), form("int8", 120)], np.arange(1000))
    heads, _, first, second = table.text().splitlines()
    assert heads.count("|") == first.count("|") == second.count("|") == 7
    low, high = binomtest(880, 1000).proportion_ci(0.95, method="wilson")
    assert f"| int8 | 88.0 ({100 * low:.1f} to {100 * high:.1f}) | -2.0 (" in second
    assert "| 1.50 | 2.0 (1.0 to 3.0) | 20.0 (10.0 to 30.0) |" in second
    # 20 of 1,000 pairs differ, all one way: sqrt(0.02 * 0.98 / 1000) is 0.44 points.
    low, high = (float(x) for x in second.split("-2.0 (")[1].split(")")[0].split(" to "))
    assert (low, high) == (pytest.approx(-2.0 - 0.87, abs=0.15), pytest.approx(-1.1, abs=0.15))


def test_identical_images_count_as_one():
    alone = Table([form("torch", 100), form("int8", 120)], np.arange(1000)).text()
    copies = Table([form("torch", 100), form("int8", 120)], np.arange(1000) // 10).text()
    assert alone.splitlines()[-1].split("-2.0 (")[0] == copies.splitlines()[-1].split("-2.0 (")[0]
    assert alone != copies


def test_all_take_turns_on_one_thread(tmp_path, monkeypatch):
    said = []

    class Fake:
        def __init__(self, name, last):
            self.name, self.last = name, last

        def read(self, pixels):
            said.append((self.name, len(pixels), torch.get_num_threads()))
            return [("1" if image.flat[0] < self.last else "", 1.0, ()) for image in pixels]

    def opened(file, threads):
        assert threads == 1
        return Fake(file.name, 30)

    monkeypatch.setattr(module, "OnnxReader", opened)
    weights, file = tmp_path / "weights", tmp_path / "onnx"
    weights.write_bytes(bytes(5))
    file.write_bytes(bytes(3))
    torch.set_num_threads(2)
    try:
        table = measure(Fake("torch", 35), weights, {"ONNX": file}, PART, list(range(40)))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert [(f.name, f.size, int(f.right.sum())) for f in table.forms] == [
        ("torch", 5, 35),
        ("ONNX", 3, 30),
    ]
    whole, timed = said[:2], said[2:]
    assert whole == [("torch", 40, 1), ("onnx", 40, 1)]
    turn = [("torch", 1, 1), ("torch", 32, 1), ("onnx", 1, 1), ("onnx", 32, 1)]
    assert timed == turn * (len(timed) // 4)
    for one in table.forms:
        assert {len(taken) for taken in one.milliseconds.values()} == {len(timed) // 4 - 1}
