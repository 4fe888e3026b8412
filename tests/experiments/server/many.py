"""How long an ablation whose runs are all finished, and the report's loading, take with many runs.

    .venv/bin/python -m tests.experiments.server.many FOLDER

writes growth.csv and growth.png there: seconds against the number of runs on a tracking server over
PostgreSQL, both on this machine. The runs are copies of one that is trained, each with settings, a
hash and files of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import pandas as pd
import psycopg
import seaborn as sns
import typer

from analysis.page.style import style
from analysis.place import TRACKING
from analysis.record import DIGESTS, SETTINGS, WEIGHTS, digest
from analysis.tables.load import load
from experiments.data.synthetic.strings import ensure_strings
from experiments.records import claims
from experiments.records.tracker import Tracker
from experiments.settings.presets import Preset
from experiments.sweep.ablation import ablation, planned_of
from experiments.sweep.engines.processes import LocalProcesses
from experiments.sweep.plan import Planned
from experiments.training.run import run, run_name
from tests.servers import TrackingServer, postgres, tracking_server

RUN = {"epochs": 1, "batch_size": 16, "image": {"height": 16, "width": 40}, "hidden": 8}
# Arms of as many seeds as there have to be.
ARMS = {"loss": ["ctc", "ce_stop"], "optimizer.max_lr": [0.1, 0.2, 0.3, 0.4, 0.5]}
SIZES = (10, 100, 1_000, 10_000)
# Of more runs than these the files are not fetched, which would take long, but put where they go.
MOST_FETCHED = 1_000

# Of a run's rows all but these are the same for all runs.
_OWN = {"run_hash", "mlflow.runName", DIGESTS}
_COPY = """
insert into runs select (jsonb_populate_record(runs, jsonb_build_object(
    'run_uuid', copies.run_id, 'name', copies.name, 'start_time', runs.start_time + copies.number,
    'artifact_uri', replace(runs.artifact_uri, runs.run_uuid, copies.run_id)))).*
from runs, copies where runs.run_uuid = %(first)s
"""


def preset(runs: int) -> Preset:
    """An ablation of so many runs."""
    return Preset(run={**RUN, "optimizer": {"name": "sgd_cyclic"}}, seeds=runs // 10, grid=(ARMS,))


class Copies:
    """Finished runs on a server that nobody has trained."""

    def __init__(self, server: TrackingServer, database: str, out: Path, data: Path) -> None:
        self._server, self._database, self._out, self._data = server, database, out, data
        self._first, self._made = "", set[str]()

    def plan(self, runs: int) -> list[Planned]:
        """Those of the ablation."""
        return planned_of(preset(runs), None, self._data, self._out)[0]

    def finish(self, planned: list[Planned]) -> None:
        """Those that are missing are there."""
        if not self._first:
            self._first = run(planned[0].config, self._data, self._out)
            self._made.add(planned[0].run_hash)
        missing = [one for one in planned if one.run_hash not in self._made]
        self._made |= {one.run_hash for one in missing}
        record = Tracker(self._out)
        tracked = record._client.get_run(self._first)
        digests = json.loads(tracked.data.tags[DIGESTS])
        (files,) = self._server.artifacts.rglob(f"{self._first}/artifacts")
        rows = []
        for number, one in enumerate(missing):
            run_id = md5(one.run_hash.encode()).hexdigest()
            folder = files.parents[1] / run_id / "artifacts"
            folder.mkdir(parents=True)
            for file in files.iterdir():
                if file.name != SETTINGS:
                    os.link(file, folder / file.name)
            (folder / SETTINGS).write_text(one.config.model_dump_json(indent=1))
            own = json.dumps(digests | {SETTINGS: digest(folder / SETTINGS)})
            claims_run = record._claims().run_id(one.run_hash)
            rows.append((number, run_id, run_name(one.config), one.run_hash, own, claims_run))
        self._insert(rows)

    def put_into(self, downloads: Path) -> None:
        """The files of all runs, as if they had been fetched."""
        for file in self._server.artifacts.rglob("*.*"):
            if file.name != WEIGHTS:
                place = downloads / file.parents[1].name / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                os.link(file, place)

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        with psycopg.connect(self._database) as database:
            database.execute(
                "create temp table copies "
                "(number int, run_id text, name text, hash text, own text, claims text)"
            )
            with database.cursor().copy("copy copies from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
            database.execute(_COPY, {"first": self._first})
            for table in ("tags", "params", "metrics", "latest_metrics"):
                found = database.execute(f"select * from {table} limit 0").description or ()
                columns = ", ".join(one.name for one in found if one.name != "run_uuid")
                database.execute(
                    f"insert into {table} ({columns}, run_uuid) select {columns}, run_id "
                    f"from {table}, copies where run_uuid = %s",
                    [self._first],
                )
            for key, column in (("run_hash", "hash"), ("mlflow.runName", "name"), (DIGESTS, "own")):
                database.execute(
                    f"update tags set value = {column} from copies "
                    "where run_uuid = run_id and key = %s",
                    [key],
                )
            # As many claims as there are runs that machines have made.
            database.execute(
                "insert into params (key, value, run_uuid) "
                "select hash || '.1', 'anna@lab 0123456789ab word', claims from copies"
            )
            database.commit()
        with psycopg.connect(self._database, autocommit=True) as database:
            database.execute("analyze")


def timed(do: Callable[[], object]) -> float:
    """How many seconds it takes."""
    began = time.monotonic()
    do()
    return time.monotonic() - began


@contextmanager
def place() -> Iterator[tuple[Copies, Path]]:
    """A server without runs, which the environment names, and a folder."""
    with tempfile.TemporaryDirectory() as folder, postgres() as running:
        address, out = running.database("mlflow"), Path(folder)
        with (
            tracking_server(address) as server,
            patch.dict(os.environ, {TRACKING: server.uri}),
            patch.object(claims, "LOOK", 0.1),
        ):
            data = ensure_strings(out, counts={"train": 64, "val": 16, "dev": 16})
            yield Copies(server, address, out, data), out


def measure(copies: Copies, out: Path, runs: int) -> dict[str, float]:
    """Seconds of each part, where so many runs are planned and finished."""
    planned: list[Planned] = []
    taken = {"planning": timed(lambda: planned.extend(copies.plan(runs)))}
    copies.finish(planned)

    def skip() -> None:
        outcome, parent = ablation(
            "many", preset(runs), copies._data, out, LocalProcesses(), None, 1
        )
        parent.end()
        assert (outcome.skipped, outcome.made) == (runs, [])

    def read() -> None:
        assert len(load(out).runs) == runs

    def claim() -> None:
        with Tracker(out).claimed("one more"):
            pass

    taken["planning and skipping all"] = timed(skip)
    shutil.rmtree(out / "downloads", ignore_errors=True)
    if runs > MOST_FETCHED:
        copies.put_into(out / "downloads")
    else:
        taken["loading for a report, first"] = timed(read)
    taken["loading for a report, again"] = timed(read)
    taken["claiming one run"] = timed(claim)
    return taken


def draw(table: pd.DataFrame, file: Path) -> None:
    """Both axes logarithmic, with a straight line's growth beside it."""
    with style():
        figure, axis = plt.subplots(figsize=(9, 5.5), layout="constrained")
        long = table.melt("runs", var_name="what", value_name="seconds")
        sns.lineplot(long, x="runs", y="seconds", hue="what", style="what", markers=True, ax=axis)
        last = table.iloc[-1]
        most = last.drop("runs").max()
        axis.plot(table.runs, most * table.runs / last.runs, color="grey", linestyle=":")
        axis.set(xscale="log", yscale="log", xlabel="finished runs on the server", ylabel="seconds")
        axis.legend(title="")
        sns.despine()
        figure.savefig(file, dpi=80)
        plt.close(figure)


def main(folder: Path) -> None:
    """Print a line a size; write growth.csv and growth.png into the folder."""
    rows = []
    with place() as (copies, out):
        for runs in SIZES:
            rows.append({"runs": runs, **measure(copies, out, runs)})
            print(", ".join(f"{key} {value:.2f}" for key, value in rows[-1].items()), flush=True)
    table = pd.DataFrame(rows).round(3)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "growth.csv", index=False)
    draw(table, folder / "growth.png")


if __name__ == "__main__":
    typer.run(main)
