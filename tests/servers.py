"""The real parts of a laboratory, on this machine alone: PostgreSQL, and MLflow's server on it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

HOST = "127.0.0.1"
_INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Postgres:
    """A PostgreSQL of its own; its databases are made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        if not _INSTALLED:
            pytest.skip("needs PostgreSQL's programs (Debian: apt-get install postgresql)")
        self._bin, self._folder, self._port = _INSTALLED[-1], folder, free_port()
        # It refuses to run as root.
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        self._call("initdb", "-D", folder / "data", "-U", "suite", "--auth=trust", "--no-sync")
        self.start()

    def start(self) -> None:
        """Until it answers."""
        options = f"-p {self._port} -c listen_addresses={HOST} -c fsync=off -k {self._folder}"
        self._call("pg_ctl", *self._where(), "-l", self._folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """As an administrator does: whoever is connected is cut off."""
        self._call("pg_ctl", *self._where(), "-m", "fast", "stop")

    def database(self, name: str) -> str:
        """The address of a new database."""
        self._call("createdb", *self._who(), name)
        return self.address(name)

    def address(self, name: str, user: str = "suite") -> str:
        """Of a database that may be there. user: with or without a password."""
        return f"postgresql://{user}@{HOST}:{self._port}/{name}"

    def user(self, name: str, password: str) -> None:
        """A new user who has to give a password, and may do everything then."""
        rules = self._folder / "data/pg_hba.conf"
        rules.write_text(f"host all {name} {HOST}/32 scram-sha-256\n{rules.read_text()}")
        role = f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{password}'"
        self._call("psql", *self._who(), "-d", "postgres", "-c", role)
        self._call("pg_ctl", *self._where(), "reload")

    def _who(self) -> tuple[object, ...]:
        return "-h", HOST, "-p", self._port, "-U", "suite"

    def _where(self) -> tuple[object, ...]:
        return "-D", self._folder / "data", "-w"

    def _call(self, program: str, *arguments: object) -> None:
        command = [str(self._bin / program), *map(str, arguments)]
        with (self._folder / f"{program}.txt").open("w") as said:
            subprocess.run(
                command, check=True, stdout=said, stderr=said, user=self._user, cwd=self._folder
            )


class TrackingServer:
    """MLflow's server with the files of runs behind it, on a database."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database, self._port = folder, database, free_port()
        self.artifacts = folder / "artifacts"
        self.uri = f"http://{HOST}:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 300) -> None:
        """Until it answers."""
        command = [sys.executable, "-P", "-m", "mlflow", "server", "--host", HOST]
        command += ["--port", str(self._port), "--workers", "1"]
        command += ["--backend-store-uri", self._database]
        command += ["--artifacts-destination", str(self.artifacts)]
        kept = {name: value for name, value in os.environ.items() if "MLFLOW_" not in name}
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        with (self._folder / "server.log").open("a") as said:
            self._process = subprocess.Popen(
                command,
                env=kept | quiet,
                stdout=said,
                stderr=said,
                cwd=self._folder,
                start_new_session=True,
            )
        begun = time.monotonic()
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return
            log = self._folder / "server.log"
            assert self._process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() - begun < seconds, log.read_text()[-2000:]
            time.sleep(0.3)

    def pause(self) -> None:
        """It takes connections, and answers none."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        """After a pause."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        """It and its workers."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Until the end of the block, in a folder of its own that another user can enter."""
    with tempfile.TemporaryDirectory(prefix="head-to-head-pg-") as folder:
        database = Postgres(Path(folder))
        try:
            yield database
        finally:
            with suppress(subprocess.CalledProcessError):
                database.stop()


@contextmanager
def tracking_server(database: str) -> Iterator[TrackingServer]:
    """Until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="head-to-head-server-") as folder:
        server = TrackingServer(Path(folder), database)
        try:
            server.start()
            yield server
        finally:
            server.stop()
