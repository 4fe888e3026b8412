"""Where the time of a training goes: the parts of a step, and the operations within them."""

from __future__ import annotations

import os
import sys
import time
from itertools import islice

import psutil
import torch
from torch.profiler import ProfilerActivity, profile

from experiments.data.images import Images
from experiments.data.splits import timed_split
from experiments.settings.config import RunConfig
from experiments.training.build import build_for
from experiments.training.epochs import Epochs
from experiments.training.step import PARTS, Step

# Steps that count, after a few in which memory is found and kernels are chosen.
STEPS = 20
_BEFORE = 3
_OPERATIONS = 10


def profile_training(config: RunConfig, images: Images) -> str:
    """Take some steps of a run without making one; two tables as text, shares in percent.

    Fewer than STEPS where an epoch has fewer batches. Raises UserError, as a run would.
    """
    model, objective = build_for(config, images)
    optimizer, _ = config.optimizer.build(model, 1 + _BEFORE + STEPS)
    step = Step(config, model, objective, optimizer)
    step.train_mode()
    at = timed_split(images, config).train
    epochs = Epochs(config, images, at, model, objective, step.device)

    def some_steps(epoch: int, count: int) -> int:
        return sum(bool(step(batch)) for batch in islice(epochs.batches(epoch), count))

    some_steps(0, _BEFORE)
    # It speaks of its own beginning, and of a missing GPU as an error.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    # Timed without the profiler, which slows what it looks at.
    started = time.perf_counter()
    taken = some_steps(1, STEPS)
    seconds = (time.perf_counter() - started) / taken
    with profile(activities=activities) as seen:
        some_steps(1, STEPS)
    events = seen.key_averages()
    whole = {event.key: event.cpu_time_total for event in events if event.key in PARTS}
    all_parts = sum(whole.values())
    own = [event for event in events if event.key not in PARTS]
    own.sort(key=lambda event: event.self_cpu_time_total, reverse=True)
    all_own = sum(event.self_cpu_time_total for event in own)
    return "\n".join(
        [
            f"{taken} steps of {config.batch_size} images, {torch.get_num_threads()} threads: "
            f"{1000 * seconds:.1f} ms a step, {config.batch_size / seconds:.0f} images a second; "
            f"peak memory of the process {peak_memory():.0f} MiB",
            "",
            "part of a step      share",
            *(f"{part:<18} {100 * whole.get(part, 0) / all_parts:5.1f}%" for part in PARTS),
            "",
            "operation                                  calls a step      share",
            *(
                f"{event.key:<42} {event.count / taken:12.1f} "
                f"{100 * event.self_cpu_time_total / all_own:9.1f}%"
                for event in own[:_OPERATIONS]
            ),
        ]
    )


def peak_memory() -> float:
    """Of this process so far, in MiB. The system counts in KiB, macOS in bytes."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 2**20
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2 ** (20 if sys.platform == "darwin" else 10)
