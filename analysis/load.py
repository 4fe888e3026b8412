"""Finished runs out of MLflow, as flat tables: the only place of `analysis` that knows MLflow."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")

import mlflow

_UNFINISHED = ["run_id", "tags.mlflow.runName", "status"]
_ABOUT = ["split", "filename", "group", "clean", "part", "changed"]


class NoRunsError(ValueError):
    """There is no finished run to report on."""


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
    """

    runs: pd.DataFrame
    predictions: pd.DataFrame
    readers: pd.DataFrame
    unfinished: pd.DataFrame
    ensembles: pd.DataFrame = field(default_factory=pd.DataFrame)


def load(out: Path) -> Results:
    """Read the store below `out`. Raises NoRunsError."""
    if not (out / "mlflow.db").is_file():
        raise NoRunsError(f"{out}: no runs here")
    mlflow.set_tracking_uri(f"sqlite:///{out.resolve() / 'mlflow.db'}")
    runs, unfinished = _search(out, "run")
    if runs.empty and unfinished.empty:
        raise NoRunsError(f"{out}: no runs here")
    if runs.empty:
        raise NoRunsError(f"{out}: {len(unfinished)} runs, none of them finished")
    ensembles, unfinished_ensembles = _search(out, "ensemble")
    members = [json.loads((f / "members.json").read_text()) for f in ensembles["folder"]]
    configs = [_flatten(json.loads((f / "config.json").read_text())) for f in runs["folder"]]
    settings = pd.DataFrame(configs, index=runs.index).add_prefix("config.")
    runs = pd.concat([runs, settings], axis=1).sort_values("start_time")
    return Results(
        runs=runs,
        predictions=pd.concat(
            [
                _predictions(str(run_id), folder)
                for made in (runs, ensembles)
                for run_id, folder in made["folder"].items()
            ],
            ignore_index=True,
        ),
        readers=_readers(runs),
        unfinished=pd.concat([unfinished, unfinished_ensembles])[_UNFINISHED],
        ensembles=ensembles.assign(members=[made["members"] for made in members]),
    )


def _search(out: Path, kind: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Those of a kind that count, by their ids, and those that do not."""
    found = mlflow.search_runs(
        search_all_experiments=True, filter_string=f"tags.kind = '{kind}'", max_results=50_000
    )
    if not isinstance(found, pd.DataFrame) or found.empty:
        nothing = pd.DataFrame(columns=[*_UNFINISHED, "folder"])
        return nothing.set_index("run_id"), nothing
    # Not the path that MLflow recorded: a store that was copied here can be read as well.
    found["folder"] = found["run_id"].map(lambda run_id: out / "artifacts" / run_id / "artifacts")
    complete = found["folder"].map(lambda folder: (folder / "predictions.csv").is_file())
    counts = (found["status"] == "FINISHED") & complete
    return found[counts].set_index("run_id"), found[~counts]


def _predictions(run_id: str, folder: Path) -> pd.DataFrame:
    read = _table(folder / "predictions.csv")
    # Runs of an older recipe did not tell all of these.
    about = _table(folder / "images.csv").reindex(columns=_ABOUT, fill_value="")
    table = read.merge(about, on=["split", "filename"], how="left", validate="one_to_one")
    return table.assign(
        run_id=run_id,
        confidence=table["confidence"].astype(float),
        label_loss=pd.to_numeric(table.get("label_loss", pd.Series(index=table.index))),
        group=table["group"].astype(int),
        clean=table["clean"] == "1",
        changed=table["changed"] == "1",
    )


def _readers(runs: pd.DataFrame) -> pd.DataFrame:
    """Of one run a data set: they are the same for all of its runs."""
    tables = [pd.DataFrame(columns=["reader", "filename", "reading", "data_digest"])]
    for digest, folder in runs.groupby("tags.data_digest")["folder"].first().items():
        if (file := folder / "readers.csv").is_file():
            tables.append(_table(file).assign(data_digest=str(digest)))
    return pd.concat(tables, ignore_index=True)


def _table(file: Path) -> pd.DataFrame:
    """All text: '007' and '1.0' stay what they are, and an empty field is an empty text."""
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def _flatten(nested: dict[str, object], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat
