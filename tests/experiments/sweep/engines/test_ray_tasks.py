"""Jobs as Ray's tasks, beside a Ray that does what it is told; the real one is in torture/."""

import os
import signal
from types import SimpleNamespace

import pytest

from experiments.errors import UserError
from experiments.sweep.engines import node
from experiments.sweep.engines.runner import Job

ray = pytest.importorskip("ray", reason="needs Ray: pip install --editable '.[ray]'")

from ray.exceptions import (  # noqa: E402
    RayTaskError,
    TaskCancelledError,
    WorkerCrashedError,
)

from experiments.sweep.engines import ray_tasks  # noqa: E402

ADDRESS = "127.0.0.1:6379"


class FakeRay:
    """In place of Ray's functions. results: by task what it comes to, once it has."""

    def __init__(self, *nodes):
        self.resources, self.results = nodes, {}
        self.asked, self.cancelled = [], []

    def init(self, **given):
        assert given["address"] == ADDRESS

    def nodes(self):
        return [{"Resources": resources, "Alive": alive} for resources, alive in self.resources]

    def remote(self, function):
        def options(**needs):
            def begin(*arguments):
                self.asked.append((function, needs, arguments))
                return f"task {len(self.asked)}"

            return SimpleNamespace(remote=begin)

        return SimpleNamespace(options=options)

    def wait(self, tasks, timeout):
        assert timeout >= 0
        return [task for task in tasks if task in self.results], []

    def get(self, task):
        if isinstance(self.results[task], Exception):
            raise self.results[task]
        return self.results[task]

    def cancel(self, task, force=False):
        self.cancelled.append((task, force))


@pytest.fixture
def cluster(monkeypatch):
    def made(*nodes):
        fake = FakeRay(*nodes)
        for name in ("init", "nodes", "remote", "wait", "get", "cancel"):
            monkeypatch.setattr(ray_tasks.ray, name, getattr(fake, name))
        return fake

    return made


def cpus(*counts):
    return [({"CPU": float(count)}, True) for count in counts]


@pytest.mark.parametrize(
    ("nodes", "jobs", "threads"),
    [
        ((4,), 1, 4),
        ((4,), 3, 1),
        ((4, 4), 2, 4),
        ((4, 4), 3, 2),
        # Not 3: of two nodes with three each only one such job fits on either.
        ((3, 3), 4, 1),
        ((8, 2), 2, 4),
        ((2, 2), 99, 1),
        ((0, 6), 2, 3),
        ((), 2, 1),
    ],
)
def test_threads_are_as_many_as_let_all_jobs_run_at_once(cluster, nodes, jobs, threads):
    cluster(*cpus(*nodes))
    runner = ray_tasks.RayTasks(ADDRESS)
    assert runner.threads_each(jobs) == threads
    assert runner.side_by_side() == max(1, sum(nodes))


def test_a_run_a_gpu_and_nodes_that_are_gone_do_not_count(cluster, tmp_path):
    fake = cluster(
        ({"CPU": 8.0, "GPU": 2.0}, True), ({"CPU": 8.0, "GPU": 1.0}, True), ({"GPU": 9.0}, False)
    )
    runner = ray_tasks.RayTasks(ADDRESS)
    assert runner.side_by_side() == 3
    for gpu in (True, False):
        runner.submit(Job(["x"], tmp_path / "x.log", cpus=3, gpu=gpu))
    needs = [needs for _, needs, _ in fake.asked]
    assert [(one["num_cpus"], one["num_gpus"]) for one in needs] == [(3, 1), (3, 0)]


def test_a_task_is_the_job_in_this_folder_and_environment(cluster, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    fake = cluster(*cpus(2))
    job = Job(["train"], tmp_path / "x.log")
    job.log.write_text("what it said before")
    handle = ray_tasks.RayTasks(ADDRESS).submit(job)
    ((function, needs, (given, folder, environment)),) = fake.asked
    assert (function, given, folder) == (node.make, job, tmp_path)
    assert environment["MLFLOW_TRACKING_USERNAME"] == "me"
    assert needs["num_gpus"] == 0
    assert needs["max_retries"] > 0
    assert handle.last_line() == "waits for a node with room"
    job.log.write_text("epoch 1\nepoch 2\n")
    assert handle.last_line() == "epoch 2"


def begun(cluster, tmp_path):
    fake = cluster(*cpus(2))
    return fake, ray_tasks.RayTasks(ADDRESS).submit(Job(["x"], tmp_path / "logs/x.log"))


@pytest.mark.parametrize(
    ("result", "code"), [(0, 0), (2, 2), (-9, -9), (TaskCancelledError(), -signal.SIGTERM)]
)
def test_its_code_is_that_of_the_job(cluster, tmp_path, result, code):
    fake, handle = begun(cluster, tmp_path)
    assert handle.poll() is None
    fake.results["task 1"] = result
    assert handle.poll() == code


def test_one_whose_nodes_died_too_often_has_failed_and_its_log_says_why(cluster, tmp_path):
    fake, handle = begun(cluster, tmp_path)
    fake.results["task 1"] = WorkerCrashedError()
    assert handle.poll() == -signal.SIGKILL
    assert "its node died" in handle.last_line()
    said = handle.last_line()
    assert handle.poll() == -signal.SIGKILL
    assert handle.last_line() == said


def task_error(cause):
    return RayTaskError("make", "Traceback", cause)


def test_what_its_user_can_put_right_is_theirs_and_a_bug_is_ours(cluster, tmp_path):
    fake, handle = begun(cluster, tmp_path)
    fake.results["task 1"] = task_error(UserError("no such folder"))
    with pytest.raises(UserError, match=r"^no such folder$"):
        handle.poll()
    fake.results["task 1"] = task_error(ZeroDivisionError())
    with pytest.raises(RayTaskError):
        handle.poll()


def test_one_that_is_stopped_is_cancelled_and_one_that_does_not_end_is_ended(cluster, tmp_path):
    fake, handle = begun(cluster, tmp_path)
    handle.stop()
    assert fake.cancelled == [("task 1", False)]
    handle.wait()
    assert fake.cancelled[1:] == [("task 1", True)]
    fake.results["task 1"] = -15
    handle.stop()
    handle.wait()
    assert len(fake.cancelled) == 2


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "127.0.0.1:1", "nonsense"])
def test_an_address_where_no_cluster_answers(monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)

    def init(**given):
        assert given["address"] == address
        raise ConnectionError("nobody there") if ":" in address else ValueError("malformed")

    monkeypatch.setattr(ray_tasks.ray, "init", init)
    refused = pytest.raises(UserError, match=f"^RAY_ADDRESS={address}: ")
    with refused, ray_tasks.ray_tasks() as runner:
        runner.side_by_side()


@pytest.mark.parametrize(
    ("said", "kind"), [("The current node timed out during startup.", UserError), ("x", Exception)]
)
def test_a_ray_that_does_not_start_in_time_is_no_bug_of_ours(monkeypatch, said, kind):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def init(**_):
        raise Exception(said)

    monkeypatch.setattr(ray_tasks.ray, "init", init)
    with pytest.raises(kind) as raised, ray_tasks.ray_tasks() as runner:
        runner.side_by_side()
    assert type(raised.value) is kind


def test_a_cluster_of_this_machine_sends_nothing_and_asks_for_no_port_of_the_network(
    monkeypatch, cluster
):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    cluster(*cpus(2))
    seen = []

    def init(**given):
        seen.append((given, os.getcwd(), os.environ["RAY_USAGE_STATS_ENABLED"]))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(ray_tasks.ray, "init", init)
    monkeypatch.setattr(ray_tasks.ray, "shutdown", lambda: seen.append("shut down"))
    before = signal.signal(signal.SIGTERM, stop)
    try:
        with ray_tasks.ray_tasks() as runner:
            assert not seen
            assert runner.side_by_side() == 2
            assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, before)
    (given, folder, usage), ended = seen
    assert given["address"] == "local"
    assert given["include_dashboard"] is False
    assert (folder, usage) == (str(ray_tasks.CODE), "0")
    assert ended == "shut down"
