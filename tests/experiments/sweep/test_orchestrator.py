"""A runner is kept busy and left without jobs; what is shown is worked out by hand."""

import signal

import pytest

from experiments.sweep import orchestrator
from experiments.sweep.engines.runner import Job
from experiments.sweep.orchestrator import Count, duration, work


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Handle:
    def __init__(self, job, log):
        self.job, self.log, self.code, self.polled = job, log, None, 0

    def poll(self):
        self.polled += 1
        return self.code

    def stop(self):
        self.log.append(("stop", self.job.command[0]))
        self.code = -15 if self.code is None else self.code

    def wait(self):
        self.log.append(("wait", self.job.command[0]))

    def last_line(self):
        return "epoch 1/2"


class Runner:
    def __init__(self):
        self.handles, self.log, self.most = [], [], 0

    def submit(self, job):
        self.handles.append(Handle(job, self.log))
        self.most = max(self.most, sum(handle.code is None for handle in self.handles))
        return self.handles[-1]


class Task:
    def __init__(self, name, log):
        self.name, self.job = name, Job([name], log)


class Plan:
    """So many tasks, each over when it was looked at twice."""

    def __init__(self, count, folder):
        self.waiting = [Task(str(n), folder / f"{n}.log") for n in range(count)]
        self.all, self.looks, self.settled = count, {}, []

    def begin(self):
        return self.waiting.pop(0) if self.waiting else None

    def look(self, task, code):  # noqa: ARG002
        self.looks[task.name] = self.looks.get(task.name, 0) + 1
        return f"over {task.name}" if self.looks[task.name] == 2 else None

    def settle(self, task):
        self.settled.append(task.name)

    def count(self):
        done = len(self.settled)
        return Count(done, self.all, 10 * done, 10 * self.all)

    def done(self):
        return len(self.settled) == self.all


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(orchestrator.time, "sleep", made.sleep)
    monkeypatch.setattr(orchestrator.time, "monotonic", made.monotonic)
    return made


@pytest.mark.parametrize(("at_once", "most"), [(1, 1), (2, 2), (9, 5)])
def test_every_task_is_settled_after_its_job_was_stopped(clock, tmp_path, at_once, most):  # noqa: ARG001
    plan, runner = Plan(5, tmp_path), Runner()
    work(plan, runner, at_once, "runs")
    assert plan.settled == list("01234")
    assert runner.most == most
    assert sorted(runner.log) == sorted((verb, n) for n in "01234" for verb in ("stop", "wait"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_no_job_is_left_behind(clock, tmp_path, monkeypatch, error):  # noqa: ARG001
    plan, runner = Plan(3, tmp_path), Runner()

    def fails(task, code):  # noqa: ARG001
        raise error

    monkeypatch.setattr(plan, "look", fails)
    with pytest.raises(error):
        work(plan, runner, 2, "runs")
    # All are asked before one is waited for.
    assert runner.log == [("stop", "0"), ("stop", "1"), ("wait", "0"), ("wait", "1")]


@pytest.fixture
def heard():
    """Ctrl-C is, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard", "clock")
def test_a_job_that_begins_as_it_is_interrupted_is_not_left_behind(tmp_path):
    class Interrupted(Runner):
        def submit(self, job):
            handle = super().submit(job)
            if len(self.handles) == 2:
                signal.raise_signal(signal.SIGINT)
            return handle

    runner = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        work(Plan(3, tmp_path), runner, 3, "runs")
    assert [handle.code for handle in runner.handles] == [-15, -15]


def test_the_rest_is_said_from_the_epochs_that_were_trained(clock, tmp_path, capsys):  # noqa: ARG001
    work(Plan(4, tmp_path), Runner(), 1, "runs")
    # Each job is looked at twice, a third of a second apart: 10 epochs in 0.3 s or, with the next
    # one's first look, 0.6.
    lines = [line.split("  ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == ["over 0", "over 1", "over 2", "over 3"]
    assert [line[-1] for line in lines] == [
        "(1 of 4, about 1 seconds left)",
        "(2 of 4, about 1 seconds left)",
        "(3 of 4, about 0 seconds left)",
        "(4 of 4)",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 seconds"), (99, "99 seconds"), (240, "4 minutes"), (9000, "2.5 hours")],
)
def test_durations_are_said_as_people_say_them(seconds, said):
    assert duration(seconds) == said
