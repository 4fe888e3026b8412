"""Jobs as processes of this machine, side by side: one that dies takes no other with it."""

from __future__ import annotations

import os
from collections import Counter

import torch

from experiments.sweep.cores import cores
from experiments.sweep.engines.process import LocalProcess
from experiments.sweep.engines.runner import Job


class LocalProcesses:
    """Runs each job as a process of this machine; of several GPUs each gets one."""

    def __init__(self) -> None:
        self._gpus = gpus()
        self._begun: list[LocalProcess] = []

    def side_by_side(self) -> int:
        """See Runner."""
        return len(self._gpus) or cores()

    def threads_each(self, jobs: int) -> int:
        """See Runner."""
        return max(1, cores() // jobs)

    def on_this_cpu(self) -> bool:
        """See Runner."""
        return not self._gpus

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


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return named[:count] if named else [str(number) for number in range(count)]
