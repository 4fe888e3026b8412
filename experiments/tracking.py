"""The MLflow writer: the only place of `experiments` that knows MLflow.

All state lies below one folder `out`: the database `mlflow.db`, artifacts, checkpoints and logs.
"""

from __future__ import annotations

import getpass
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# First of all that knows MLflow: it says what MLflow logs and reports.
from experiments.store import PatientClient, check_store, ensure_store

# isort: split
import mlflow
from mlflow.data import sources
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LifecycleStage, Metric, Param, Run, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.file_utils import local_file_uri_to_path

from analysis.record import (
    DIGESTS,
    EXPERIMENT,
    REPLACED,
    REPORTS,
    STORE,
    address,
    artifacts_of,
    digest,
    flaw,
)
from experiments.errors import UserError
from experiments.files import lock

# Curves stand under this prefix, apart from the final metrics: MLflow takes the value at the last
# step for a metric's own, and the last epoch is not the one that is kept.
EPOCH = "epoch/"
# Characters of a description; MLflow takes tags of at most 8,000.
_DESCRIPTION = 7_900
_EVERY_EPOCH = f"{EPOCH}val.exact_match"

# The kind of a run that stands for an arm: it is made from a report, and nothing is made of it.
ARM = "arm"

_log = logging.getLogger(__name__)


class Tracker:
    """The store of one `out` folder.

    Runs, experiments and addresses are named by what is found here, never by MLflow's environment
    variables or by what run is active in this process: those may be another project's.
    """

    def __init__(self, out: Path, *, reading: bool = False) -> None:
        """Open the store. Raises UserError.

        reading: it has to be there, may have been moved, and nothing is written; by default it is
            made where there is none.
        """
        (check_store if reading else ensure_store)(out)
        self.out = out.resolve()
        self.uri = address(out, reading=reading)
        self._client = PatientClient(out, self.uri)
        self.experiment_id = self._experiment(reading)

    def _experiment(self, reading: bool) -> str:
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        if experiment is None and reading:
            raise UserError(f"{self.out}: no runs here; make some with make ablation, or set --out")
        if experiment is None:  # a database that something else has made
            with lock(self.out / "mlflow.lock"):
                artifacts = (self.out / "artifacts").as_uri()
                made = self._client.create_experiment(EXPERIMENT, artifact_location=artifacts)
            return str(made)
        if experiment.lifecycle_stage == LifecycleStage.DELETED:
            raise UserError(
                f"{self.out}: the experiment {EXPERIMENT} was deleted; to have its runs back: "
                f"MLFLOW_TRACKING_URI='{address(self.out)}' python -m mlflow experiments restore "
                f"--experiment-id {experiment.experiment_id}, else set OUT (--out) to a new folder"
            )
        if not reading:
            self._check_place(Path(local_file_uri_to_path(experiment.artifact_location)))  # type: ignore[no-untyped-call]
        return str(experiment.experiment_id)

    def finished(self, run_hash: str) -> str | None:
        """The id of the run with this hash that counts: finished, and all of its files whole."""
        for run in self._search(f"tags.run_hash = '{run_hash}' and status = 'FINISHED'"):
            if (reason := self._flaw(run)) is None:
                return str(run.info.run_id)
            if REPLACED not in run.data.tags:
                _log.warning("%s: finished, but %s; it is made again", run.info.run_id, reason)
        return None

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
        begun = self._search(f"tags.{kind} = '{key}' and tags.kind = '{kind}'")
        return self._begin(name, begun, {"kind": kind, kind: key}, monitored=False)

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
        return artifacts_of(self.out, run_id)

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run that there is."""
        return dict(self._client.get_run(run_id).data.tags)

    def count_report(self) -> None:
        """Note that one more report was written; not in a store that is moved or read-only."""
        experiment = self._client.get_experiment(self.experiment_id)
        recorded = Path(local_file_uri_to_path(experiment.artifact_location))  # type: ignore[no-untyped-call]
        writable = all(os.access(place, os.W_OK) for place in (self.out, self.out / STORE))
        if recorded != self.out / "artifacts" or not writable:
            return
        with lock(self.out / "mlflow.lock"):
            known = self._client.get_experiment(self.experiment_id).tags.get(REPORTS, "0")
            number = int(known) if known.isdecimal() else 0
            self._client.set_experiment_tag(self.experiment_id, REPORTS, str(number + 1))

    def _flaw(self, run: Run, *, weights: bool = True) -> str | None:
        return flaw(artifacts_of(self.out, run.info.run_id), run.data.tags, weights=weights)

    def _check_place(self, recorded: Path) -> None:
        """MLflow records whole paths: from a moved folder it would write to the old one."""
        if recorded != self.out / "artifacts":
            raise UserError(
                f"{self.out}: was made as {recorded.parent}, and its runs cannot go on elsewhere: "
                "move it back, or set OUT (--out) to a new folder"
            )

    def _search(self, condition: str) -> list[Run]:
        return list(self._client.search_runs([self.experiment_id], condition, max_results=50_000))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user that no list of users knows
        return "unknown"


class RunRecord:
    """One MLflow run that is being written."""

    def __init__(self, client: PatientClient, run_id: str, monitored_at: str | None = None) -> None:
        """monitored_at: the address to log the machine's load to, while the run goes on."""
        self.run_id = run_id
        self._client = client
        known = client.get_metric_history(run_id, _EVERY_EPOCH)
        self._logged = max((metric.step for metric in known), default=-1)
        self._digests: dict[str, str] = {}
        self._monitor = None
        if monitored_at is not None:
            self._monitor = SystemMetricsMonitor(  # type: ignore[no-untyped-call]
                run_id, resume_logging=True, tracking_uri=monitored_at
            )
            self._monitor.start()  # type: ignore[no-untyped-call]

    def log_params(self, params: dict[str, Any]) -> None:
        """Settings; the same ones again are no error."""
        entries = [Param(key, str(value)) for key, value in params.items()]
        self._client.log_batch(self.run_id, params=entries, synchronous=True)

    def set_tags(self, tags: dict[str, str]) -> None:
        """Tags beside those of the start."""
        entries = [RunTag(*tag) for tag in tags.items()]
        self._client.log_batch(self.run_id, tags=entries, synchronous=True)

    def describe(self, markdown: str) -> None:
        """What MLflow's page of the run shows first; cut at the end of a line where it is long."""
        if len(markdown) > _DESCRIPTION:
            markdown = markdown[:_DESCRIPTION].rpartition("\n")[0] + "\n"
        self.set_tags({"mlflow.note.content": markdown})

    def log_data(self, name: str, folder: Path, data_digest: str) -> None:
        """Which data the run saw, by its digest."""
        # MLflow makes this class when it is imported, so a type checker cannot see it.
        source = sources.LocalArtifactDatasetSource(str(folder.resolve()))  # type: ignore[attr-defined]
        data = MetaDataset(source, name=name, digest=data_digest)  # type: ignore[abstract]
        entity = data._to_mlflow_entity()
        seen = DatasetInput(entity, tags=[InputTag("mlflow.data.context", "training")])
        self._client.log_inputs(self.run_id, datasets=[seen])

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """The metrics of an epoch, once: one that is trained again after a kill is not new."""
        if epoch > self._logged:
            self._log_at(epoch, {EPOCH + k: v for k, v in metrics.items()})
            self._logged = epoch

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        """Final metrics."""
        self._log_at(step, metrics)

    def _log_at(self, step: int, metrics: dict[str, float]) -> None:
        now = time.time_ns() // 1_000_000
        entries = [Metric(key, value, now, step) for key, value in metrics.items()]
        self._client.log_batch(self.run_id, metrics=entries, synchronous=True)

    def log_file(self, file: Path) -> None:
        """Copy a file to the run's artifacts; what it holds goes into the run's digests."""
        self._client.log_artifact(self.run_id, str(file))
        self._digests[file.name] = digest(file)

    def end(self, status: str = "FINISHED") -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        if self._monitor is not None:
            self._monitor.finish()  # type: ignore[no-untyped-call]
        if status == "FINISHED" and self._digests:
            self.set_tags({DIGESTS: json.dumps(self._digests)})
        self._client.set_terminated(self.run_id, status)
