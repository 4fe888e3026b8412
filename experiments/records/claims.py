"""Who makes which run, among machines that share a tracking server.

MLflow runs of the experiment, of kind `claims`, keep the record. MLflow never lets a param
change its value, and its database decides between two that are written at once: so a param is what
exactly one client can write. A run is only ever read whole, so there are several, each for its part
of the hashes: else a look would take seconds once ten thousand runs have been made.

    param  HASH.1 = anna@lab1 5f3c ...     the run of this hash was taken, for the first time
    param  HASH.2 = anna@lab2 88ab ...     and again: the first to take it stopped, or died
    tag    HASH   = 2 17                   the second is alive, for the 17th time; gone once it ends

Whoever waits watches the tag by a clock of its own, so that no two clocks are compared. Within one
folder of one machine a lock decides who makes a run: a claim from there is that of a dead process.
"""

from __future__ import annotations

import logging
import re
import signal
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
from analysis.tracking_server import ServerClient

# isort: split
import mlflow

_log = logging.getLogger(__name__)

KIND = "claims"
# Of the experiment: the ids of the runs that have the claims, with commas between them.
_WHERE = "claims"
# A store that an earlier version began has one run for all, and keeps it.
PARTS = 16

# What a holder's tag says: whose turn it is, and how often it has said so.
_WORD = re.compile(r"[0-9]+ [0-9]+")

# In seconds: how often a holder says that it is alive, how often others look, and after which
# silence they go on in its place.
BEAT, LOOK, DEAD = 20.0, 5.0, 180.0


class Claims:
    """Of one experiment of a server."""

    def __init__(self, client: ServerClient, experiment_id: str, out: Path) -> None:
        """out: the folder of this machine, whose lock for the run is held by this process."""
        self._client, self._experiment_id = client, experiment_id
        self._here = sha256(f"{socket.gethostname()} {out}".encode()).hexdigest()[:12]
        self._parts: list[str] = []

    def alive(self) -> set[str]:
        """The hashes of the runs that some client says it is making, or said so when it died."""
        return {
            key
            for one in self._parts or self._known()
            for key, value in self._client.get_run(one).data.tags.items()
            if _WORD.fullmatch(value)
        }

    @contextmanager
    def holding(self, run_hash: str, who: str) -> Iterator[None]:
        """Make this run as the only one; waits while another client does.

        who: the user, for people.
        """
        token = f"{who}@{socket.gethostname()} {self._here} {uuid.uuid4().hex}"
        turn = self._last_turn(run_hash)
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
                    self._client.delete_tag(self.run_id(run_hash), run_hash)

    def run_id(self, run_hash: str) -> str:
        """The run that has the claims of this hash, made where there is none."""
        if not self._parts:
            self._parts = self._known() or self._make()
        return self._parts[int(sha256(run_hash.encode()).hexdigest(), 16) % len(self._parts)]

    def _known(self) -> list[str]:
        noted = str(self._client.get_experiment(self._experiment_id).tags.get(_WHERE, ""))
        return noted.split(",") if noted else []

    def _make(self) -> list[str]:
        """Two clients that both find none agree on those that were noted last."""
        above = self._new("who makes which run", {})
        own = [
            self._new(f"who makes which run, {number} of {PARTS}", {"mlflow.parentRunId": above})
            for number in range(1, PARTS + 1)
        ]
        if not self._known():
            with suppress(mlflow.MlflowException):  # the other one notes its own at this moment
                self._client.set_experiment_tag(self._experiment_id, _WHERE, ",".join(own))
            time.sleep(LOOK)
        if (known := self._known()) != own:
            for one in (*own, above):
                self._client.delete_run(one)
        return known

    def _new(self, name: str, tags: dict[str, str]) -> str:
        tags = {"kind": KIND, **tags}
        run = self._client.create_run(self._experiment_id, tags=tags, run_name=name)
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _take(self, run_hash: str, turn: int, token: str) -> bool:
        key = f"{run_hash}.{turn}"
        try:
            self._client.log_param(self.run_id(run_hash), key, token)
        except mlflow.MlflowException:
            # Somebody has it; or two wrote at once, and the database let one of them.
            if (taken := self._record(run_hash).data.params.get(key)) is None:
                raise
            return bool(taken == token)
        return True

    def _last_turn(self, run_hash: str) -> int:
        """The last one that somebody took; the first where nobody did."""
        begin = f"{run_hash}."
        taken = [key for key in self._record(run_hash).data.params if key.startswith(begin)]
        return max((int(key.removeprefix(begin)) for key in taken), default=1)

    def _wait(self, run_hash: str, turn: int) -> None:
        """Until whoever has this turn ends, or is silent for too long."""
        token = str(self._record(run_hash).data.params.get(f"{run_hash}.{turn}", ""))
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
            try:
                if self._heard(run_hash).partition(" ")[0] not in ("", str(turn)):
                    _log.warning("%s: another machine has taken it over; stops here", run_hash)
                    _interrupt()
                    return
                self._say(run_hash, f"{turn} {number}")
            except Exception as error:
                # What is wrong the run itself says, at its next word to the server. Without a
                # heartbeat it would go on beside the machine that takes it over.
                _log.warning("%s: cannot say that it is alive (%s)", run_hash, error)

    def _say(self, run_hash: str, text: str) -> None:
        self._client.set_tag(self.run_id(run_hash), run_hash, text)

    def _heard(self, run_hash: str) -> str:
        return str(self._record(run_hash).data.tags.get(run_hash, ""))

    def _record(self, run_hash: str) -> Any:
        return self._client.get_run(self.run_id(run_hash))


def _interrupt() -> None:
    """As Ctrl-C does, or SIGTERM where that is ignored, as in what a script began with `&`."""
    import _thread

    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):
            _thread.interrupt_main(number)
            return
