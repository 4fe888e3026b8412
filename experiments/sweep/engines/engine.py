"""Who makes the jobs: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from experiments.errors import UserError
from experiments.sweep.engines.processes import LocalProcesses
from experiments.sweep.engines.runner import Runner


@contextmanager
def engine(name: str) -> Iterator[Runner]:
    """What makes jobs until the end of the block. name: local or ray.

    Raises UserError for another name, where there is no Ray to be had, and on Windows.
    """
    if sys.platform == "win32":
        raise UserError(
            "this command stops its runs by signals, which Windows does not have; give it in "
            "WSL 2, or in a container (Dockerfile)"
        )
    if name == "local":
        yield LocalProcesses()
    elif name == "ray":
        try:
            from experiments.sweep.engines.ray_tasks import ray_tasks
        except ModuleNotFoundError as error:
            if error.name != "ray":
                raise
            raise UserError(
                "--engine ray: Ray is not installed; install it with: "
                ".venv/bin/pip install --constraint constraints.txt --editable '.[ray]'"
            ) from None
        with ray_tasks() as runner:
            yield runner
    else:
        raise UserError(f"--engine {name}: there is no such engine; choose local or ray")
