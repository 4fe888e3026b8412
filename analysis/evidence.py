"""What a published table rests on: a row a run and a row an image, without image or label.

Both are small enough to be kept beside a text, and hold nothing of who made the runs, or where.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import pandas as pd

from analysis.tables.load import Results
from analysis.tables.right_or_wrong import right_or_wrong

# Of a run's tags and metrics, each under the name it gets; those that no run has are left out.
_BEFORE = {"tags.run_hash": "run_hash", "config.loss": "loss", "config.seed": "seed"}
_AFTER = {
    "metrics.best_epoch": "best_epoch",
    "metrics.val.exact_match": "val",
    "metrics.test.exact_match": "test",
    "metrics.test_clean.exact_match": "test_clean",
    "metrics.agreed.exact_match": "agreed",
    "metrics.test.cer": "test_cer",
    "metrics.cost.parameters": "parameters",
    "metrics.train.images": "trained_on",
    "metrics.train.seconds": "train_seconds",
    "config.recipe": "recipe",
    "tags.data_digest": "data_digest",
    "tags.torch": "torch",
    "tags.machine": "machine",
}
_CONFIG = "config."


class Evidence(NamedTuple):
    """runs: a row a run, with the settings in which they differ. right: as of `right_or_wrong`."""

    runs: pd.DataFrame
    right: pd.DataFrame


def evidence(results: Results, run_hashes: Collection[str]) -> Evidence:
    """Of the finished runs with these hashes; both tables are empty where there is none.

    Shares are in 0..1, the epoch counts from 0. A run without a setting has an empty cell for it.
    """
    runs = results.runs[results.runs["tags.run_hash"].isin(list(run_hashes))]
    settings = [str(column) for column in runs if str(column).startswith(_CONFIG)]
    differing = [c for c in settings if c not in _BEFORE and runs[c].map(repr).nunique() > 1]
    names = {**_BEFORE, **{c: c.removeprefix(_CONFIG) for c in differing}, **_AFTER}
    there = [column for column in names if column in runs]
    table = runs[there].rename(columns=names).rename_axis("run_id").reset_index()
    right = right_or_wrong(results)
    of_data = right[right["data_digest"].isin(runs["tags.data_digest"])]
    others = [*results.runs.index.difference(runs.index), *results.ensembles.index]
    return Evidence(table, of_data.drop(columns=others, errors="ignore").reset_index(drop=True))
