"""The MLflow writer: the only place of `experiments` that knows MLflow.

All state lies below one folder `out`: the database `mlflow.db`, artifacts, checkpoints and logs.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before the import: nothing here reports to anybody, and a database is made without 60 log lines.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
logging.getLogger("alembic").setLevel(logging.WARNING)

import mlflow  # noqa: E402
from mlflow.data import sources  # noqa: E402
from mlflow.data.meta_dataset import MetaDataset  # noqa: E402
from mlflow.entities import Run  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402
from mlflow.utils.file_utils import local_file_uri_to_path  # noqa: E402

from experiments.errors import UserError  # noqa: E402
from experiments.files import lock  # noqa: E402

EXPERIMENT = "head-to-head"
PREDICTIONS = "predictions.csv"
# Curves stand under this prefix, apart from the final metrics: MLflow takes the value at the last
# step for a metric's own, and the last epoch is not the one that is kept.
EPOCH = "epoch/"
_EVERY_EPOCH = f"{EPOCH}val.exact_match"


class Tracker:
    """The store of one `out` folder."""

    def __init__(self, out: Path) -> None:
        """Open the store; make it first where there is none."""
        out.mkdir(parents=True, exist_ok=True)
        self.out = out.resolve()
        self.uri = f"sqlite:///{self.out / 'mlflow.db'}"
        with lock(self.out / "mlflow.lock"):
            mlflow.set_tracking_uri(self.uri)
            self._client = MlflowClient(self.uri)
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                # Write-ahead logging: a reader, such as the UI, never holds up a run.
                with sqlite3.connect(self.out / "mlflow.db") as database:
                    database.execute("PRAGMA journal_mode=WAL")
                self.experiment_id = self._client.create_experiment(
                    EXPERIMENT,
                    artifact_location=(self.out / "artifacts").as_uri(),
                    # The pages for models in training, not those for chats.
                    tags={"mlflow.experimentKind": "custom_model_development"},
                )
            else:
                self.experiment_id = experiment.experiment_id
                self._check_place(Path(local_file_uri_to_path(experiment.artifact_location)))  # type: ignore[no-untyped-call]

    def finished(self, run_hash: str) -> str | None:
        """The id of the run with this hash that counts: finished, its predictions in place."""
        for run in self._search(f"tags.run_hash = '{run_hash}' and status = 'FINISHED'"):
            if self.artifacts(run.info.run_id) is not None:
                return str(run.info.run_id)
        return None

    def finished_runs(self) -> list[Run]:
        """All runs that count, in the order of their start."""
        found = self._search("tags.kind = 'run' and status = 'FINISHED'")
        counting = [run for run in found if self.artifacts(run.info.run_id) is not None]
        return sorted(counting, key=lambda run: int(run.info.start_time))

    def start_run(self, name: str, run_hash: str, tags: dict[str, str]) -> RunRecord:
        """Begin a run, or go on with the one of this hash that did not finish."""
        begun = self._search(f"tags.run_hash = '{run_hash}' and status != 'FINISHED'")
        run = mlflow.start_run(
            run_id=begun[0].info.run_id if begun else None,
            experiment_id=None if begun else self.experiment_id,
            run_name=None if begun else name,
            tags=tags | {"run_hash": run_hash},
            log_system_metrics=True,
        )
        return RunRecord(self._client, run)

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

    def start_parent(self, name: str, key: str, kind: str = "ablation") -> RunRecord:
        """Begin the parent run of an ablation or a search, or go on with the one of this key."""
        begun = self._search(f"tags.{kind} = '{key}' and tags.kind = '{kind}'")
        tags = {"kind": kind, kind: key}
        run = mlflow.start_run(
            run_id=begun[0].info.run_id if begun else None,
            experiment_id=None if begun else self.experiment_id,
            run_name=None if begun else name,
            tags=tags,
        )
        return RunRecord(self._client, run)

    def settle(self, run_hash: str, status: str, tags: dict[str, str]) -> None:
        """Give the run of this hash its status and tags from outside: it may have been killed."""
        for run in self._search(f"tags.run_hash = '{run_hash}'"):
            for key, value in tags.items():
                self._client.set_tag(run.info.run_id, key, value)
            self._client.set_terminated(run.info.run_id, status)

    def artifacts(self, run_id: str) -> Path | None:
        """The folder of a finished run's artifacts; None where there is no such run."""
        try:
            run = self._client.get_run(run_id)
        except mlflow.MlflowException:
            return None
        folder = self.out / "artifacts" / run_id / "artifacts"
        counts = run.info.status == "FINISHED" and (folder / PREDICTIONS).is_file()
        return folder if counts else None

    def tags(self, run_id: str) -> dict[str, str]:
        """The tags of a run that there is."""
        return dict(self._client.get_run(run_id).data.tags)

    def _check_place(self, recorded: Path) -> None:
        """MLflow records whole paths: from a moved folder it would write to the old one."""
        if recorded != self.out / "artifacts":
            raise UserError(
                f"{self.out}: was made as {recorded.parent}, and its runs cannot go on elsewhere: "
                "move it back, or set OUT (--out) to a new folder"
            )

    def _search(self, condition: str) -> list[Run]:
        return list(self._client.search_runs([self.experiment_id], condition, max_results=50_000))


class RunRecord:
    """One MLflow run that is being written."""

    def __init__(self, client: MlflowClient, run: Run) -> None:
        self.run_id = str(run.info.run_id)
        known = client.get_metric_history(self.run_id, _EVERY_EPOCH)
        self._logged = max((metric.step for metric in known), default=-1)

    def log_params(self, params: dict[str, Any]) -> None:
        """Settings; the same ones again are no error."""
        mlflow.log_params(params)

    def set_tags(self, tags: dict[str, str]) -> None:
        """Tags beside those of the start."""
        mlflow.set_tags(tags)

    def log_data(self, name: str, folder: Path, digest: str) -> None:
        """Which data the run saw, by its digest."""
        # MLflow makes this class when it is imported, so a type checker cannot see it.
        source = sources.LocalArtifactDatasetSource(str(folder.resolve()))  # type: ignore[attr-defined]
        data = MetaDataset(source, name=name, digest=digest)  # type: ignore[abstract]
        mlflow.log_input(data, context="training")

    def log_epoch(self, epoch: int, metrics: dict[str, float]) -> None:
        """The metrics of an epoch, once: one that is trained again after a kill is not new."""
        if epoch > self._logged:
            mlflow.log_metrics({EPOCH + k: v for k, v in metrics.items()}, step=epoch)
            self._logged = epoch

    def log_metrics(self, metrics: dict[str, float]) -> None:
        """Final metrics."""
        mlflow.log_metrics(metrics)

    def log_file(self, file: Path) -> None:
        """Copy a file to the run's artifacts."""
        mlflow.log_artifact(str(file))

    def end(self, status: str = "FINISHED") -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        mlflow.end_run(status)
