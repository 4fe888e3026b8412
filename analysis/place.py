"""Where the runs of a folder are recorded: in its own database, or on a tracking server.

    outputs/mlflow.db, outputs/artifacts        by default
    MLFLOW_TRACKING_URI=http://lab:5000         with an MLflow server, whatever is behind it

The folder keeps all else of this machine either way: data, checkpoints, logs, locks, reports, and
`downloads`, the files of a server's runs that were read here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from analysis.record import EXPERIMENT, STORE, address

TRACKING = "MLFLOW_TRACKING_URI"
_NAME = "MLFLOW_EXPERIMENT_NAME"
_USER, _PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"

_SERVERS = ("http", "https")


class StoreError(ValueError):
    """A store that is of no use as it is: a line that names it and the way out."""


@dataclass(frozen=True)
class Place:
    """out: the folder. server: the address of the tracking server, None for the folder's own store.

    experiment: the name of the MLflow experiment that has the runs.
    """

    out: Path
    server: str | None = None
    experiment: str = EXPERIMENT

    def __str__(self) -> str:
        """For people; no address with a password in it comes this far."""
        return self.server or str(self.out)

    def uri(self, *, reading: bool = False) -> str:
        """The address that MLflow wants. reading: whether nothing is going to be written."""
        return self.server or address(self.out, reading=reading)

    def is_there(self) -> bool:
        """Whether there is a store at all; a server is one."""
        return self.server is not None or (self.out / STORE).is_file()

    def downloads(self, run_id: str) -> Path:
        """Where files of a server's run are kept."""
        return self.out / "downloads" / run_id


def place_of(out: Path) -> Place:
    """The place that the environment names, by MLflow's own variables; by default `out` itself.

    MLFLOW_EXPERIMENT_NAME counts with a server alone. A user's name and password within the address
    are moved to MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, so that no message, tag or
    process list shows them. Raises StoreError for an address that is no server's.
    """
    given = os.environ.get(TRACKING, "").strip()
    if not given or is_local(given):
        return Place(out)
    try:
        parts = urlsplit(given)
        _ = parts.port  # raises for one that is no number
    except ValueError as error:
        raise StoreError(f"{TRACKING}={masked(given)}: is no address ({error})") from None
    if parts.scheme not in _SERVERS or not parts.hostname:
        raise StoreError(
            f"{TRACKING}={masked(given)}: is not the address of an MLflow server, such as "
            "http://127.0.0.1:5000; start one in front of a database with: mlflow server "
            f"--backend-store-uri ..., or unset {TRACKING} to record below OUT"
        )
    if "@" in parts.netloc:
        user, _, host = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        os.environ[_USER], os.environ[_PASSWORD] = unquote(name), unquote(password)
        parts = parts._replace(netloc=host)
        os.environ[TRACKING] = urlunsplit(parts)
    server = urlunsplit(parts._replace(path=parts.path.rstrip("/"), query="", fragment=""))
    return Place(out, server, os.environ.get(_NAME) or EXPERIMENT)


def is_local(given: str) -> bool:
    """Whether an address is that of files of this machine, such as those of another project."""
    scheme = given.partition(":")[0] if ":" in given else ""
    return scheme.partition("+")[0] in ("", "file", "sqlite") or len(scheme) == 1


def masked(text: str) -> str:
    """A text in which no address shows who logs in, nor with which password."""
    return re.sub(r"(://)[^/\s'\"]*@", r"\1***@", text)
