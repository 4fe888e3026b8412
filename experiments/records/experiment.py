"""The MLflow experiment that has the runs of a place: found there, or made."""

from __future__ import annotations

import shlex
from pathlib import Path

from experiments.records.client import Client

# isort: split
import mlflow
from mlflow.entities import Experiment, LifecycleStage
from mlflow.utils.file_utils import local_file_uri_to_path

from analysis.place import TRACKING, Place
from experiments.errors import UserError
from experiments.files import lock
from experiments.records.views import experiment_tags
from experiments.shell import ours, python


def ensure_experiment(client: Client, place: Place, *, reading: bool = False) -> str:
    """The id of the place's experiment, which is made where there is none.

    reading: nothing is made, and the folder may have been moved.
    Raises UserError where there is none to read, where it was deleted, or where its runs would be
    written to another folder.
    """
    experiment = client.get_experiment_by_name(place.experiment)
    if experiment is None:
        if reading:
            raise UserError(f"{place}: no runs here; make some with make ablation, or set --out")
        return _on_server(client, place) if place.server is not None else _in_folder(client, place)
    if experiment.lifecycle_stage == LifecycleStage.DELETED:
        to_restore = ("mlflow", "experiments", "restore", "--experiment-id")
        restore = python("-m", *to_restore, experiment.experiment_id)
        raise UserError(
            f"{place}: the experiment {place.experiment} was deleted; to have its runs back: "
            f"{TRACKING}={shlex.quote(place.uri())} {restore}, else set {_other(place)}"
        )
    if not reading and place.server is None and not is_here(experiment, place):
        raise UserError(
            f"{place.out}: was made as {_artifacts(experiment).parent}; so that its runs go on "
            f"here: {ours('move', '--out', place.out)}, else move it back, or set {_other(place)}"
        )
    return str(experiment.experiment_id)


def is_here(experiment: Experiment, place: Place) -> bool:
    """Whether a folder's experiment writes below that folder.

    MLflow records whole paths: from a folder that was moved it would write to the old one.
    """
    return _artifacts(experiment) == place.out / "artifacts"


def _artifacts(experiment: Experiment) -> Path:
    return Path(local_file_uri_to_path(experiment.artifact_location))  # type: ignore[no-untyped-call]


def _in_folder(client: Client, place: Place) -> str:
    """In a database that something else has made."""
    with lock(place.out / "mlflow.lock"):
        if (there := client.get_experiment_by_name(place.experiment)) is not None:
            return str(there.experiment_id)  # of a command that was there first
        location = (place.out / "artifacts").as_uri()
        tags = experiment_tags()
        made = client.create_experiment(place.experiment, artifact_location=location, tags=tags)
    return str(made)


def _on_server(client: Client, place: Place) -> str:
    """Where another client may be about to make it as well."""
    try:
        return str(client.create_experiment(place.experiment, tags=experiment_tags()))
    except mlflow.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return str(client.get_experiment_by_name(place.experiment).experiment_id)


def _other(place: Place) -> str:
    """How to have another, empty store."""
    if place.server is not None:
        return "MLFLOW_EXPERIMENT_NAME to another name"
    return "OUT (--out) to a new folder"
