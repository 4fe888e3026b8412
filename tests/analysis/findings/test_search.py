"""What tuning changed: a search of two arms worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.findings.search import search_results
from analysis.report import markdown
from analysis.tables import arms as tables
from analysis.tables.searches import found_by_search, runs_with
from tests.analysis.test_report import CE, CE_0, CE_1, CTC, CTC_0, CTC_1, RIGHT, results, run

# Both are trained on seeds 0 and 1: CTC as it is reads CTC_0 and CTC_1 (leak-free 4/5 and 3/5), and
# all right once it is tuned; cross-entropy as it is reads CE_0 and CE_1 (2/5, 3/5), tuned CTC_0.
SLOW, FAST = {"optimizer.max_lr": "0.01"}, {"optimizer.max_lr": "0.5"}


def fresh(loss, tuned, seed, read, val):
    return run(loss | tuned, seed, read, val__exact_match=val, train__seconds=1)


RUNS = [
    fresh(CTC, SLOW, 0, CTC_0, 0.5),
    fresh(CTC, SLOW, 1, CTC_1, 0.5),
    fresh(CTC, FAST, 0, RIGHT, 0.8),
    fresh(CTC, FAST, 1, RIGHT, 0.9),
    fresh(CE, SLOW, 0, CE_0, 0.4),
    fresh(CE, SLOW, 1, CE_1, 0.4),
    fresh(CE, FAST, 0, CTC_0, 0.7),
    fresh(CE, FAST, 1, CTC_0, 0.7),
]


def trial(number, state, val, value=None, reason=""):
    about = {"val": val, "seconds": 1.0, "reason": reason}
    return {
        "number": number,
        "state": state,
        "drawn": {"max_lr": 0.5, "mode": "triangular"},
        "value": value,
        "reported": {},
        "owner": "",
        "about": about,
    }


# 4 + 1 + 2 + 4 epochs; the best is the last, which scored 0.95 and 0.8 to 0.9 on fresh seeds.
TRIALS = [
    trial(0, "complete", [0.1, 0.6, 0.5, 0.6], 0.6),
    trial(1, "failed", [0.0], reason="gradients are not finite"),
    trial(2, "pruned", [0.1, 0.2]),
    trial(3, "complete", [0.1, 0.6, 0.95, 0.9], 0.95),
]


def told(**changes):
    def study(arm, loss):
        return {
            "arm": arm,
            "loss": loss,
            "sampler": "tpe",
            "study": f"s-{arm}",
            "epochs": 4,
            "best": 3,
            "importance": {"max_lr": 0.9, "mode": 0.1},
            "replay": {"of": 2, "pruned": 1, "saved": 0.25, "best": 0.95, "best_kept": 0.6},
            "range_test": {"low": 0.001, "high": 0.2},
            "trials": TRIALS,
        }

    def settings(loss, rate):
        # As JSON has them: a number, where the record of a run has its text.
        return {k: v for k, v in loss.items() if k != "hidden"} | {
            "optimizer.max_lr": float(rate["optimizer.max_lr"]),
            "seed": 100,
        }

    return {
        "name": "mine",
        "dataset": "cells",
        "made_by": {"command": "python -m experiments search"},
        "studies": [study("ctc-arm", "ctc"), study("ce-arm", "ce_stop")],
        "fresh": {
            "ctc-arm as it is": settings(CTC, SLOW),
            "ctc-arm by tpe": settings(CTC, FAST),
            "ce-arm as it is": settings(CE, SLOW),
            "ce-arm by tpe": settings(CE, FAST),
        },
    } | changes


def with_search(**changes):
    return replace(results(RUNS), searches={"parent": told(**changes)})


def tuned():
    searched = with_search()
    (section,) = tables.sections(searched)
    (found,) = search_results(searched, section)
    return found


def test_runs_of_a_search_are_those_with_its_settings():
    runs = results(RUNS).runs
    assert list(runs_with({"loss": "ctc", "optimizer.max_lr": 0.5}, runs)) == list(runs.index[2:4])
    assert runs_with({"loss": "ctc", "optimizer.max_lr": 0.25}, runs).empty
    assert runs_with({"unknown": 1}, runs).empty
    # The seed is that of the trials.
    assert len(runs_with({"seed": 100, "loss": "ctc"}, runs)) == 4
    found = found_by_search({"parent": told()}, runs)
    assert list(found) == ["", "", "tpe", "tpe", "", "", "tpe", "tpe"]


def test_trials_are_counted_with_the_epochs_that_they_cost():
    study = tuned().studies[0]
    assert study.states == {"complete": 2, "failed": 1, "pruned": 1}
    assert study.reasons == {"gradients are not finite": 1}
    assert study.trained == 11
    assert study.budget == [(4, 0.6), (5, 0.6), (7, 0.6), (11, 0.95)]


@pytest.mark.slow
def test_luck_is_what_does_not_come_again():
    study = tuned().studies[0]
    assert study.selected == 0.95
    assert study.fresh == [0.8, 0.9]
    assert study.luck == pytest.approx(0.95 - 0.85)
    assert tuned().untuned == {"ctc-arm": [0.5, 0.5], "ce-arm": [0.4, 0.4]}


def test_the_gain_is_paired_with_the_arm_as_it_is():
    ctc, ce = (study.gain for study in tuned().studies)
    assert ctc is not None
    assert ctc.difference.estimate == pytest.approx(1 - (4 / 5 + 3 / 5) / 2)
    assert ctc.seeds == 2
    assert ce is not None
    assert ce.difference.estimate == pytest.approx(4 / 5 - (2 / 5 + 3 / 5) / 2)
    # Two gains and two comparisons of the losses are corrected together.
    assert ctc.family == ce.family == 4


def test_losses_are_compared_as_they_are_and_tuned_alike():
    duels = tuned().duels
    assert {how: pair.losses for how, pair in duels.items()} == {
        "as it is": ("ctc", "ce_stop"),
        "by tpe": ("ctc", "ce_stop"),
    }
    assert duels["by tpe"].difference.estimate == pytest.approx(1 - 4 / 5)


@pytest.mark.slow
def test_the_report_tells_it_in_the_section_of_its_data():
    text = markdown(with_search())
    assert "What tuning changed: search `mine`" in text
    (row,) = [line for line in text.splitlines() if line.startswith("| ctc-arm | tpe | 2 complete")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:9] == [
        "ctc-arm", "tpe", "2 complete, 1 failed, 1 pruned", "11", "95.0", "85.0", "+10.0", "50.0",
        "2",
    ]  # fmt: skip
    assert cells[9] == "+30.0"
    assert "1 failed trial: `gradients are not finite`" in text
    # 1 - 11 / (4 * 4); the replay as it was told.
    assert "31% of the epochs were not trained" in text
    assert "stops 1 and saves 25%, and of the best score of 95.0 60.0 is left" in text
    assert "tuned-by-tpe" in text


@pytest.mark.slow
def test_a_search_without_its_fresh_runs_is_not_told():
    some = replace(results(RUNS[:2]), searches={"parent": told()})
    assert "What tuning changed" not in markdown(some)
    assert "What tuning changed" not in markdown(results(RUNS))


def test_a_gain_that_cannot_be_compared_yet_says_so():
    # The arms as they are were not trained yet.
    some = replace(results([*RUNS[2:4], *RUNS[6:]]), searches={"parent": told()})
    text = markdown(some)
    assert "not compared" in text
    assert "85.0" in text
