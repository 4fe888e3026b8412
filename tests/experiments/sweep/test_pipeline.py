"""From a preset to the report, which is counted, since it is a look at the test part."""

import re
import shutil

import pytest

from analysis.tables.load import load
from experiments.sweep.pipeline import ablation_and_report, report
from tests.in_process import InProcess

TOGETHER = """
read_together = true
seeds = 2
[run]
epochs = 1
width_stride = 8
hidden = 16
batch_size = 8
"""


def looks(out):
    text = (out / "report/report.md").read_text(encoding="utf-8")
    return [int(n) for n in re.findall(r"and (\d+) reports? (?:was|were) written before", text)]


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_every_report_is_one_more_look(store, tmp_path):
    # As somebody else's store, which a copy is: nothing may be written there.
    copied = tmp_path / "copied"
    shutil.copytree(store.out, copied)
    report(None, copied)
    report(None, copied)
    assert looks(copied) == looks(copied)[:1] * len(looks(copied))
    before = looks(copied)[0]
    report(None, store.out)
    report(None, store.out)
    assert looks(store.out)[0] == before + 1


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_runs_that_a_preset_reads_together_are_in_its_one_report(make_cells, tmp_path):
    data = make_cells(train=40, dev=6, human=2)
    out, preset = tmp_path / "out", tmp_path / "two.toml"
    preset.write_text(TOGETHER)
    given = (str(preset), data, out, InProcess())
    # One run has nobody to be read with.
    assert ablation_and_report(*given, [0], 1)
    assert load(out).ensembles.empty

    assert ablation_and_report(*given, None, 1)
    assert len(load(out).ensembles) == 1
    assert "### Read together" in (out / "report/report.md").read_text(encoding="utf-8")
    assert load(out).reports == 2
    # Nothing is left to do, so that this report stands.
    assert ablation_and_report(*given, None, 1)
    assert (len(load(out).ensembles), load(out).reports) == (1, 2)
