"""A job as a process of this machine. Nothing heavy is imported here: every engine starts these."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import experiments
from experiments.sweep.engines.parent import GRACE, VARIABLE
from experiments.sweep.engines.runner import Job

CODE = Path(str(experiments.__file__)).parents[1]


class LocalProcess:
    """A job's process. gpu: the one that it has; empty for none, or for those of this process."""

    def __init__(self, job: Job, gpu: str = "") -> None:
        self.gpu, self._log = gpu, job.log
        job.log.parent.mkdir(parents=True, exist_ok=True)
        # What a process before it may still write does not get between its lines.
        job.log.unlink(missing_ok=True)
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
