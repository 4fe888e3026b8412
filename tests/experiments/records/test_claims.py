"""The heartbeat of a claim: heard again after a server that was away, and how it stops its run.

With a real server: tests/experiments/server/test_claims.py.
"""

import signal
import threading
import time

import pytest

from experiments.records import claims
from experiments.records.claims import Claims


class Beating(Claims):
    """Says nothing to a server. heard: what the server answers, in turn; an error is raised."""

    def __init__(self, heard, ended):
        self.answers, self.ended, self.said = list(heard), ended, []

    def _heard(self, _):
        answer = self.answers.pop(0)
        if not self.answers:
            self.ended.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _say(self, _, text):
        self.said.append(text)


@pytest.fixture
def ended(monkeypatch):
    monkeypatch.setattr(claims, "BEAT", 0.01)
    return threading.Event()


def test_a_heartbeat_outlives_a_server_that_was_away(ended):
    beating = Beating(["1 0", ConnectionError("away"), "1 1", "1 3"], ended)
    beating._beat("a run", 1, ended)
    assert beating.said == ["1 1", "1 3", "1 4"]


@pytest.mark.parametrize("ignored", [False, True])
def test_a_run_that_another_machine_has_taken_over_stops_where_sigint_is_ignored(ended, ignored):
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    beats = threading.Thread(target=Beating(["2 0"], ended)._beat, args=("a run", 1, ended))

    def train():
        beats.start()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.01)

    try:
        with pytest.raises(KeyboardInterrupt):
            train()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        beats.join()
