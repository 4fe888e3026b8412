"""Jobs as processes: which GPU each gets, and how many there are at once."""

import pytest

from experiments.sweep.engines import processes
from experiments.sweep.engines.processes import LocalProcesses
from experiments.sweep.engines.runner import Job


def machine(monkeypatch, gpus, visible=None):
    monkeypatch.setattr(processes.torch.cuda, "device_count", lambda: gpus)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


@pytest.mark.parametrize(
    ("gpus", "visible", "expected"),
    [
        (0, None, ["", "", ""]),
        (1, None, ["0", "0", "0"]),
        (2, None, ["0", "1", "0"]),
        (2, "3,5", ["3", "5", "3"]),
        (1, "GPU-8f", ["GPU-8f", "GPU-8f", "GPU-8f"]),
    ],
)
def test_each_gpu_gets_a_run_before_one_gets_two(
    monkeypatch, spawned, tmp_path, gpus, visible, expected
):
    machine(monkeypatch, gpus, visible)
    runner = LocalProcesses()
    handles = [runner.submit(Job(["x"], tmp_path / f"{n}.log")) for n in range(3)]
    assert [handle.gpu for handle in handles] == expected
    for (_, environment), gpu in zip(spawned, expected, strict=True):
        if gpu:
            assert environment["CUDA_VISIBLE_DEVICES"] == gpu
    # One that has ended leaves its GPU to the next.
    handles[-2].stop()
    handles[-2].wait()
    if gpus == 2:
        assert runner.submit(Job(["x"], tmp_path / "next.log")).gpu == expected[1]
    assert runner.submit(Job(["x"], tmp_path / "cpu.log", gpu=False)).gpu == ""
    assert spawned[-1][1]["CUDA_VISIBLE_DEVICES"] == ""
    for handle in [*handles, *runner._begun]:
        handle.stop()
        handle.wait()


@pytest.mark.parametrize(("gpus", "cores", "jobs"), [(0, 4, 4), (1, 4, 1), (3, 4, 3)])
def test_side_by_side_is_one_a_gpu_or_a_core(monkeypatch, gpus, cores, jobs):
    machine(monkeypatch, gpus)
    monkeypatch.setattr(processes, "cores", lambda: cores)
    runner = LocalProcesses()
    assert runner.side_by_side() == jobs
    assert runner.threads_each(jobs) == max(1, cores // jobs)
    assert runner.threads_each(99) == 1
