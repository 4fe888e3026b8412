"""MLflow's client of a tracking server: it waits while the server is away, and fetches files whole.

A call is repeated only where that does no harm: reading, and writing what is the same when it is
written twice. To begin a run is not; see `create_run`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

# Before MLflow: of its own it would try again for minutes without a word, print the address of each
# run that ends, and draw a bar for every file.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import requests
from mlflow.entities import LoggedModel, Run
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from requests.exceptions import ChunkedEncodingError

from analysis.absence import Absence
from analysis.files import whole
from analysis.place import TRACKING, StoreError
from analysis.record import PREDICTIONS, WEIGHTS, digest, recorded_digests, recorded_flaw

# How often what another client wrote at the same moment is tried again, and after how long.
CONFLICTS, BETWEEN_CONFLICTS = 5, 0.5  # seconds

# Of a run: a word of its own, by which it is found when the answer to its making was lost.
MADE_AS = "made_as"

# Answers of a server, or of a proxy before it, that are another ones later.
_LATER = {408, 425, 429, 500, 502, 503, 504}
_PAGE = 1_000

_Made = TypeVar("_Made")


class ServerClient:
    """MLflow's client of a server, with all of its methods, each as patient as `patient`."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._client = MlflowClient(uri, registry_uri=uri)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return patient(found, self.uri) if callable(found) else found

    def create_run(self, experiment_id: str, *, tags: Mapping[str, str], run_name: str) -> Run:
        """As MLflow's, but once, also where the server made it and its answer was lost."""
        word = uuid4().hex
        marked = {**tags, MADE_AS: word}
        condition = f"tags.{MADE_AS} = '{word}'"
        return self._once(
            lambda: self._client.create_run(experiment_id, tags=marked, run_name=run_name),
            lambda: self._client.search_runs([experiment_id], condition),
        )

    def create_logged_model(
        self, experiment_id: str, *, source_run_id: str, **about: Any
    ) -> LoggedModel:
        """As MLflow's, but once, as for `create_run`: a run has one."""
        condition = f"source_run_id = '{source_run_id}'"
        return self._once(
            lambda: self._client.create_logged_model(
                experiment_id, source_run_id=source_run_id, **about
            ),
            lambda: self._client.search_logged_models([experiment_id], condition),
        )

    def _once(self, create: Callable[[], _Made], find: Callable[[], Sequence[_Made]]) -> _Made:
        """What is made, or what an attempt made whose answer was lost."""
        attempts = 0

        def attempt() -> _Made:
            nonlocal attempts
            attempts += 1
            found = find() if attempts > 1 else ()
            return found[0] if found else create()

        made: _Made = patient(attempt, self.uri)()
        return made

    def list_artifacts(self, run: Run) -> dict[str, int]:
        """The sizes in bytes of a run's files by their names, without those in folders."""
        found = patient(self._repository(run).list_artifacts, self.uri)()
        return {one.path: one.file_size or 0 for one in found if not one.is_dir}

    def download(self, run: Run, name: str, file: Path) -> None:
        """One of a run's files, whole or not at all. Raises FileNotFoundError."""
        fetch = patient(self._repository(run)._download_file, self.uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with whole(file) as making:
                fetch(name, str(making))
        except Exception as error:
            if any(_status(one) == 404 for one in _chain(error)):
                raise FileNotFoundError(name) from error
            raise

    def _repository(self, run: Run) -> Any:
        return get_artifact_repository(run.info.artifact_uri, tracking_uri=self.uri)


def all_runs(client: Any, experiments: list[str], condition: str) -> Iterator[Run]:
    """All runs that fit, page by page: MLflow gives no more than 50,000 at once."""
    token: str | None = ""
    while experiments and token is not None:
        page = client.search_runs(
            experiments, condition, max_results=_PAGE, page_token=token or None
        )
        yield from page
        token = page.token or None


def flaw_on_server(client: ServerClient, run: Run) -> str | None:
    """Why a finished run's files on the server are not whole, by their sizes; None if they are."""
    if (reason := recorded_flaw(run.data.tags)) is not None:
        return reason
    return recorded_flaw(run.data.tags, client.list_artifacts(run))


def fetch(
    client: ServerClient,
    run: Run,
    folder: Path,
    *,
    weights: bool = False,
    needed: str = PREDICTIONS,
) -> str | None:
    """Download what is not there yet of a finished run, each file checked by its digest.

    Returns why the files are not whole, as `flaw` does. weights: whether with those.
    needed: as for `recorded_flaw`.
    """
    if (reason := recorded_flaw(run.data.tags, needed=needed)) is not None:
        return reason
    for name, recorded in sorted(recorded_digests(run.data.tags).items()):
        file = folder / name
        if (name == WEIGHTS and not weights) or (file.is_file() and digest(file) == recorded):
            continue
        try:
            client.download(run, name, file)
        except FileNotFoundError:
            return f"{name} is missing"
        if digest(file) != recorded:
            file.unlink()  # a copy, and not of what the run left
            return f"{name} is damaged"
    return None


def patient(call: Callable[..., Any], uri: str) -> Callable[..., Any]:
    """The call, made again while the server is away. Raises StoreError where that is no use."""

    def waiting(*arguments: Any, **options: Any) -> Any:
        absence = Absence(uri)
        conflicts = 0
        while True:
            try:
                answer = call(*arguments, **options)
            except Exception as error:
                if is_conflict(error) and conflicts < CONFLICTS:
                    conflicts += 1
                    time.sleep(BETWEEN_CONFLICTS)
                    continue
                if (why := _hopeless(error)) is not None:
                    raise StoreError(f"{uri}: {why}") from error
                if (why := _away(error)) is None:
                    raise
                absence.wait(why)
            else:
                absence.over()
                return answer

    return waiting


def is_conflict(error: Exception) -> bool:
    """Whether another client wrote the same row at this moment, such as the data set of all runs.

    MLflow looks whether it is there, and then writes it: of two at once the database refuses one.
    """
    return getattr(error, "error_code", None) == "BAD_REQUEST" and any(
        word in str(error) for word in ("UniqueViolation", "UNIQUE constraint", "IntegrityError")
    )


def _hopeless(error: BaseException) -> str | None:
    """What is wrong with an address or a password, with the way out; None where it is not that."""
    for one in _chain(error):
        if isinstance(one, requests.exceptions.SSLError):
            return (
                "its certificate is not trusted here; set MLFLOW_TRACKING_SERVER_CERT_PATH to that "
                "of who signed it"
            )
        if "NameResolutionError" in str(one):
            return f"no machine of that name is known; correct {TRACKING}"
        code = getattr(one, "error_code", None)
        if code == "UNAUTHENTICATED" or _status(one) == 401:
            return (
                "does not know the user or the password; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD"
            )
        if code == "PERMISSION_DENIED" or _status(one) == 403:
            return "this user has no right to that; ask who runs it, or set MLFLOW_EXPERIMENT_NAME"
        if code == "ENDPOINT_NOT_FOUND" or "not in a valid JSON format" in str(one):
            return f"answers, but is no MLflow server of this version; correct {TRACKING}"
    return None


def _away(error: BaseException) -> str | None:
    """How the server is away for now; None for any other error."""
    for one in _chain(error):
        # A read that takes too long is a ConnectionError to requests, as it was given up.
        if isinstance(one, requests.exceptions.Timeout) or "Read timed out" in str(one):
            return "does not answer in time"
        if isinstance(one, requests.exceptions.RetryError) or _status(one) in _LATER:
            return "answers that it cannot for now"
        if isinstance(one, requests.exceptions.ConnectionError | ChunkedEncodingError):
            return "cannot be reached"
        if getattr(one, "error_code", None) in (
            "TEMPORARILY_UNAVAILABLE",
            "REQUEST_LIMIT_EXCEEDED",
        ):
            return "answers that it cannot for now"
    return None


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error is about."""
    answer = getattr(error, "response", None)
    return None if answer is None else getattr(answer, "status_code", None)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it came from: MLflow raises its own anew, without naming those."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
