"""The comparison with peers: what is chosen on which images, and what is counted."""

import re

import pytest
from PIL import Image
from scipy.stats import binomtest

from experiments.data.cells import read_cells
from experiments.deploy.peers import compare as module
from experiments.deploy.peers.compare import PREPARATIONS, as_table, compare
from experiments.errors import UserError


@pytest.fixture(scope="module")
def cells(make_cells):
    return make_cells(train=24, dev=6, val=8, human=2, duplicates=0, leaked=0)


@pytest.fixture
def truth(cells):
    """The label of each image, by its pixels."""
    rows = [row for row in read_cells(cells, "0123456789.-").rows if row.label]
    found = {}
    for row in rows:
        with Image.open(row.path) as image:
            found[image.convert("RGB").tobytes()] = row
    return found


def test_a_peer_is_asked_the_way_that_reads_most_training_images(
    cells, tmp_path, monkeypatch, truth
):
    seen = {"good": [], "bad": []}

    class Peer:
        name = "Peer 1"
        modes = ("bad", "good")

        def read(self, images, mode):
            known = [truth.get(image.tobytes()) for image in images]
            seen[mode] += [row.part for row in known if row]
            # Larger images are not among those it knows.
            return [row.label if row and mode == "good" else "x" for row in known]

    def absent():
        raise UserError("no program")

    absent.__name__ = "Absent"
    monkeypatch.setattr(module, "ENGINES", (Peer, absent))
    monkeypatch.setattr(module, "_ROUNDS", 3)
    found, missing = compare(cells, tmp_path)
    assert missing == ["Absent: no program"]
    assert [one.name for one in found] == ["`ce_stop` (ONNX)", "`ctc` (ONNX)", "Peer 1"]
    peer = found[-1]
    assert (peer.how, peer.share.estimate) == ("as it is, good", 1.0)
    # The test part was never asked the bad way, and no label of it chose anything.
    assert set(seen["bad"]) == {"train"}
    assert {len(one.alone) for one in found} == {len(one.many) for one in found} == {3}
    dev = [row for row in truth.values() if row.part == "dev"]
    low, _ = binomtest(len(dev), len(dev)).proportion_ci(0.95, method="wilson")
    assert peer.share.low == pytest.approx(low)


def test_times_are_ratios_of_the_same_round():
    share = module.Interval(0.5, 0.4, 0.6)
    first = module.Compared("first", share, [1.0, 10.0, 2.0], [10.0, 20.0, 40.0], "")
    other = module.Compared("other", share, [2.0, 30.0, 8.0], [20.0, 40.0, 80.0], "so")
    table = as_table([first, other], ["Absent: no program"])
    assert "| other | 50.0 (40.0 to 60.0) | 8.0 | 40 | 3.0, 2.0 | so |" in table
    assert re.search(r"\| first \|.*\| 1\.0, 1\.0 \|", table)
    assert table.endswith("not there: Absent: no program")


def test_preparations_keep_what_is_on_the_image():
    image = Image.new("RGB", (60, 34), (200, 200, 190))
    image.paste((20, 20, 20), (10, 10, 20, 20))
    for name, prepare in PREPARATIONS.items():
        made = prepare(image)
        times = 1 if name == "as it is" else 3
        assert made.width >= times * (54 if "edge" in name else 60)
        assert made.mode == "RGB"
        # The ink has its share of the paper, and the margin is paper.
        dark = sum(grey < 100 for grey in made.convert("L").tobytes())
        assert dark == pytest.approx(100 * times**2, rel=0.1)


def test_without_the_edge_no_line_of_the_table_is_left():
    image = Image.new("RGB", (60, 34), (200, 200, 190))
    image.paste((20, 20, 20), (58, 0, 60, 34))
    for name, prepare in PREPARATIONS.items():
        dark = sum(grey < 100 for grey in prepare(image).convert("L").tobytes())
        assert (dark == 0) == ("edge" in name), name
