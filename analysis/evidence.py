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
_VAL = "metrics.val.exact_match"
_AFTER = {
    "metrics.best_epoch": "best_epoch",
    _VAL: "val",
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
_TOGETHER = {"of": "members", "tags.tta": "views"}
_CONFIG = "config."


class Evidence(NamedTuple):
    """runs: a row a run or ensemble, with what runs differ in. right: as of `right_or_wrong`."""

    runs: pd.DataFrame
    right: pd.DataFrame


def evidence(results: Results, run_hashes: Collection[str]) -> Evidence:
    """Of the finished runs with these hashes; both tables are empty where there is none.

    Shares are in 0..1, the epoch counts from 0. A run without a setting has an empty cell for it.
    Behind the runs come the ensembles of nothing but them, with their `members`, and `views`.
    """
    runs = results.runs[results.runs["tags.run_hash"].isin(list(run_hashes))]
    settings = [str(column) for column in runs if str(column).startswith(_CONFIG)]
    differing = [c for c in settings if c not in _BEFORE and runs[c].map(repr).nunique() > 1]
    names = {**_BEFORE, **{c: c.removeprefix(_CONFIG) for c in differing}, **_AFTER}
    ensembles = _ensembles(results, set(map(str, runs.index)))
    whole = pd.concat([table for table in (runs, ensembles) if not table.empty] or [runs])
    there = [column for column in (*names, *_TOGETHER) if column in whole]
    table = whole[there].rename(columns={**names, **_TOGETHER})
    right = right_or_wrong(results)
    of_data = right[right["data_digest"].isin(runs["tags.data_digest"])]
    made = [*results.runs.index, *results.ensembles.index]
    others = [one for one in made if one not in whole.index]
    # An image that none of them read is no part of it.
    of_data = of_data.dropna(subset=[one for one in whole.index if one in of_data], how="all")
    return Evidence(
        table.rename_axis("run_id").reset_index(),
        of_data.drop(columns=others, errors="ignore").reset_index(drop=True),
    )


def _ensembles(results: Results, run_ids: set[str]) -> pd.DataFrame:
    """Those whose members are all among these runs."""
    if results.ensembles.empty:
        return results.ensembles
    of = results.ensembles["members"].map(lambda row: [str(member["run_id"]) for member in row])
    kept = of[of.map(lambda ids: set(ids) <= run_ids)]
    # Its own validation images, if any, are others than those of a run.
    found = results.ensembles.loc[kept.index].drop(columns=_VAL, errors="ignore")
    return found.assign(of=kept.map(" ".join))
