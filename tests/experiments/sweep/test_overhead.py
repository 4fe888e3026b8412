"""The ratios of three ways whose times are known, runs that fail, and a server that is one."""

import os
import urllib.request
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from experiments.errors import UserError
from experiments.sweep import overhead

# To start, and to make the runs.
SECONDS = {
    "local": [(0, 10), (0, 20), (0, 40)],
    "ray": [(5, 11), (6, 30), (7, 44)],
    "server": [(8, 12), (9, 22), (9, 60)],
}


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def timed(monkeypatch):
    """Ways that take these seconds; in which order they were asked."""
    clock, order, failed = Clock(), [], []
    # Neither may go there: of these runs nothing is kept.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://own")

    @contextmanager
    def server(_folder):
        yield "http://server"

    def runner(engine_name):
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        assert uri in (None, "http://server")
        name = "server" if uri else engine_name
        start, runs = SECONDS[name][order.count(name)]
        order.append(name)

        def threads_each(_):
            clock.now += start

        return SimpleNamespace(threads_each=threads_each, runs=runs)

    @contextmanager
    def engine(engine_name):
        yield runner(engine_name)

    def ablation(_name, _preset, _data, out, runner, _seeds, _jobs):
        assert not out.exists()
        clock.now += runner.runs
        return SimpleNamespace(failed=failed), SimpleNamespace(end=lambda: None)

    monkeypatch.setattr(overhead, "time", clock)
    monkeypatch.setattr(overhead, "engine", engine)
    monkeypatch.setattr(overhead, "_Local", lambda: runner("local"))
    monkeypatch.setattr(overhead, "_server", server)
    monkeypatch.setattr(overhead, "ablation", ablation)
    return order, failed


def test_ratios_are_of_the_runs_alone_and_the_engines_take_turns(timed, capsys):
    order, _ = timed
    overhead.main("smoke", None, 1, 3)
    said = capsys.readouterr().out.splitlines()
    assert said[1] == (
        "round 2: local 20.0 s, ray 30.0 s after 6.0 s to start it: 1.500, "
        "server 22.0 s after 9.0 s to start it: 1.100"
    )
    assert said[3:] == [
        "with ray the runs take 1.100 times as long (1.100 to 1.500 in 3 rounds)",
        "with server the runs take 1.200 times as long (1.100 to 1.500 in 3 rounds)",
    ]
    there = ["local", "ray", "server"]
    assert order == [*there, *there[::-1], *there]
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://own"


def test_runs_that_fail_have_no_time(timed):
    _, failed = timed
    failed.append(SimpleNamespace(name="ctc 12ab", last_line=lambda: "killed"))
    with pytest.raises(UserError, match=r"ctc 12ab: killed"):
        overhead.main("smoke", None, 1, 1)


@pytest.mark.slow
def test_the_server_answers_until_the_end_of_the_block(tmp_path):
    with (
        overhead._server(tmp_path / "server") as uri,
        urllib.request.urlopen(f"{uri}/health", timeout=30) as answer,
    ):
        assert answer.status == 200
    with pytest.raises(OSError):  # noqa: PT011
        urllib.request.urlopen(f"{uri}/health", timeout=30)
