"""Labels that the arms doubt: from readings of images that no run had learnt from."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.statistics.intervals import Interval, share
from analysis.tables.arms import sections
from analysis.tables.load import Results

# The part of the list in which labels that were changed on purpose are looked for.
FIRST = 0.04


@dataclass(frozen=True)
class Suspects:
    """The labels of one data set, the most doubtful first.

    table: a row an image, with part, filename, label, reading (the commonest), doubt, changed.
        doubt: the loss of the label, a mean over seeds, for the arm that finds it the likeliest:
        large where every arm doubts it. changed: on purpose.
    arms: their names. runs: MLflow ids. noise: the share of labels changed on purpose.
    missing: readings that the runs made so far do not have, as arm, seed and fold.
    """

    table: pd.DataFrame
    arms: list[str]
    runs: list[str]
    noise: float
    missing: list[str]

    def found(self) -> Interval | None:
        """The share of changed labels in the first part of the list; None without such labels."""
        if not (changed := int(self.table["changed"].sum())):
            return None
        first = self.table.head(round(FIRST * len(self.table)))
        return share(int(first["changed"].sum()), changed)


def suspects(results: Results, digest: str) -> list[Suspects]:
    """For each share of changed labels, from the k-fold runs of the data set with this digest."""
    found = []
    for section in sections(results):
        if section.digest == digest and section.split == "kfold":
            for noise, runs in section.runs.groupby("config.label_noise"):
                found.append(_rank(runs, results.predictions, float(str(noise))))
    return found


def _rank(runs: pd.DataFrame, predictions: pd.DataFrame, noise: float) -> Suspects:
    read = predictions[(predictions["split"] == "test") & predictions["run_id"].isin(runs.index)]
    read = read.assign(arm=read["run_id"].map(runs["label"]))
    image = ["part", "filename"]
    of_arm = read.groupby([*image, "arm"])["label_loss"].mean().unstack("arm")
    by_image = read.groupby(image)
    table = pd.DataFrame(
        {
            "label": by_image["truth"].first(),
            "reading": by_image["reading"].agg(lambda texts: texts.mode().iloc[0]),
            "doubt": of_arm.min(axis=1),
            "changed": by_image["changed"].first(),
        }
    ).reset_index()
    # The names decide between equal ones, so that the list is the same every time.
    table = table.sort_values(
        ["doubt", "part", "filename"],
        ascending=[False, True, True],
        ignore_index=True,
    )
    return Suspects(
        table, sorted(runs["label"].unique()), list(runs.index.astype(str)), noise, _missing(runs)
    )


def _missing(runs: pd.DataFrame) -> list[str]:
    folds = range(int(runs["config.folds"].iloc[0]))
    return [
        f"{arm}, seed {seed}, fold {fold}"
        for (arm, seed), made in runs.groupby(["label", "config.seed"])
        for fold in folds
        if str(fold) not in set(made["config.fold"])
    ]
