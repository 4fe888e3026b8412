"""MLflow's model registry: which run is the champion, and its model as MLflow serves it.

Apart from experiments/records/tracker.py, which records runs while they are made: here finished
ones are given away.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import NoReturn

# Before MLflow itself: it says what MLflow logs and reports.
from experiments.records.client import open_client
from experiments.records.tracker import Tracker

# isort: split
import mlflow
import numpy as np
import pandas as pd
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Array
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from PIL import Image

from analysis.record import MODEL, SETTINGS, WEIGHTS
from experiments import ports
from experiments.data.synthetic.digits import packaged_digits
from experiments.data.synthetic.paper import DRAWN, HEIGHT, WIDTH, digit_ink, on_paper
from experiments.deploy import server, serving
from experiments.errors import UserError
from experiments.shell import ours
from experiments.training.selection import Score, better

CHAMPION = "champion"
# Characters of a version's description, as MLflow's tables have them.
_LONGEST = 5_000
_DESCRIPTION = (
    "Readers of handwritten numbers, a version each. `predict` and `serve` use the one with the "
    f"alias `{CHAMPION}`."
)

# Where MLflow writes and what it goes on with, by the environment: perhaps of another project.
_STEERING = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
)

_ROOT = Path(__file__).parents[2]
_CODE = ("experiments", "models", "losses", "analysis")
_SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.binary, serving.IMAGE)]),
    outputs=Schema(
        [
            ColSpec(DataType.string, "value"),
            ColSpec(DataType.double, "confidence"),
            ColSpec(Array(DataType.double), "characters"),
        ]
    ),
)


class NoChampionError(UserError):
    """Nothing was registered yet."""


class Registry:
    """The registered model of one `out` folder."""

    def __init__(self, out: Path, *, reading: bool = True) -> None:
        """Open a store that there is. Raises UserError.

        reading: whether nothing is going to be registered, so that it may be anybody's.
        """
        self._out = out
        self._tracker = Tracker(out, reading=True)
        if not reading:
            self._tracker = Tracker(out)
        self._place = self._tracker.place
        self.uri = self._tracker.uri
        self._client = open_client(self._place, reading=reading)

    def artifacts(self, run: str) -> Path:
        """The artifacts of a finished run: its id, or 'champion'. Raises UserError."""
        run_id = self.champion().run_id or "" if run == CHAMPION else run
        if (folder := self._tracker.artifacts(run_id)) is None:
            raise UserError(
                f"{run_id}: no finished run in {self._place}; take an id from its report or the UI"
            )
        if not (folder / WEIGHTS).is_file():
            raise UserError(f"{run_id}: has no weights of its own; name a run that was trained")
        return folder

    def together(self, run: str) -> tuple[list[Path], int, Path] | None:
        """The artifacts of an ensemble's members, how many views they read, and its own artifacts.

        None for anything but a finished ensemble. Raises UserError.
        """
        if run == CHAMPION or (judged := self._tracker.artifacts(run)) is None:
            return None
        tags = self._tracker.tags(run)
        if tags["kind"] != "ensemble":
            return None
        members = [self.artifacts(member) for member in tags["members"].split(",")]
        return members, int(tags["tta"]), judged

    def champion(self) -> ModelVersion:
        """The version that has the alias. Raises NoChampionError."""
        try:
            found: ModelVersion = self._client.get_model_version_by_alias(MODEL, CHAMPION)
            return found
        except mlflow.MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise NoChampionError(
                f"{self._place}: there is no champion yet; choose one with: "
                f"{ours('register', '--out', self._out)}, or name a run with --run"
            ) from error

    def best(self) -> str:
        """The finished run that read most of its validation part, the earliest of equals.

        Raises UserError where there is none, or where runs saw different data: shares of different
        images cannot be held against each other.
        """
        best: dict[str, Run] = {}  # by data digest
        for run in self._tracker.finished_runs():
            leader = best.setdefault(run.data.tags["data_digest"], run)
            if better(_score(run), _score(leader)):
                best[run.data.tags["data_digest"]] = run
        if not best:
            raise UserError(f"{self._place}: no finished run; make some with: make ablation")
        if len(best) > 1:
            leaders = ", ".join(
                f"{r.info.run_id} of {r.data.tags['dataset']}" for r in best.values()
            )
            raise UserError(
                f"{self._place}: its runs saw {len(best)} data sets; choose by --run (best on "
                f"validation: {leaders})"
            )
        return str(next(iter(best.values())).info.run_id)

    def register(self, run_id: str) -> ModelVersion:
        """Make a finished run the champion, and its model a version where it is none yet."""
        artifacts = self.artifacts(run_id)
        known = self._client.search_model_versions(f"name = '{MODEL}' and run_id = '{run_id}'")
        chosen = known[0] if known else self._new_version(run_id, artifacts)
        self._client.set_registered_model_alias(MODEL, CHAMPION, chosen.version)
        return self.champion()

    def _new_version(self, run_id: str, artifacts: Path) -> ModelVersion:
        with tempfile.TemporaryDirectory() as making, _steered_by(self._tracker):
            trained = Path(making, "trained")
            trained.mkdir()
            # Not the tables beside them, which name the user's files.
            for name in (SETTINGS, WEIGHTS):
                shutil.copyfile(artifacts / name, trained / name)
            # By the run's id: to start the run again would change its times and its status.
            logged = Model.log(
                artifact_path=None,
                name=MODEL,
                flavor=mlflow.pyfunc,
                run_id=run_id,
                loader_module=serving.__name__,
                data_path=str(trained),
                code_paths=[str(_ROOT / package) for package in _CODE],
                signature=_SIGNATURE,
                input_example=pd.DataFrame({serving.IMAGE: [_example()]}),
                pip_requirements=_requirements(),
            )
            with suppress(mlflow.MlflowException):  # it is there
                self._client.create_registered_model(MODEL, description=_DESCRIPTION)
            note = self._client.get_run(run_id).data.tags.get(MLFLOW_RUN_NOTE, "")
            # Within: MLflow looks the model up by its global address.
            made: ModelVersion = self._client.create_model_version(
                MODEL,
                logged.model_uri,
                run_id,
                description=note[:_LONGEST],
                model_id=logged.model_id,
            )
        return made


@contextmanager
def _steered_by(tracker: Tracker) -> Iterator[None]:
    """For what MLflow only does by its global settings: ours, whatever the environment says."""
    theirs = {name: os.environ.pop(name) for name in _STEERING if name in os.environ}
    try:
        mlflow.set_tracking_uri(tracker.uri)
        mlflow.set_registry_uri(tracker.uri)
        mlflow.set_experiment(experiment_id=tracker.experiment_id)
        yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
        mlflow.set_registry_uri(None)  # type: ignore[arg-type]
        for name in _STEERING:
            os.environ.pop(name, None)
        os.environ.update(theirs)


def serve(out: Path, port: int) -> NoReturn:
    """Become MLflow's server of the champion, on this machine alone. Raises UserError."""
    registry = Registry(out)
    registry.champion()
    ports.listening(port).close()
    # By its path, and without the folder where the user stands: the registered code is to answer.
    command = [sys.executable, "-P", server.__file__, f"models:/{MODEL}@{CHAMPION}", str(port)]
    env = {
        "MLFLOW_TRACKING_URI": registry.uri,
        "MLFLOW_REGISTRY_URI": registry.uri,
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # nothing is fetched from anywhere
        # Whatever else is made the champion by hand.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }
    kept = {name: value for name, value in os.environ.items() if name not in _STEERING}
    os.execve(sys.executable, command, kept | env)


def _score(run: Run) -> Score:
    """On validation, never on a test part. Runs of an older recipe did not record their loss."""
    metrics = run.data.metrics
    return Score(metrics["val.exact_match"], metrics.get("val.loss", math.inf))


def _example() -> bytes:
    """A made cell with one digit, as JPEG."""
    digits, _ = packaged_digits()
    ink = Image.new("L", (WIDTH * DRAWN, HEIGHT * DRAWN))
    ink.paste(255, (WIDTH - 16, HEIGHT - 20), digit_ink(digits[0]))
    content = BytesIO()
    on_paper(ink, np.random.default_rng(0)).save(content, format="JPEG")
    return content.getvalue()


def _requirements() -> list[str]:
    """What the project needs, as it is installed here."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split("[<>=]", text)[0] for text in project["dependencies"]]
    return [f"{name}=={version(name)}" for name in names]
