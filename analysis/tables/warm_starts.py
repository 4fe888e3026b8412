"""What each run started from, without seeds: those of one arm start from runs of one kind."""

from __future__ import annotations

import pandas as pd

_START = "config.start"


def pretraining(runs: pd.DataFrame, arm: list[str], twin: list[str]) -> pd.DataFrame:
    """For each run, by its run id, what came before it; empty texts where nothing did.

    runs: of all data sets and splits. arm, twin: the columns that identify what came before.

    Columns: `arm` and `twin`, which are equal where these columns are, and `label`, for people:
    the data set and the decoder of each run in the chain, the first one first.
    """
    empty = pd.Series("", index=runs.index)
    start = dict(runs.get(_START, empty).fillna(""))
    by_hash = dict(zip(runs.get("tags.run_hash", empty), runs.index, strict=True))
    own = {
        "arm": join(runs[["tags.data_digest", *arm]]),
        "twin": join(runs[["tags.data_digest", *twin]]),
        "label": runs["tags.dataset"] + " " + runs["config.decoder"],
    }

    def chain(run_id: object, kind: str) -> list[str]:
        before = start[run_id]
        if not before:
            return []
        if before not in by_hash:  # deleted since
            return [before]
        return [*chain(by_hash[before], kind), own[kind][by_hash[before]]]

    return pd.DataFrame(
        {kind: [" > ".join(chain(run_id, kind)) for run_id in runs.index] for kind in own},
        index=runs.index,
    )


def join(columns: pd.DataFrame) -> pd.Series:
    """A key for each row, the same for rows that are the same in all of these columns."""
    if len(columns.columns) == 1:
        return columns.iloc[:, 0].fillna("").astype(str)
    return columns.fillna("").astype(str).agg("\x1f".join, axis=1)
