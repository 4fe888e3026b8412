"""One MLflow run that is being written."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

# First of all that knows MLflow: it says what MLflow logs and reports.
from experiments.records.client import Client

# isort: split
from mlflow import MlflowException
from mlflow.data import sources
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import DatasetInput, InputTag, LoggedModelStatus, Metric, Param, RunTag
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_IS_EXTERNAL, MLFLOW_RUN_NOTE

from analysis.record import DIGESTS, digest
from analysis.tracking_server import is_conflict

# Curves stand under this prefix, apart from the final metrics: MLflow takes the value at the last
# step for a metric's own, and the last epoch is not the one that is kept.
EPOCH = "epoch/"
# Characters of a description; MLflow takes tags of at most 8,000.
_DESCRIPTION = 7_900
_EVERY_EPOCH = f"{EPOCH}val.exact_match"


class RunRecord:
    """One MLflow run that is being written."""

    def __init__(self, client: Client, run_id: str, monitored_at: str | None = None) -> None:
        """monitored_at: the address to log the machine's load to, while the run goes on."""
        self.run_id = run_id
        self._client = client
        known = client.get_metric_history(run_id, _EVERY_EPOCH)
        self._logged = max((metric.step for metric in known), default=-1)
        self._digests: dict[str, str] = {}
        self._monitor = None
        if monitored_at is not None:
            self._monitor = _Monitor(  # type: ignore[no-untyped-call]
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
        self.set_tags({MLFLOW_RUN_NOTE: markdown})

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

    def log_model(
        self,
        name: str,
        params: dict[str, Any],
        metrics: dict[str, float],
        data: tuple[str, str],
    ) -> None:
        """The trained model beside MLflow's others, to be searched by settings, metrics and data.

        Its files are the run's, so it has none of its own. A run that goes on has one model.
        metrics: final ones, which the run gets as well. data: the name and the digest of the set.
        """
        experiment = self._client.get_run(self.run_id).info.experiment_id
        known = self._client.search_logged_models(
            [experiment], f"source_run_id = '{self.run_id}'", max_results=1
        )
        model = next(iter(known), None) or self._client.create_logged_model(
            experiment,
            name=name,
            source_run_id=self.run_id,
            tags={MLFLOW_MODEL_IS_EXTERNAL: "true"},
            params={key: str(value) for key, value in params.items()},
        )
        try:
            self._log_at(0, metrics, model.model_id, *data)
        except MlflowException as error:
            # They are there: a server wrote them, and its answer was lost.
            if not is_conflict(error):
                raise
        self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def _log_at(self, step: int, metrics: dict[str, float], *of_model: str) -> None:
        """of_model: id of the model that they are about, and its data's name and digest."""
        now = time.time_ns() // 1_000_000
        entries = [Metric(key, value, now, step, *of_model) for key, value in metrics.items()]
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


class _Monitor(SystemMetricsMonitor):
    """The machine's load; what it was while the store was away is left out."""

    def monitor(self) -> None:
        """MLflow's own ends for good, without a word, when the store does not answer once."""
        while not self._shutdown_event.is_set():
            super().monitor()  # type: ignore[no-untyped-call]
            self._shutdown_event.wait(self.sampling_interval)
