"""Makes each job in this process: to load torch anew takes longer than a small job."""

from __future__ import annotations

import contextlib
import signal
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

from experiments.__main__ import main
from experiments.sweep.engines.processes import LocalProcesses
from experiments.sweep.engines.runner import Job


class Made:
    """A job that has ended."""

    def __init__(self, code: int, log: Path) -> None:
        self._code, self._log = code, log

    def poll(self) -> int:
        return self._code

    def stop(self) -> None:
        """There is nothing left to stop."""

    def wait(self) -> None:
        """It has ended."""

    def last_line(self) -> str:
        return self._log.read_text(encoding="utf-8").strip().rpartition("\n")[2]


class InProcess(LocalProcesses):
    """Runs each job to its end before it goes on, in a thread that has no MLflow run at work."""

    def on_this_cpu(self) -> bool:
        """They do, but nobody is to wait for an estimate, which is made in a process of its own."""
        return False

    def submit(self, job: Job) -> Made:  # type: ignore[override]
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with (
            job.log.open("w", encoding="utf-8") as log,
            contextlib.redirect_stdout(log),
            contextlib.redirect_stderr(log),
            patch.object(sys, "argv", ["head-to-head", *job.command]),
            patch.object(signal, "signal"),  # which is the main thread's alone
            ThreadPoolExecutor(1) as thread,
        ):
            return Made(thread.submit(_exit_code).result(), job.log)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception:
        traceback.print_exc()
    return 1
