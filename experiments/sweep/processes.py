"""Jobs as processes of this machine, side by side: one that dies takes no other with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import torch

from experiments.sweep.cores import cores
from experiments.sweep.parent import GRACE, VARIABLE
from experiments.sweep.runner import Job

CODE = Path(__file__).parents[2]


def side_by_side() -> int:
    """How many runs at once, where nobody says: one a GPU, or without any one a CPU core."""
    return len(_gpus()) or cores()


def threads_each(jobs: int) -> int:
    """The CPU threads that each of so many runs gets."""
    return max(1, cores() // jobs)


class LocalProcesses:
    """Runs each job as a process of this machine; of several GPUs each gets one."""

    def __init__(self) -> None:
        self._gpus = _gpus()
        self._begun: list[LocalProcess] = []

    def submit(self, job: Job) -> LocalProcess:
        """Begin it, on the GPU that has the fewest."""
        gpu = self._free_gpu() if job.gpu else ""
        begun = LocalProcess(job, gpu)
        self._begun.append(begun)
        return begun

    def _free_gpu(self) -> str:
        self._begun = [one for one in self._begun if one.poll() is None]
        busy = Counter(one.gpu for one in self._begun)
        return min(self._gpus, key=lambda gpu: busy[gpu], default="")


class LocalProcess:
    """A job's process. gpu: the one that it has; empty for none."""

    def __init__(self, job: Job, gpu: str = "") -> None:
        self.gpu, self._log = gpu, job.log
        job.log.parent.mkdir(parents=True, exist_ok=True)
        shown = {"CUDA_VISIBLE_DEVICES": gpu} if gpu or not job.gpu else {}
        paths = [str(CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
        with job.log.open("wb") as handle:
            # A session of its own: Ctrl-C reaches this process alone, which then stops each run
            # once. The pipe says to the run that this process lives.
            self._process = subprocess.Popen(
                # -P: a folder named `experiments` where the user stands is not this package.
                [sys.executable, "-P", "-m", "experiments", *job.command],
                stdin=subprocess.PIPE,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=os.environ | shown | {VARIABLE: "stdin", "PYTHONPATH": os.pathsep.join(paths)},
            )

    def poll(self) -> int | None:
        """See Handle."""
        return self._process.poll()

    def stop(self) -> None:
        """See Handle."""
        if self.poll() is None:
            self._process.terminate()

    def wait(self) -> None:
        """See Handle."""
        try:
            self._process.wait(GRACE + 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def last_line(self) -> str:
        """See Handle."""
        return last_line(self._log)


def last_line(log: Path) -> str:
    """What a run said last."""
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    except FileNotFoundError:
        return ""


def _gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[:count] if named else [str(number) for number in range(count)]
