"""A job on another machine: what the node that was chosen for it does.

Nothing heavy is imported here: a node has one such process for each job, beside the job's own.
"""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from experiments.errors import UserError
from experiments.sweep.engines.interrupts import interrupts_wait
from experiments.sweep.engines.parent import VARIABLE
from experiments.sweep.engines.process import LocalProcess
from experiments.sweep.engines.runner import Job

_BETWEEN_LOOKS = 0.1  # seconds
# What a job reads of the environment.
_READ = ("MLFLOW_", "HEAD_TO_HEAD_")


def read_by_jobs() -> dict[str, str]:
    """What a job reads of this process's environment."""
    return {k: v for k, v in os.environ.items() if k.startswith(_READ) and k != VARIABLE}


def make(job: Job, folder: Path, environment: Mapping[str, str]) -> int:
    """Make the job; returns its exit code, -N where signal N ended it.

    KeyboardInterrupt is how it is asked to stop; the code is that of the job then.
    folder, environment: where it is made, and what it reads of the environment: those of whoever
        asks for it, and not the node's.
    Raises UserError where the node does not have the folder.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        raise UserError(
            f"{folder}: the node {platform.node()} does not have this folder ({error.strerror}); "
            "give the command in one that all nodes share"
        ) from error
    for name in read_by_jobs():
        del os.environ[name]
    os.environ.update(environment)
    # A node that was started in the background ignores it, and its jobs could not be stopped.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = None
    try:
        with interrupts_wait():
            process = LocalProcess(job)
        while process.poll() is None:
            time.sleep(_BETWEEN_LOOKS)
    except KeyboardInterrupt:
        if process is None:
            return -signal.SIGTERM
    finally:
        if process is not None:
            process.stop()
            process.wait()
    code = process.poll()
    assert code is not None
    return code
