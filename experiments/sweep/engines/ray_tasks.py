"""Jobs as tasks of a Ray cluster, each on the node that Ray chooses for it.

The only place that knows Ray. Where a node dies, Ray begins its tasks again on another one, and a
job goes on from what it kept in its folder: nodes share the folders that a command names, and the
one that it is given in.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

# Before Ray is imported, which reads them then. Without the second, every server of a Ray that is
# started here would listen to the network; its name speaks of the systems where it is the default.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if not os.environ.get("RAY_ADDRESS"):
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from experiments.errors import UserError, one_line
from experiments.sweep.cores import cores
from experiments.sweep.engines.node import make, read_by_jobs
from experiments.sweep.engines.parent import GRACE
from experiments.sweep.engines.process import CODE, last_line
from experiments.sweep.engines.processes import gpus
from experiments.sweep.engines.runner import Job

# Of one job: how often its node may die. One that brings down every node is not begun for ever.
_BEGUN_AGAIN = 5
# For what tasks hand on: an exit code each. It is the least that Ray takes.
_STORE = 80 * 2**20  # bytes


@contextmanager
def ray_tasks() -> Iterator[RayTasks]:
    """Tasks of the cluster that RAY_ADDRESS names; without, of one on this machine for this block.

    It is asked, or started, when the first job is to be made. Raises UserError.
    """
    try:
        yield RayTasks(os.environ.get("RAY_ADDRESS", ""))
    finally:
        ray.shutdown()


def _nodes(address: str) -> list[dict[str, float]]:
    """What each node of the cluster has; without an address one is started on this machine.

    Raises UserError where none answers there.
    """
    if address.startswith("ray://"):
        raise UserError(
            f"RAY_ADDRESS={address}: give host:port of the cluster's head, not ray://, and start "
            "the command on one of its nodes"
        )
    options: dict[str, Any] = {"address": address}
    if not address:
        options = {"address": "local", "num_cpus": cores(), "num_gpus": len(gpus())}
        options |= {"include_dashboard": False, "object_store_memory": _STORE}
    stops = signal.getsignal(signal.SIGTERM)
    try:
        # Workers look for code where this process stands, before all else.
        with chdir(CODE):
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError) as error:
        if not address:
            raise
        raise UserError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there; start one (ray start --head), "
            f"or unset it ({error})"
        ) from error
    except Exception as error:
        # No kind of its own: Ray's parts have half a minute to start.
        if "timed out during startup" not in str(error):
            raise
        raise UserError(
            "Ray did not start in time, as this machine is too busy; give the same command again "
            "when it is less so"
        ) from error
    finally:
        signal.signal(signal.SIGTERM, stops)  # Ray has put its own in place
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


class RayTasks:
    """Runs each job as a task that has the CPUs it asks for, and on a cluster with GPUs one."""

    def __init__(self, address: str) -> None:
        """Raised by the first call of a method: UserError where no cluster answers there."""
        self._address = address

    @cached_property
    def _nodes(self) -> list[dict[str, float]]:
        """As they are at first; nodes that join later are used as well."""
        return _nodes(self._address)

    @property
    def _cpus(self) -> list[int]:
        return [int(node.get("CPU", 0)) for node in self._nodes]

    @property
    def _gpus(self) -> int:
        return sum(int(node.get("GPU", 0)) for node in self._nodes)

    def side_by_side(self) -> int:
        """See Runner."""
        return self._gpus or max(1, sum(self._cpus))

    def on_this_cpu(self) -> bool:
        """See Runner."""
        return False

    def threads_each(self, jobs: int) -> int:
        """As many as let so many jobs run at once; the threads of a job are on one node."""
        fits = (
            threads
            for threads in range(max(self._cpus, default=0), 1, -1)
            if sum(cpus // threads for cpus in self._cpus) >= jobs
        )
        return next(fits, 1)

    def submit(self, job: Job) -> RayTask:
        """Begin it where and when there is room."""
        # What it said before is not what it says now.
        job.log.unlink(missing_ok=True)
        needs = {"num_cpus": job.cpus, "num_gpus": 1 if job.gpu and self._gpus else 0}
        task = ray.remote(make).options(**needs, max_retries=_BEGUN_AGAIN)
        return RayTask(job.log, task.remote(job, Path.cwd(), read_by_jobs()))


class RayTask:
    """A job's task, which ends when the job's process has."""

    def __init__(self, log: Path, task: ray.ObjectRef[int]) -> None:
        self._log, self._task = log, task
        self._code: int | None = None

    def poll(self) -> int | None:
        """See Handle. Raises UserError where its node could not begin it."""
        if self._code is None and self._ended(0):
            self._code = self._result()
        return self._code

    def stop(self) -> None:
        """See Handle."""
        if not self._ended(0):
            ray.cancel(self._task)

    def wait(self) -> None:
        """See Handle."""
        # The task ends a process that does not stop when asked to; this is for one that is lost.
        if not self._ended(GRACE + 20):
            ray.cancel(self._task, force=True)
            self._ended(GRACE)

    def last_line(self) -> str:
        """See Handle."""
        return last_line(self._log) or "waits for a node with room"

    def _ended(self, seconds: float) -> bool:
        ended, _ = ray.wait([self._task], timeout=seconds)
        return bool(ended)

    def _result(self) -> int:
        try:
            return int(ray.get(self._task))
        except TaskCancelledError:  # before it had begun
            return -signal.SIGTERM
        except RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            raise
        except RayError as error:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("a", encoding="utf-8") as log:
                log.write(f"\nits node died, or Ray's worker there: {one_line(str(error))}\n")
            return -signal.SIGKILL
