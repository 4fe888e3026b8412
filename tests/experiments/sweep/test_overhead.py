"""The ratio of two engines whose times are known, and runs that fail."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from experiments.errors import UserError
from experiments.sweep import overhead

# To start, and to make the runs.
SECONDS = {"local": [(0, 10), (0, 20), (0, 40)], "ray": [(5, 11), (6, 30), (7, 44)]}


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def timed(monkeypatch):
    """Engines that take these seconds; in which order they were asked."""
    clock, order, failed = Clock(), [], []

    @contextmanager
    def engine(name):
        start, runs = SECONDS[name][order.count(name)]
        order.append(name)

        def threads_each(_):
            clock.now += start

        yield SimpleNamespace(threads_each=threads_each, runs=runs)

    def ablation(_name, _preset, _data, out, runner, _seeds, _jobs):
        assert not list(out.iterdir())
        clock.now += runner.runs
        return SimpleNamespace(failed=failed), SimpleNamespace(end=lambda: None)

    monkeypatch.setattr(overhead, "time", clock)
    monkeypatch.setattr(overhead, "engine", engine)
    monkeypatch.setattr(overhead, "ablation", ablation)
    return order, failed


def test_ratios_are_of_the_runs_alone_and_the_engines_take_turns(timed, capsys):
    order, _ = timed
    overhead.main("smoke", None, 1, 3)
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[2] for line in said[:3]] == ["1.100", "1.500", "1.100"]
    assert "after 6.0 s to start it" in said[1]
    assert said[3].endswith("take 1.100 times as long (1.100 to 1.500 in 3 rounds)")
    assert order == ["local", "ray", "ray", "local", "local", "ray"]


def test_runs_that_fail_have_no_time(timed):
    _, failed = timed
    failed.append(SimpleNamespace(name="ctc 12ab", last_line=lambda: "killed"))
    with pytest.raises(UserError, match=r"ctc 12ab: killed"):
        overhead.main("smoke", None, 1, 1)
