"""The runs of a place in MLflow, and the folders that their files are read from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

# Before MLflow: it says what that logs and reports.
from analysis.tracking_server import ServerClient, all_runs, fetch

# isort: split
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from analysis.place import Place
from analysis.record import PREDICTIONS, SEARCH, artifacts_of, flaw

# Files of so many runs are fetched from a server at once.
_AT_ONCE = 8

_Made = TypeVar("_Made")


class Store:
    """Read only."""

    def __init__(self, place: Place) -> None:
        self._place, uri = place, place.uri(reading=True)
        # Both by their address: the environment may name those of another project.
        self.client: Any = (
            MlflowClient(uri, registry_uri=uri) if place.server is None else ServerClient(uri)
        )
        # A server has experiments of other people as well.
        name = None if place.server is None else f"name = '{place.experiment}'"
        self.experiments = list(self.client.search_experiments(filter_string=name))

    def all_of(self, kind: str) -> Iterator[Run]:
        """All runs of a kind, finished or not."""
        experiments = [one.experiment_id for one in self.experiments]
        return all_runs(self.client, experiments, f"tags.kind = '{kind}'")

    def each(self, make: Callable[[Run], _Made], runs: Iterable[Run]) -> list[_Made]:
        """What is made of each run, in their order."""
        if self._place.server is None:
            return [make(run) for run in runs]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return list(threads.map(make, runs))

    def folder(self, run: Run) -> Path:
        """Of a run's files: not the path that MLflow recorded, as a store may have been copied."""
        if self._place.server is None:
            return artifacts_of(self._place.out, run.info.run_id)
        return self._place.downloads(run.info.run_id)

    def flaw(self, run: Run) -> str | None:
        """Why a finished run's files are not whole; those of a server are fetched, save weights."""
        if self._place.server is None:
            return flaw(self.folder(run), run.data.tags, weights=False)
        needed = SEARCH if run.data.tags.get("kind") == "search" else PREDICTIONS
        return fetch(self.client, run, self.folder(run), needed=needed)
