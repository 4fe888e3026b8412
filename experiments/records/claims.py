"""Who makes which run, among machines that share a tracking server.

One MLflow run of the experiment, of kind `claims`, keeps the record. MLflow never lets a param
change its value, and its database decides between two that are written at once: so a param is what
exactly one client can write.

    param  HASH.1 = anna@lab1 5f3c ...     the run of this hash was taken, for the first time
    param  HASH.2 = anna@lab2 88ab ...     and again: the first to take it stopped, or died
    tag    HASH   = 2 17                   the second is alive, for the 17th time; gone once it ends

Whoever waits watches the tag by a clock of its own, so that no two clocks are compared. Within one
folder of one machine a lock decides who makes a run: a claim from there is that of a dead process.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

# First of all that knows MLflow: it says what MLflow logs and reports.
from analysis.tracking_server import ServerClient, all_runs

# isort: split
import mlflow

_log = logging.getLogger(__name__)

KIND = "claims"
# Of the experiment: the id of the run that has the claims.
_WHERE = "claims"

# In seconds: how often a holder says that it is alive, how often others look, and after which
# silence they go on in its place.
BEAT, LOOK, DEAD = 20.0, 5.0, 180.0


class Claims:
    """Of one experiment of a server."""

    def __init__(self, client: ServerClient, experiment_id: str, out: Path) -> None:
        """out: the folder of this machine, whose lock for the run is held by this process."""
        self._client, self._experiment_id = client, experiment_id
        self._here = sha256(f"{socket.gethostname()} {out}".encode()).hexdigest()[:12]
        self._run_id = ""

    @contextmanager
    def holding(self, run_hash: str, who: str) -> Iterator[None]:
        """Make this run as the only one; waits while another client does.

        who: the user, for people.
        """
        token = f"{who}@{socket.gethostname()} {self._here} {uuid.uuid4().hex}"
        turn = 1
        while not self._take(run_hash, turn, token):
            self._wait(run_hash, turn)
            turn += 1
        ended = threading.Event()
        self._say(run_hash, f"{turn} 0")
        beats = threading.Thread(target=self._beat, args=(run_hash, turn, ended), daemon=True)
        beats.start()
        try:
            yield
        finally:
            ended.set()
            beats.join()
            if self._heard(run_hash).partition(" ")[0] == str(turn):
                with suppress(mlflow.MlflowException):  # it is gone meanwhile
                    self._client.delete_tag(self.run_id(), run_hash)

    def run_id(self) -> str:
        """The run that has the claims, made where there is none."""
        if not self._run_id:
            self._run_id = self._known() or self._make()
        return self._run_id

    def _known(self) -> str:
        return str(self._client.get_experiment(self._experiment_id).tags.get(_WHERE, ""))

    def _make(self) -> str:
        """Two clients that both find none agree on the one that was noted last."""
        condition = f"tags.kind = '{KIND}'"
        found = next(all_runs(self._client, [self._experiment_id], condition), None)
        run = found or self._client.create_run(
            self._experiment_id, tags={"kind": KIND}, run_name="who makes which run"
        )
        self._client.set_terminated(run.info.run_id)
        with suppress(mlflow.MlflowException):  # the other one notes its own at this moment
            self._client.set_experiment_tag(self._experiment_id, _WHERE, run.info.run_id)
        time.sleep(LOOK)
        return self._known()

    def _take(self, run_hash: str, turn: int, token: str) -> bool:
        key, run_id = f"{run_hash}.{turn}", self.run_id()
        try:
            self._client.log_param(run_id, key, token)
        except mlflow.MlflowException:
            # Somebody has it; or two wrote at once, and the database let one of them.
            if (taken := self._record().data.params.get(key)) is None:
                raise
            return bool(taken == token)
        return True

    def _wait(self, run_hash: str, turn: int) -> None:
        """Until whoever has this turn ends, or is silent for too long."""
        token = str(self._record().data.params.get(f"{run_hash}.{turn}", ""))
        who, here, *_ = [*token.split(), "", ""]
        if here == self._here:
            return
        last, since, silent = self._heard(run_hash), time.monotonic(), 0
        said = False
        while True:
            asked = time.monotonic()
            heard = self._heard(run_hash)
            now = time.monotonic()
            # Who could not be asked for a while may have been unable to say anything, too.
            if heard != last or now - asked > LOOK:
                last, since = heard, now
            number = heard.partition(" ")[0]
            silent = 0 if number == str(turn) else silent + 1
            # It has a moment between its turn and its first word.
            if (number.isdecimal() and int(number) > turn) or silent > 2:
                return
            if now - since > DEAD:
                _log.warning("%s: %s is silent for %.0f s; goes on here", run_hash, who, DEAD)
                return
            if not said:
                print(f"{run_hash} is being made by {who}; waiting for it", flush=True)
                said = True
            time.sleep(LOOK)

    def _beat(self, run_hash: str, turn: int, ended: threading.Event) -> None:
        number = 0
        while not ended.wait(BEAT):
            number += 1
            if self._heard(run_hash).partition(" ")[0] not in ("", str(turn)):
                _log.warning("%s: another machine has taken it over; stops here", run_hash)
                _interrupt()
                return
            self._say(run_hash, f"{turn} {number}")

    def _say(self, run_hash: str, text: str) -> None:
        self._client.set_tag(self.run_id(), run_hash, text)

    def _heard(self, run_hash: str) -> str:
        return str(self._record().data.tags.get(run_hash, ""))

    def _record(self) -> Any:
        return self._client.get_run(self.run_id())


def _interrupt() -> None:
    """As Ctrl-C does."""
    import _thread

    _thread.interrupt_main()
