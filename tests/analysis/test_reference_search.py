"""What RESULTS says of the search, from what it wrote down; its fresh runs were not kept."""

import json

import pytest

from tests.analysis.test_reference import ROOT, row
from tests.analysis.test_reference_settings import section_of

STUDIES = json.loads((ROOT / "analysis/reference/search/search.json").read_text())["studies"]
NAMES = {"tpe": "TPE", "random": "random"}


@pytest.fixture(scope="module")
def section():
    return " ".join(section_of("The search: cyclic rates").split())


def best(study):
    (found,) = (trial for trial in study["trials"] if trial["number"] == study["best"])
    return found


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: f"{study['loss']} {study['sampler']}")
def test_what_was_selected(study):
    cells = row(section_of("The search"), f"{study['loss']} | {NAMES[study['sampler']]}")
    values = [trial["value"] for trial in study["trials"]]
    assert best(study)["value"] == max(values)
    assert cells[0] == f"{100 * max(values):.1f}"
    # What is selected less what fresh seeds read is luck.
    assert float(cells[2]) == pytest.approx(float(cells[0]) - float(cells[1]), abs=0.11)
    assert len(values) == 20
    assert {trial["state"] for trial in study["trials"]} == {"complete"}
    assert best(study)["drawn"]["cycle_epochs"] == study["epochs"]


def test_what_the_rates_are(section):
    rates = sorted(round(best(study)["drawn"]["max_lr"], 4) for study in STUDIES)
    assert f"of the settings found are {rates[1]:.2f} and {rates[-1]:.2f}" in section
    assert f"ce_stop by TPE is {rates[0]}" in section


def test_what_pruning_would_have_saved(section):
    replayed = [study["replay"] for study in STUDIES if study["sampler"] == "random"]
    stopped = " and ".join(str(one["pruned"]) for one in replayed)
    saved = " and ".join(f"{100 * one['saved']:.0f}%" for one in replayed)
    assert f"stops {stopped} of 20, saves {saved} of the epochs" in section
    assert all(one["best"] == one["best_kept"] for one in replayed)


def test_what_matters(section):
    def span(*keys):
        shares = [100 * sum(study["importance"][key] for key in keys) for study in STUDIES]
        return f"{min(shares):.0f} to {max(shares):.0f}"

    assert f"explain {span('max_lr', 'base_ratio')}% of the variance" in section
    assert f"(`max_lr` {span('max_lr')}, `base_ratio` {span('base_ratio')})" in section
    assert f"the momentum's span {span('momentum_span')}" in section
