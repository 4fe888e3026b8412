"""Twice the epochs and other rates for the planned pair: the tables, from what each run read."""

import pandas as pd
import pytest

from analysis.statistics.comparison import compare
from tests.analysis.test_reference import ROOT
from tests.analysis.test_reference_settings import AS_IT_IS, arms_of, made, section_of

LONGER = "twice the epochs"
HEADING = "Twice the epochs, and other rates"


@pytest.fixture(scope="module")
def section():
    return section_of(HEADING)


def words(found):
    """A difference in points, with its interval."""
    d = found.difference
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * x for x in (d.estimate, d.low, d.high)))


def against(preset, first, second):
    return compare(made(preset)[1], first, second)


def rises():
    """arm -> how much more its runs validate over the last fifth of their epochs than over the
    fifth before, in points, the mean over seeds.
    """
    runs, _ = made("longer")
    curves = pd.read_csv(ROOT / "analysis/reference/longer_curves.csv")
    assert set(curves["run_id"]) == set(runs["run_id"])
    found = {}
    for run_id, own in curves.groupby("run_id"):
        val = own.sort_values("epoch")["val"].to_numpy()
        assert val.max() == pytest.approx(runs.set_index("run_id").loc[run_id, "val"], abs=1e-6)
        fifth = len(val) // 5
        found[run_id] = 100 * (val[-fifth:].mean() - val[-2 * fifth : -fifth].mean())
    return pd.Series(found).groupby(runs.set_index("run_id")["arm"]).mean().to_dict()


def table_of(preset):
    """arm -> its cells: seeds, metrics, minus the arm as it is."""
    cells = arms_of(preset)
    for arm in cells:
        loss, _, part = arm.partition(" | ")
        changed = part != AS_IT_IS
        minus = words(against(preset, arm, f"{loss} | {AS_IT_IS}")) if changed else ""
        cells[arm] = [*cells[arm], minus]
    return cells


def table_of_lengths():
    """The same for `longer`, and how far validation still rose."""
    rise = rises()
    return {arm: [*cells, f"{rise[arm] + 0.0:+.1f}"] for arm, cells in table_of("longer").items()}


def differences():
    """CTC minus cross-entropy + stop at either length."""
    return {
        part: against("longer", f"ctc | {part}", f"ce_stop | {part}") for part in (AS_IT_IS, LONGER)
    }
