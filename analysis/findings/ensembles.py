"""What runs and views read together bring over the best run, at how many times the cost."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.statistics.contest import answers
from analysis.statistics.intervals import Interval, paired_difference
from analysis.tables.arms import Section
from analysis.tables.load import Results


@dataclass(frozen=True)
class Ensemble:
    """Runs, or views of one run, read together, and the best of the runs.

    what, beside: names for people.
    val, clean, agreed: its exact match on validation, on the leak-free test images, and where both
        people agree; nan where it has none.
    val_images: on how many validation images, which no member learnt from.
    difference: what minus beside, on the leak-free test images.
    training, reading, parameters: how many times those of what it stands beside.
    """

    what: str
    beside: str
    val: float
    clean: float
    agreed: float
    val_images: int
    difference: Interval
    training: float
    reading: float
    parameters: float


def ensembles(section: Section, results: Results) -> list[Ensemble]:
    """Every ensemble whose members are still there, beside its best member by validation."""
    found = []
    of_val = results.predictions.loc[results.predictions["split"] == "val", "run_id"].astype(str)
    for ensemble, row in results.ensembles.iterrows():
        members = {str(member["run_id"]): member for member in row["members"]}
        of_section = (row["tags.data_digest"], row["tags.split"]) == (section.digest, section.split)
        if not of_section or not members.keys() <= set(results.runs.index):
            continue
        runs = results.runs.loc[list(members)]
        best = str(runs["metrics.val.exact_match"].idxmax())
        own = results.predictions[results.predictions["run_id"].isin([str(ensemble), best])]
        right, groups = answers(own).of([{str(ensemble)}, {best}])
        if not len(groups):
            continue
        views = "" if row["tags.tta"] == "1" else f"; {row['tags.tta']} views"
        seconds = runs["metrics.train.seconds"]
        one = Ensemble(
            what=_name(section, list(members)) + views,
            beside=_name(section, [best]),
            val=_score(row, "val"),
            clean=_score(row, "test_clean"),
            agreed=_score(row, "agreed"),
            val_images=int((of_val == str(ensemble)).sum()),
            difference=paired_difference(right[:1], right[1:], groups),
            training=float(seconds.sum() / seconds.loc[[best]].sum()),
            reading=row["metrics.cost.reading_ms"] / members[best]["reading_ms"],
            parameters=row["metrics.cost.parameters"] / members[best]["parameters"],
        )
        found.append(one)
    return found


def _score(row: pd.Series, part: str) -> float:
    return float(row.get(f"metrics.{part}.exact_match", float("nan")))


def _name(section: Section, run_ids: list[str]) -> str:
    """The arms of these runs, each with its seeds; a run that no arm counts has its id."""
    known = section.runs[section.runs.index.isin(run_ids)]
    names = [
        f"{label}, seed{'s' if len(runs) > 1 else ''} {' '.join(sorted(runs['config.seed']))}"
        for label, runs in known.groupby("label")
    ]
    return "; ".join(names + [r for r in run_ids if r not in known.index])
