"""The published recipe at its own length: its tables in RESULTS, from what each run read right."""

import pandas as pd
import pytest

from analysis.statistics.comparison import compare
from tests.analysis.test_reference import ROOT, row
from tests.analysis.test_reference_settings import made, section_of

ARMS = {"ce_stop": "ce_stop, latent LSTM (as published)", "ctc": "ctc, 7 time steps"}
RUNS, AMONG = made("seed_112")
CURVES = pd.read_csv(ROOT / "analysis/reference/seed_112_curves.csv")
# The epochs at which the four cycles of the rate end.
ENDS = [10, 21, 31, 42]


@pytest.fixture(scope="module")
def section():
    return section_of("The published recipe at its own length")


@pytest.mark.parametrize("loss", ARMS)
def test_the_table_of_arms(section, loss):
    (run,) = RUNS[RUNS["loss"] == loss].to_dict("records")
    shares = [run[name] for name in ("val", "test", "test_clean", "test_cer", "agreed")]
    cost = [f"{run['parameters'] / 1e6:.2f}", f"{run['train_seconds']:.0f}"]
    assert row(section, ARMS[loss]) == [*(f"{100 * share:.1f}" for share in shares), *cost]


@pytest.mark.parametrize("loss", ARMS)
def test_what_validation_was_at_the_end_of_each_cycle(section, loss):
    (run,) = RUNS[RUNS["loss"] == loss].to_dict("records")
    curve = CURVES[CURVES["run_id"] == run["run_id"]].set_index("epoch")["val"]
    assert list(curve.index) == list(range(42))
    assert curve.max() == pytest.approx(run["val"], abs=1e-6)
    assert row(section, f"{loss}, validation") == [f"{100 * curve[end - 1]:.1f}" for end in ENDS]


def test_the_difference(section):
    found = compare(AMONG, *(f"{loss} | the published recipe" for loss in ARMS))
    d = found.difference
    ends = [f"{100 * x:+.1f}" for x in (d.estimate, d.low, d.high)]
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    assert "minus CTC: {} points** (95% interval {} to {}".format(*ends) in section
    assert p in section
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "shows no difference from CTC ({}, {} to {}; one seed)".format(*ends) in readme
