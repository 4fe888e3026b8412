"""The runs in MLflow: found, begun, gone on with, settled.

All state lies below one folder `out`: the database `mlflow.db`, artifacts, checkpoints and logs.
With a tracking server that has the runs and their files, and `out` what belongs to this machine.
"""

from __future__ import annotations

import getpass
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

# First of all that knows MLflow: it says what MLflow logs and reports.
from experiments.records.client import open_client
from experiments.records.store import check_store, ensure_out, ensure_store, open_place

# isort: split
import mlflow
from mlflow.entities import Run, RunTag

from analysis.record import REPLACED, REPORTS, STORE, artifacts_of, flaw
from analysis.tracking_server import ServerClient, all_runs, fetch, flaw_on_server
from experiments.errors import UserError
from experiments.files import lock
from experiments.records.claims import Claims
from experiments.records.experiment import ensure_experiment, is_here
from experiments.records.run_record import RunRecord

# The kind of a run that stands for an arm: it is made from a report, and nothing is made of it.
ARM = "arm"

# Of so many runs a server is asked at once whether their files are there.
_AT_ONCE = 8

_log = logging.getLogger(__name__)


class Tracker:
    """The store of one `out` folder, or the server that the environment names for it.

    Runs and experiments are named by what is found here. Which store it is, is said by
    MLFLOW_TRACKING_URI where that is a server's address, and in that case MLFLOW_EXPERIMENT_NAME
    says which experiment. No other variable of MLflow steers it, nor does an active run.
    """

    def __init__(self, out: Path, *, reading: bool = False) -> None:
        """Open the store. Raises UserError and StoreError.

        reading: it has to be there, may have been moved, and nothing is written; by default it is
            made where there is none.
        """
        self.out = out.resolve()
        self.place = open_place(self.out)
        if self.place.server is None:
            (check_store if reading else ensure_store)(out)
        else:
            ensure_out(out)
        self.uri = self.place.uri(reading=reading)
        self._client = open_client(self.place, reading=reading)
        self.experiment_id = ensure_experiment(self._client, self.place, reading=reading)

    def finished(self, run_hash: str) -> str | None:
        """The id of the run with this hash that counts: finished, and all of its files whole."""
        for run in self._search(f"tags.run_hash = '{run_hash}' and status = 'FINISHED'"):
            if (reason := self._flaw(run)) is None:
                return str(run.info.run_id)
            if REPLACED not in run.data.tags:
                _log.warning("%s: finished, but %s; it is made again", run.info.run_id, reason)
        return None

    def finished_among(self, hashes: set[str]) -> set[str]:
        """Those of these hashes whose run is finished, as `finished` has it.

        Of a server by one search for all of them: to search for each by itself would take it as
        long again for every run that it has.
        """
        if not isinstance(self._client, ServerClient):
            return {one for one in hashes if self.finished(one) is not None}
        found = [
            run
            for run in self._search("tags.kind = 'run' and status = 'FINISHED'")
            if run.data.tags.get("run_hash") in hashes and REPLACED not in run.data.tags
        ]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            flaws = list(threads.map(self._flaw, found))
        for run, reason in zip(found, flaws, strict=True):
            if reason is not None:
                _log.warning("%s: finished, but %s; it is made again", run.info.run_id, reason)
        return {
            run.data.tags["run_hash"]
            for run, reason in zip(found, flaws, strict=True)
            if reason is None
        }

    @contextmanager
    def claimed(self, run_hash: str) -> Iterator[None]:
        """Make the run of this hash alone; on a server waits while another machine makes it.

        In a store of one machine the lock of the run's file is enough.
        """
        if self.place.server is None:
            yield
            return
        with self._claims().holding(run_hash, _user()):
            yield

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """As `claimed`, for what has no file of its own: of this machine's processes as well."""
        with lock(self.out / "runs" / f"{name}.lock"), self.claimed(name):
            yield

    def being_made(self) -> set[str]:
        """The hashes of the runs that some machine is making; none where there is one machine."""
        return set() if self.place.server is None else self._claims().alive()

    def _claims(self) -> Claims:
        assert isinstance(self._client, ServerClient)
        return Claims(self._client, self.experiment_id, self.out)

    def finished_runs(self) -> list[Run]:
        """All runs that count, in the order of their start."""
        found = self._search("tags.kind = 'run' and status = 'FINISHED'")
        counting = [run for run in found if self._flaw(run, weights=False) is None]
        return sorted(counting, key=lambda run: int(run.info.start_time))

    def all_runs(self) -> list[Run]:
        """Every run of every kind, whatever became of it."""
        return self._search("")

    @contextmanager
    def recording(self, name: str, run_hash: str, tags: dict[str, str]) -> Iterator[RunRecord]:
        """As start_run; the run is ended with the block, by what becomes of it."""
        record = self.start_run(name, run_hash, tags)
        try:
            yield record
        except BaseException as error:
            # Ctrl-C is no failure: the run waits, KILLED, for its next start.
            record.end("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
            raise
        record.end()
        for other in self._search(f"tags.run_hash = '{run_hash}' and status = 'FINISHED'"):
            if other.info.run_id != record.run_id and self._flaw(other) is not None:
                self._client.set_tag(other.info.run_id, REPLACED, record.run_id)

    def start_run(self, name: str, run_hash: str, tags: dict[str, str]) -> RunRecord:
        """Begin a run, or go on with the one of this hash that did not finish."""
        begun = self._search(f"tags.run_hash = '{run_hash}' and status != 'FINISHED'")
        return self._begin(name, begun, tags | {"run_hash": run_hash}, monitored=True)

    def start_parent(self, name: str, key: str, kind: str = "ablation") -> RunRecord:
        """Begin the parent run of an ablation or a search, or go on with the one of this key."""
        tags = {"kind": kind, kind: key}
        condition = f"tags.{kind} = '{key}' and tags.kind = '{kind}'"
        if begun := self._search(condition):
            return self._begin(name, begun, tags, monitored=False)
        with self.alone(key):  # of two that begin at once, the second finds it there
            return self._begin(name, self._search(condition), tags, monitored=False)

    def start_arm(self, name: str, begun: list[Run], tags: dict[str, str]) -> RunRecord:
        """Begin a run that stands for an arm, or go on with the first of those begun."""
        return self._begin(
            name, begun, tags | {"kind": ARM, "mlflow.runName": name}, monitored=False
        )

    def _begin(
        self, name: str, begun: list[Run], tags: dict[str, str], *, monitored: bool
    ) -> RunRecord:
        if begun:
            run_id = str(begun[0].info.run_id)
            self._client.update_run(run_id, status="RUNNING")
            self._client.log_batch(run_id, tags=[RunTag(*tag) for tag in tags.items()])
        else:
            tags = tags | {"mlflow.user": _user(), "mlflow.source.name": "head-to-head"}
            run = self._client.create_run(self.experiment_id, tags=tags, run_name=name)
            run_id = str(run.info.run_id)
        return RunRecord(self._client, run_id, self.uri if monitored else None)

    def settle(self, run_hash: str, status: str, tags: dict[str, str]) -> None:
        """Give the run of this hash its status and tags from outside: it may have been killed."""
        for run in self._search(f"tags.run_hash = '{run_hash}'"):
            for key, value in tags.items():
                self._client.set_tag(run.info.run_id, key, value)
            self._client.set_terminated(run.info.run_id, status)

    def artifacts(self, run_id: str) -> Path | None:
        """The folder of a finished run's artifacts; None where there is no such run.

        Raises UserError where its files are not whole.
        """
        try:
            run = self._client.get_run(run_id)
        except mlflow.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise
        if run.info.status != "FINISHED":
            return None
        if (reason := self._flaw(run)) is not None:
            raise UserError(
                f"{run_id}: {reason}; make it again with the same command, or name another"
            )
        if not isinstance(self._client, ServerClient):
            return artifacts_of(self.out, run_id)
        folder = self.place.downloads(run_id)
        if (reason := fetch(self._client, run, folder, weights=True)) is not None:
            raise UserError(f"{run_id}: {reason}; make it again with the same command")
        return folder

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run that there is."""
        return dict(self._client.get_run(run_id).data.tags)

    def count_report(self) -> None:
        """Note that one more report was written; not in a store that is moved or read-only."""
        if self.place.server is not None:
            self._add_report()
            return
        experiment = self._client.get_experiment(self.experiment_id)
        writable = all(os.access(place, os.W_OK) for place in (self.out, self.out / STORE))
        if not writable or not is_here(experiment, self.place):
            return
        with lock(self.out / "mlflow.lock"):
            self._add_report()

    def _add_report(self) -> None:
        known = self._client.get_experiment(self.experiment_id).tags.get(REPORTS, "0")
        number = int(known) if known.isdecimal() else 0
        self._client.set_experiment_tag(self.experiment_id, REPORTS, str(number + 1))

    def _flaw(self, run: Run, *, weights: bool = True) -> str | None:
        if isinstance(self._client, ServerClient):
            return flaw_on_server(self._client, run)
        return flaw(artifacts_of(self.out, run.info.run_id), run.data.tags, weights=weights)

    def _search(self, condition: str) -> list[Run]:
        return list(all_runs(self._client, [self.experiment_id], condition))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that no list of users knows
        return "unknown"
