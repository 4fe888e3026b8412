"""Finished runs out of MLflow, as flat tables: the only place of `analysis` that knows MLflow."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

import mlflow
from mlflow.tracking import MlflowClient

_UNFINISHED = ["run_id", "tags.mlflow.runName", "status"]
_IMAGE = ["split", "filename"]
_ABOUT = ["group", "clean", "part", "changed"]

_Told = TypeVar("_Told")


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
        reading, confidence, label_loss (how unlikely the model finds the truth; nan where it was
        not told), group (images with identical pixels share it), clean (no identical
        image among those learnt from or selected on), part (the list it stands in), changed (its
        label was, on purpose).
    readers: a row a data set, reader and image: data_digest, reader, filename, reading.
    unfinished: a row a run or ensemble that does not count, with its status.
    ensembles: a row an evaluation of several runs, or of several views, together, indexed by its
        id, with `tags.*`, `metrics.*`, and `members`: for each its run_id, parameters, reading_ms.
        What it read stands in `predictions`.
    searches: what a search wrote down, by the id of its run.
    history: the curves of runs.
    """

    runs: pd.DataFrame
    predictions: pd.DataFrame
    readers: pd.DataFrame
    unfinished: pd.DataFrame
    ensembles: pd.DataFrame = field(default_factory=pd.DataFrame)
    searches: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: History = no_history


def load(out: Path) -> Results:
    """Read the store below `out`. Raises NoRunsError."""
    if not (out / "mlflow.db").is_file():
        raise NoRunsError(f"{out}: no runs here")
    uri = f"sqlite:///{out.resolve() / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    runs, unfinished = _search(out, "run")
    if runs.empty and unfinished.empty:
        raise NoRunsError(f"{out}: no runs here")
    ensembles, unfinished_ensembles = _search(out, "ensemble")
    about = cache(_about)
    read, broken = _records(runs, lambda folder: (_settings(folder), _predictions(folder, about)))
    if not read:
        raise NoRunsError(f"{out}: {len(unfinished) + len(broken)} runs, none of them finished")
    together, broken_ensembles = _records(
        ensembles, lambda folder: (_members(folder), _predictions(folder, about))
    )
    runs, ensembles = runs.loc[list(read)], ensembles.loc[list(together)]
    settings = pd.DataFrame([config for config, _ in read.values()], index=runs.index)
    runs = pd.concat([runs, settings.add_prefix("config.")], axis=1).sort_values("start_time")
    predictions = {run_id: table for run_id, (_, table) in (read | together).items()}
    return Results(
        runs=runs,
        predictions=_one_table(
            {run_id: predictions[run_id] for run_id in [*runs.index, *together]}
        ),
        readers=_readers(runs),
        unfinished=pd.concat([unfinished, broken, unfinished_ensembles, broken_ensembles])[
            _UNFINISHED
        ],
        ensembles=ensembles.assign(members=pd.Series({k: v for k, (v, _) in together.items()})),
        searches=_searches(out),
        history=partial(_history, uri),
    )


def _search(out: Path, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Those of a kind that count, by their ids, and those that do not."""
    if (found := _of_kind(out, kind)).empty:
        return found.set_index("run_id"), found
    complete = found["folder"].map(lambda folder: (folder / "predictions.csv").is_file())
    finished = found["status"] == "FINISHED"
    found.loc[finished & ~complete, "status"] = "FINISHED, without predictions"
    return found[finished & complete].set_index("run_id"), found[~(finished & complete)]


def _of_kind(out: Path, kind: str) -> pd.DataFrame:
    """All of a kind, with the folders of their artifacts."""
    found = mlflow.search_runs(
        search_all_experiments=True, filter_string=f"tags.kind = '{kind}'", max_results=50_000
    )
    if not isinstance(found, pd.DataFrame) or found.empty:
        return pd.DataFrame(columns=[*_UNFINISHED, "folder"])
    # Not the path that MLflow recorded: a store that was copied here can be read as well.
    folders = found["run_id"].map(lambda run_id: out / "artifacts" / run_id / "artifacts")
    return found.assign(folder=folders)


def _searches(out: Path) -> dict[str, dict[str, Any]]:
    """What each search wrote down; one that has not come to its end has not yet."""
    found = _of_kind(out, "search").set_index("run_id")["folder"]
    files = {str(run_id): folder / "search.json" for run_id, folder in found.items()}
    return {
        run_id: json.loads(file.read_text(encoding="utf-8"))
        for run_id, file in files.items()
        if file.is_file()
    }


def _records(
    runs: pd.DataFrame, read: Callable[[Path], tuple[_Told, pd.DataFrame]]
) -> tuple[dict[str, tuple[_Told, pd.DataFrame]], pd.DataFrame]:
    """What is read from each run's folder, and the runs whose files are damaged."""
    whole, broken = {}, []
    for run_id, folder in runs["folder"].items():
        try:
            whole[str(run_id)] = read(folder)
        except (OSError, ValueError, KeyError) as error:
            broken.append((run_id, f"FINISHED, but cannot be read: {str(error).splitlines()[0]}"))
    status = pd.DataFrame(broken, columns=["run_id", "status"]).set_index("run_id")
    damaged = runs.loc[status.index].drop(columns="status").join(status)
    return whole, damaged.rename_axis("run_id").reset_index()


def _settings(folder: Path) -> dict[str, str]:
    return _flatten(json.loads((folder / "config.json").read_text(encoding="utf-8")))


def _members(folder: Path) -> list[dict[str, object]]:
    members: list[dict[str, object]] = json.loads(
        (folder / "members.json").read_text(encoding="utf-8")
    )["members"]
    return members


def _predictions(folder: Path, about: Callable[[bytes], pd.DataFrame]) -> pd.DataFrame:
    """A row an image that the run read. Raises ValueError where rows are missing."""
    read = _table((folder / "predictions.csv").read_bytes())
    images = about((folder / "images.csv").read_bytes())
    # As they are written, both have the same images in the same order.
    same = len(read) == len(images) and all((read[c] == images[c]).all() for c in _IMAGE)
    if not same:
        raise ValueError("predictions.csv and images.csv are of different images")
    return pd.concat([read.drop(columns=_IMAGE), images], axis=1).assign(
        confidence=read["confidence"].astype(float),
        label_loss=pd.to_numeric(read.get("label_loss", pd.Series(index=read.index, dtype=str))),
    )


def _about(content: bytes) -> pd.DataFrame:
    """An images.csv, which is the same for many runs."""
    # Runs of an older recipe did not log all of these.
    table = _table(content).reindex(columns=[*_IMAGE, *_ABOUT], fill_value="")
    return table.assign(
        group=table["group"].astype(int),
        clean=table["clean"] == "1",
        changed=table["changed"] == "1",
    )


def _one_table(by_run: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All predictions, with their run_id; texts that recur are kept once."""
    table = pd.concat(list(by_run.values()), ignore_index=True)
    sizes = [len(one) for one in by_run.values()]
    codes = np.repeat(np.arange(len(sizes)), sizes)
    run_id = pd.Categorical.from_codes(codes.tolist(), pd.Index(list(by_run)))
    return table.assign(run_id=run_id)


def _history(uri: str, run_ids: list[str], key: str) -> pd.DataFrame:
    client = MlflowClient(uri)
    rows = [
        (run_id, point.step, point.value)
        for run_id in run_ids
        for point in client.get_metric_history(run_id, key)
    ]
    return pd.DataFrame(rows, columns=["run_id", "step", "value"])


def _readers(runs: pd.DataFrame) -> pd.DataFrame:
    """Of one run a data set: they are the same for all of its runs."""
    tables = [pd.DataFrame(columns=["reader", "filename", "reading", "data_digest"])]
    for digest, folder in runs.groupby("tags.data_digest")["folder"].first().items():
        if (file := folder / "readers.csv").is_file():
            tables.append(_table(file.read_bytes()).assign(data_digest=str(digest)))
    return pd.concat(tables, ignore_index=True)


def _table(content: bytes) -> pd.DataFrame:
    """All text: '007' and '1.0' stay what they are, and an empty field is an empty text."""
    return pd.read_csv(BytesIO(content), dtype=str, keep_default_na=False)


def _flatten(nested: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
