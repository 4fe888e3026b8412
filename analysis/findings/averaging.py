"""What averaging brings over the best that goes into it, and how many times as much it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from analysis.statistics import comparison as paired
from analysis.statistics.intervals import Interval, paired_difference
from analysis.statistics.section_seeds import section_seeds
from analysis.tables import arms as tables
from analysis.tables.arms import Section
from analysis.tables.load import Results


@dataclass(frozen=True)
class Averaged:
    """One way of averaging, and what it stands beside.

    what, beside: names for people.
    val, clean, agreed: its exact match on validation, on the leak-free test images, and where both
        people agree; nan where it has none.
    val_images: of an ensemble, on how many that no member learnt from; 0 for an arm.
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


def averaged(section: Section, results: Results) -> list[Averaged]:
    """Arms with averaged weights beside their twins, then ensembles beside their best member."""
    return [*_weights(section, results.predictions), *_ensembles(section, results)]


def _weights(section: Section, predictions: pd.DataFrame) -> Iterator[Averaged]:
    """Every arm with a moving average of its weights, and the same arm without."""
    runs = section.runs
    if "config.ema" not in runs:
        return
    # Runs made before there was an average have none.
    runs = runs.assign(decay=pd.to_numeric(runs["config.ema"]).fillna(0))
    seeds = section_seeds(section, predictions)
    arms = {str(arm["arm"]): arm for _, arm in tables.arms(section).iterrows()}
    for _, same in runs.groupby("plain", sort=False):
        for second in same.loc[same["decay"] == 0, "arm"].unique():
            for first in same.loc[same["decay"] > 0, "arm"].unique():
                compared = paired.compare(section, predictions, str(first), str(second), seeds)
                if compared is None:
                    continue
                arm, without = arms[str(first)], arms[str(second)]
                yield Averaged(
                    what=compared.first,
                    beside=compared.second,
                    val=arm["val"],
                    clean=arm[_leak_free(section)],
                    agreed=arm["agreed"],
                    val_images=0,
                    difference=compared.difference,
                    training=arm["seconds"] / without["seconds"],
                    reading=1,
                    parameters=1,
                )


def _ensembles(section: Section, results: Results) -> Iterator[Averaged]:
    """Every ensemble whose members are still there, and its best member by validation."""
    of_val = results.predictions.loc[results.predictions["split"] == "val", "run_id"].astype(str)
    for ensemble, row in results.ensembles.iterrows():
        members = {str(member["run_id"]): member for member in row["members"]}
        of_section = (row["tags.data_digest"], row["tags.split"]) == (section.digest, section.split)
        if not of_section or not members.keys() <= set(results.runs.index):
            continue
        runs = results.runs.loc[list(members)]
        best = str(runs["metrics.val.exact_match"].idxmax())
        right, groups = paired.right(results.predictions, [{str(ensemble)}, {best}])
        if not len(groups):
            continue
        views = "" if row["tags.tta"] == "1" else f"; {row['tags.tta']} views"
        seconds = runs["metrics.train.seconds"]
        yield Averaged(
            what=_name(section, list(members)) + views,
            beside=_name(section, [best]),
            val=_score(row, "val"),
            clean=_score(row, _leak_free(section)),
            agreed=_score(row, "agreed"),
            val_images=int((of_val == str(ensemble)).sum()),
            difference=paired_difference(right[:1], right[1:], groups),
            training=float(seconds.sum() / seconds.loc[[best]].sum()),
            reading=row["metrics.cost.reading_ms"] / members[best]["reading_ms"],
            parameters=row["metrics.cost.parameters"] / members[best]["parameters"],
        )


def _leak_free(section: Section) -> str:
    return "test" if section.split == "clean" else "test_clean"


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
