"""How long runs are going to take on this machine, from a few steps of each kind of them."""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch

from experiments.data.images import Images
from experiments.data.splits import learning_split
from experiments.settings.config import RunConfig
from experiments.speed.bench import training_steps
from experiments.training.build import build
from experiments.training.epochs import count_batches
from models.cost import count_multiply_adds

_STEPS = 5
# Seconds that are spent on timing: on one kind, and on all.
_EACH, _ALL = 1.5, 10.0
# What reading an image takes of what learning from it does: forward, without backward.
_READING = 0.3


class Ahead(NamedTuple):
    """A run that is to be made. images: its data set. epochs: those that are left."""

    config: RunConfig
    images: Images
    epochs: int


def expected(runs: Sequence[Ahead], at_once: int, threads: int, beginning: float) -> float:
    """The seconds of all runs, so many of them at once, each on so many threads of the CPU.

    beginning: the seconds that a run takes until its first step.
    A kind that there was no time to try is taken to be as fast, a multiply-add, as those tried.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        images_a_second = _speeds(runs)
    finally:
        torch.set_num_threads(before)
    free = [0.0] * at_once
    for run in runs:
        seconds = beginning + _images(run) / images_a_second[_kind(run.config)]
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def _images(run: Ahead) -> float:
    """How many images' learning the run is worth, with what it reads."""
    split = learning_split(run.images, run.config)
    learnt = count_batches(run.config, len(split.train)) * run.config.batch_size
    return run.epochs * (learnt + _READING * len(split.val)) + _READING * len(run.images.rows)


def _kind(config: RunConfig) -> str:
    """Equal for runs that take the same steps."""
    return config.model_dump_json(exclude={"seed", "start", "epochs"})


def _speeds(runs: Sequence[Ahead]) -> dict[str, float]:
    """Images a second in training, for each kind."""
    kinds = {_kind(run.config): run for run in runs}
    begun = time.perf_counter()
    tried: dict[str, float] = {}
    for kind, run in kinds.items():
        if not tried or time.perf_counter() - begun < _ALL:
            tried[kind] = run.config.batch_size / _step_seconds(run)
    if len(tried) == len(kinds):
        return tried
    work = {kind: _multiply_adds(run.config) for kind, run in kinds.items()}
    speed = statistics.median(images * work[kind] for kind, images in tried.items())
    return {kind: tried.get(kind, speed / work[kind]) for kind in kinds}


def _step_seconds(run: Ahead) -> float:
    """The median of some steps, after one in which memory is found and kernels are chosen."""
    take = training_steps(run.config, run.images)
    times: list[float] = []
    while len(times) <= 1 or (len(times) <= _STEPS and sum(times) < _EACH):
        started = time.perf_counter()
        take()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _multiply_adds(config: RunConfig) -> int:
    size = config.image
    return count_multiply_adds(build(config)[0], (size.channels, size.height, size.width))
