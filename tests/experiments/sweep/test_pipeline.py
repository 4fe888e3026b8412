"""A report is counted where it is written, since it is a look at the test part."""

import re
import shutil

import pytest

from experiments.sweep.pipeline import report


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
