"""What a search found, and what is left of it on fresh seeds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from analysis.statistics import comparison as paired
from analysis.statistics.comparison import Comparison
from analysis.statistics.contest import Contest, contest
from analysis.tables.arms import Section
from analysis.tables.load import Results
from analysis.tables.searches import AS_IT_IS, by, runs_with


class Pruned(NamedTuple):
    """What pruning does to curves that were trained to their end, a study's whole ones replayed.

    of: curves. pruned: of these. saved: the share of their epochs. best, best_kept: the best score
    of all, and of those that it would have left; in 0..1.
    """

    of: int
    pruned: int
    saved: float
    best: float
    best_kept: float


@dataclass(frozen=True)
class Study:
    """One arm under one sampler.

    states: how many trials became what. reasons: of the failed ones, how many each.
    epochs: of a trial that is trained to its end. trained: of all trials together.
    budget: (epochs trained so far, best selected score so far), a point a trial, in their order.
    selected: exact match on validation of the best trial, by which it was selected.
    fresh: exact match on validation of the same settings on fresh seeds, a value a seed.
    settings: of the best trial, the tuned ones. gain: those minus the arm as it is, on the
        leak-free test images; None without fresh runs of both.
    """

    arm: str
    loss: str
    sampler: str
    states: dict[str, int]
    reasons: dict[str, int]
    epochs: int
    trained: int
    budget: list[tuple[int, float]]
    selected: float
    fresh: list[float]
    settings: dict[str, Any]
    importance: dict[str, float]
    range_test: tuple[float, float]
    replay: Pruned
    gain: Comparison | None

    @property
    def luck(self) -> float:
        """How much of the selected score does not come again: selected minus the mean of fresh."""
        return self.selected - sum(self.fresh) / len(self.fresh) if self.fresh else float("nan")


@dataclass(frozen=True)
class SearchResult:
    """A search. duels: two losses, each tuned by the same sampler or as it is, at equal budgets."""

    name: str
    dataset: str
    command: str
    run_id: str
    studies: list[Study]
    untuned: dict[str, list[float]]
    duels: dict[str, Comparison]


def search_results(results: Results, section: Section) -> list[SearchResult]:
    """The searches whose fresh runs are of this data set and split, all of them one family."""
    if not results.searches:
        return []
    among = contest(section, results.predictions)
    found = [
        _result(str(run_id), record, section, among) for run_id, record in results.searches.items()
    ]
    return [one for one in found if any(study.fresh for study in one.studies)]


def _result(
    run_id: str,
    record: dict[str, Any],
    section: Section,
    among: Contest,
) -> SearchResult:
    fresh = {name: runs_with(settings, section.runs) for name, settings in record["fresh"].items()}
    arms = {
        name: str(section.runs.loc[ids, "arm"].iloc[0]) for name, ids in fresh.items() if len(ids)
    }
    val = {
        name: list(section.runs.loc[ids, "metrics.val.exact_match"]) for name, ids in fresh.items()
    }

    def compare(first: str, second: str) -> Comparison | None:
        if first not in arms or second not in arms or arms[first] == arms[second]:
            return None
        return paired.compare(among, arms[first], arms[second])

    gains = {
        (one["arm"], one["sampler"]): compare(
            f"{one['arm']} {by(one['sampler'])}", f"{one['arm']} {AS_IT_IS}"
        )
        for one in record["studies"]
    }
    hows = list(dict.fromkeys([AS_IT_IS, *(by(one["sampler"]) for one in record["studies"])]))
    labels = list(dict.fromkeys(one["arm"] for one in record["studies"]))
    duels = {
        how: compare(f"{labels[0]} {how}", f"{labels[1]} {how}") for how in hows if len(labels) == 2
    }
    # All of a search's comparisons are corrected together.
    made = [pair for pair in (*gains.values(), *duels.values()) if pair is not None]
    adjusted = iter(paired.corrected(made))
    gains = {key: next(adjusted) if pair else None for key, pair in gains.items()}
    shown = {how: next(adjusted) for how, pair in duels.items() if pair}
    return SearchResult(
        name=str(record["name"]),
        dataset=str(record["dataset"]),
        command=str(record["made_by"]["command"]),
        run_id=run_id,
        studies=[
            _study(
                one,
                val[f"{one['arm']} {by(one['sampler'])}"],
                gains[one["arm"], one["sampler"]],
            )
            for one in record["studies"]
        ],
        untuned={label: val[f"{label} {AS_IT_IS}"] for label in labels},
        duels=shown,
    )


def _study(one: dict[str, Any], fresh: list[float], gain: Comparison | None) -> Study:
    trials = one["trials"]
    trained = [len(trial["about"].get("val", [])) for trial in trials]
    values = [trial["value"] if trial["value"] is not None else 0.0 for trial in trials]
    best = next(trial for trial in trials if trial["number"] == one["best"])
    failed = [trial["about"].get("reason", "") for trial in trials if trial["state"] == "failed"]
    return Study(
        arm=one["arm"],
        loss=one["loss"],
        sampler=one["sampler"],
        states=dict(Counter(trial["state"] for trial in trials)),
        reasons=dict(Counter(failed)),
        epochs=one["epochs"],
        trained=sum(trained),
        budget=list(zip(accumulate(trained), accumulate(values, max), strict=True)),
        selected=best["value"],
        fresh=fresh,
        settings=best["drawn"],
        importance=one["importance"],
        range_test=(one["range_test"]["low"], one["range_test"]["high"]),
        replay=Pruned(**one["replay"]),
        gain=gain,
    )
