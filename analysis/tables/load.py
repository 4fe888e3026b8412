"""Finished runs out of MLflow, as flat tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from analysis.place import place_of
from analysis.record import DIGESTS, READER_COLUMNS, REPORTS, SEARCH, read_object
from analysis.tables.artifacts import (
    Complete,
    images_in,
    members_of,
    predictions_of,
    readers_of,
    settings_of,
)
from analysis.tables.primaries import Primary, of_all
from analysis.tables.store import Store
from analysis.tracking_server import MADE_AS

if TYPE_CHECKING:
    from mlflow.entities import Run

_UNFINISHED = [
    *("run_id", "tags.mlflow.runName", "status"),
    *("tags.run_hash", "tags.data_digest", "end_time"),
]

LEAK_FREE = "metrics.test_clean.exact_match"

_Read = TypeVar("_Read")


class NoRunsError(ValueError):
    """There is no finished run to report on."""


# (run ids, key of a metric) -> its history: run_id, step (from 0), value. Read when asked for, and
# of few runs: MLflow answers for one at a time.
History = Callable[[list[str], str], pd.DataFrame]


def no_history(run_ids: list[str], key: str) -> pd.DataFrame:  # noqa: ARG001
    """Of results that come from no store."""
    return pd.DataFrame(columns=["run_id", "step", "value"])


@dataclass(frozen=True)
class Results:
    """What the finished runs of one store say.

    runs: a row a run, indexed by run id: `tags.*`, `metrics.*`, and `config.*` for every setting.
    predictions: a row a run and image: run_id, split (val, test or human), filename, truth,
        reading, confidence, label_loss (how unlikely the model finds the truth; nan where it is
        not known), group (images with identical pixels share it), clean (no identical
        image among those learnt from or selected on), part (the list it stands in), changed (its
        label was, on purpose).
    readers: a row a data set, reader and image: data_digest, reader, filename, reading.
    unfinished: a row a run or ensemble that does not count, with its status, which begins with
        FINISHED where it was whole once.
    ensembles: a row an evaluation of several runs, or of several views, together, indexed by its
        id, with `tags.*`, `metrics.*`, and `members`: for each its run_id, parameters, reading_ms.
        What it read stands in `predictions`.
    searches: what a search wrote down, by the id of its run.
    history: the curves of runs.
    primaries: for each ablation that names one its primary comparison, as first named and as
        changed since; the earliest ablation first.
    reports: how many were written of these runs before.
    """

    runs: pd.DataFrame
    predictions: pd.DataFrame
    readers: pd.DataFrame
    unfinished: pd.DataFrame
    ensembles: pd.DataFrame = field(default_factory=pd.DataFrame)
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: History = no_history
    primaries: list[list[Primary]] = field(default_factory=list)
    reports: int = 0


def as_written(settings: dict[str, Any]) -> dict[str, Any]:
    """No more than was written."""
    return settings


def load(out: Path, complete: Complete = as_written) -> Results:
    """Read the store of `out`, see `analysis.place`. Raises NoRunsError, and StoreError.

    complete: what settings an older run has by default that its version did not know yet, so that
        runs of one arm are one arm whatever versions made them.
    """
    place = place_of(out)
    if not place.is_there():
        raise NoRunsError(f"{place}: no runs here")
    store = Store(place)
    runs, unfinished = _search(store, "run")
    if runs.empty and unfinished.empty:
        raise NoRunsError(f"{place}: no runs here")
    ensembles, unfinished_ensembles = _search(store, "ensemble")
    about = cache(images_in)
    read, broken = _read_each(
        runs, lambda folder: (settings_of(folder, complete), predictions_of(folder, about))
    )
    if not read:
        left_out = pd.concat([unfinished, broken])
        first = f"{left_out['run_id'].iloc[0]}: {left_out['status'].iloc[0]}"
        raise NoRunsError(
            f"{place}: {len(left_out)} runs, none of which counts (the first, {first})"
        )
    together, broken_ensembles = _read_each(
        ensembles, lambda folder: (members_of(folder), predictions_of(folder, about))
    )
    runs, ensembles = runs.loc[list(read)], ensembles.loc[list(together)]
    settings = pd.DataFrame([config for config, _ in read.values()], index=runs.index)
    runs = pd.concat([runs, settings.add_prefix("config.")], axis=1)
    # Not by time first: the report is the same, whoever made which run before another.
    runs = runs.sort_values(["tags.mlflow.runName", "tags.run_hash", "start_time"])
    predictions = {run_id: table for run_id, (_, table) in (read | together).items()}
    runs, ensembles = (_with_leak_free(table, predictions) for table in (runs, ensembles))
    searches, broken_searches = _searches(store)
    uncounted = [unfinished, broken, unfinished_ensembles, broken_ensembles, broken_searches]
    return Results(
        runs=runs,
        predictions=_one_table(
            {run_id: predictions[run_id] for run_id in [*runs.index, *together]}
        ),
        readers=_readers(runs),
        unfinished=pd.concat(uncounted).reindex(columns=_UNFINISHED),
        ensembles=ensembles.assign(members=pd.Series({k: v for k, (v, _) in together.items()})),
        searches=searches,
        history=partial(_history, store),
        primaries=of_all(dict(run.data.tags) for run in store.all_of("ablation")),
        reports=_reports(store),
    )


def _search(store: Store, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Those of a kind that count, by their ids, and those that do not, with the reason."""
    found = _of_kind(store, kind)
    counts = found["status"] == "FINISHED"
    if (flawed := found["flaw"].notna() & counts).any():
        found.loc[flawed, "status"] = "FINISHED, but " + found.loc[flawed, "flaw"].astype(str)
    found = found.drop(columns="flaw")
    whole = counts & ~flawed
    return found[whole].set_index("run_id"), found[~whole]


def _of_kind(store: Store, kind: str) -> pd.DataFrame:
    """All of a kind, with the folders of their artifacts, and what is wrong with those."""
    rows = store.each(partial(_row, store), store.all_of(kind))
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*_UNFINISHED, "folder", "flaw"])


def _with_leak_free(runs: pd.DataFrame, predictions: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The same, those that did not log their score on the leak-free test with it all the same.

    Earlier versions logged it for the published split alone.
    """
    logged = runs.get(LEAK_FREE, pd.Series(index=runs.index, dtype=float))
    found = {}
    for run_id in runs.index[logged.isna()]:
        read = predictions[str(run_id)]
        judged = read[(read["split"] == "test") & read["clean"]]
        found[run_id] = (judged["truth"] == judged["reading"]).mean()
    filled = logged.fillna(pd.Series(found, dtype=float))
    return runs.assign(**{LEAK_FREE: filled}) if len(runs) else runs


def _reports(store: Store) -> int:
    counts = (one.tags.get(REPORTS, "") for one in store.experiments)
    return sum(int(count) for count in counts if count.isdecimal())


def _row(store: Store, run: Run) -> dict[str, object]:
    finished = run.info.status == "FINISHED"
    tags = {key: value for key, value in run.data.tags.items() if key not in (DIGESTS, MADE_AS)}
    return {
        "run_id": run.info.run_id,
        "experiment_id": run.info.experiment_id,
        "status": run.info.status,
        "start_time": pd.to_datetime(run.info.start_time, unit="ms", utc=True),
        "end_time": pd.to_datetime(run.info.end_time, unit="ms", utc=True),
        "folder": store.folder(run),
        "flaw": store.flaw(run) if finished else None,
        # In one order, whichever the store has them in.
        **{f"metrics.{key}": value for key, value in sorted(run.data.metrics.items())},
        **{f"params.{key}": value for key, value in sorted(run.data.params.items())},
        **{f"tags.{key}": value for key, value in sorted(tags.items())},
    }


def _searches(store: Store) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """What each search wrote down, and those whose record cannot be read.

    One that has not come to its end has no record yet.
    """
    found = _of_kind(store, "search")
    has = found["folder"].map(lambda folder: (folder / SEARCH).is_file()).astype(bool)
    return _read_each(found[has].set_index("run_id"), lambda folder: read_object(folder / SEARCH))


def _read_each(
    runs: pd.DataFrame, read: Callable[[Path], _Read]
) -> tuple[dict[str, _Read], pd.DataFrame]:
    """What is read from each run's folder, and the runs whose files are damaged."""
    whole, broken = {}, []
    for run_id, folder in runs["folder"].items():
        try:
            whole[str(run_id)] = read(folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            broken.append((run_id, f"FINISHED, but cannot be read: {reason}"))
    status = pd.DataFrame(broken, columns=["run_id", "status"]).set_index("run_id")
    damaged = runs.loc[status.index].drop(columns="status").join(status)
    return whole, damaged.rename_axis("run_id").reset_index()


def _one_table(by_run: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All predictions, with their run_id; texts that recur are kept once."""
    table = pd.concat(list(by_run.values()), ignore_index=True)
    sizes = [len(one) for one in by_run.values()]
    codes = np.repeat(np.arange(len(sizes)), sizes)
    run_id = pd.Categorical.from_codes(codes.tolist(), pd.Index(list(by_run)))
    return table.assign(run_id=run_id)


def _history(store: Store, run_ids: list[str], key: str) -> pd.DataFrame:
    rows = [
        (run_id, point.step, point.value)
        for run_id in run_ids
        for point in store.client.get_metric_history(run_id, key)
    ]
    return pd.DataFrame(rows, columns=["run_id", "step", "value"])


def _readers(runs: pd.DataFrame) -> pd.DataFrame:
    """Of one run a data set: they are the same for all of its runs."""
    tables = [pd.DataFrame(columns=[*READER_COLUMNS, "data_digest"])]
    for digest, folders in runs.groupby("tags.data_digest")["folder"]:
        readable = (table for folder in folders if (table := readers_of(folder)) is not None)
        if (first := next(readable, None)) is not None:
            tables.append(first.assign(data_digest=str(digest)))
    return pd.concat(tables, ignore_index=True)
