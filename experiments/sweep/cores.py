"""How many CPU cores this process may use: what its affinity and its container allow."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_PROC, _SYS = Path("/proc"), Path("/sys/fs/cgroup")


def cores(proc: Path = _PROC, sys: Path = _SYS) -> int:
    """At least 1. proc, sys: where Linux shows processes and control groups."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    # A part of a core is none that a run could have for itself.
    return max(1, min([allowed, *(int(quota) for quota in _quotas(proc, sys))]))


def _quotas(proc: Path, sys: Path) -> list[float]:
    """The quotas, in cores, of this process's groups and of those around them."""
    try:
        lines = (proc / "self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            homes, read = [sys, sys / "unified"], _version_2
        elif "cpu" in controllers.split(","):
            homes, read = [sys / "cpu", sys / controllers], _version_1
        else:
            continue
        inside = Path(path.lstrip("/"))
        for home in homes:
            # In a container the path can be the host's, of which only the top is seen.
            for group in (home / inside, *(home / parent for parent in inside.parents)):
                with suppress(OSError, ValueError):
                    if quota := read(group):
                        found.append(quota)
    return found


def _version_2(group: Path) -> float:
    """0 where there is no limit."""
    quota, period = (group / "cpu.max").read_text(encoding="utf-8").split()
    return 0.0 if quota == "max" else int(quota) / int(period)


def _version_1(group: Path) -> float:
    """0 where there is no limit."""
    quota = int((group / "cpu.cfs_quota_us").read_text(encoding="utf-8"))
    period = int((group / "cpu.cfs_period_us").read_text(encoding="utf-8"))
    return 0.0 if quota < 0 else quota / period
