"""How long runs are going to take on this machine, from a few steps of each kind of them."""

from __future__ import annotations

import heapq
import logging
import signal
import statistics
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch

from experiments.data.images import Images
from experiments.data.splits import timed_split
from experiments.settings.config import RunConfig
from experiments.speed.bench import training_steps
from experiments.training.build import build
from experiments.training.epochs import count_batches
from experiments.training.run import load_data
from models.cost import count_multiply_adds

_STEPS = 5
# Seconds that are spent on timing: on one kind, and on all.
_EACH, _ALL = 1.5, 10.0
# What reading an image takes of what learning from it does: forward, without backward.
_READING = 0.3

_log = logging.getLogger(__name__)


class Ahead(NamedTuple):
    """A run that is to be made. folder: its data set. epochs: those that are left."""

    config: RunConfig
    folder: Path
    epochs: int


def expected(runs: Sequence[Ahead], out: Path, at_once: int, threads: int) -> float | None:
    """The seconds of all runs, so many of them at once, each on so many threads of the CPU.

    A kind that there was no time to try is taken to be as fast, a multiply-add, as those tried.
    In a process of its own, which gives all memory back; None where it fails, as the run that it
    failed for is going to do, with its reason.
    out: has the decoded images.
    """
    # Not forked: this process has threads.
    context = get_context("spawn")
    answer, tell = context.Pipe(duplex=False)
    process = context.Process(
        target=_tell, args=(tell, list(runs), out, at_once, threads), daemon=True
    )
    process.start()
    tell.close()
    try:
        seconds: float | None = answer.recv()
        return seconds
    except EOFError:  # it was ended, for want of memory perhaps
        return None
    finally:
        process.kill()
        process.join()


def _tell(tell: Connection, runs: list[Ahead], out: Path, at_once: int, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks
    torch.set_num_threads(threads)
    try:
        tell.send(estimate(runs, out, at_once))
    except Exception as error:
        _log.debug("no expected time: %s", error)
        tell.send(None)


def estimate(runs: Sequence[Ahead], out: Path, at_once: int) -> float:
    """As `expected`, in this process and with its threads. Raises what a run would."""
    sizes = {(run.config.image.model_dump_json(), run.folder): run for run in runs}
    images = {size: load_data(run.config, run.folder, out) for size, run in sizes.items()}
    seen = [images[run.config.image.model_dump_json(), run.folder] for run in runs]
    # Up to here this process did what each run does first: imports, and reading the data.
    beginning = time.process_time()
    images_a_second = _speeds(runs, seen)
    free = [0.0] * at_once
    for run, images_of in zip(runs, seen, strict=True):
        work = _images(run, images_of) / images_a_second[_kind(run.config)]
        heapq.heapreplace(free, free[0] + beginning + work)
    return max(free)


def _images(run: Ahead, images: Images) -> float:
    """How many images' learning the run is worth, with what it reads."""
    split = timed_split(images, run.config)
    learnt = count_batches(run.config, len(split.train)) * run.config.batch_size
    return run.epochs * (learnt + _READING * len(split.val)) + _READING * len(images.rows)


def _kind(config: RunConfig) -> str:
    """Equal for runs that take the same steps."""
    return config.model_dump_json(exclude={"seed", "start", "epochs"})


def _speeds(runs: Sequence[Ahead], seen: Sequence[Images]) -> dict[str, float]:
    """Images a second in training, for each kind."""
    kinds = {_kind(run.config): (run, images) for run, images in zip(runs, seen, strict=True)}
    begun = time.perf_counter()
    tried: dict[str, float] = {}
    for kind, (run, images) in kinds.items():
        if not tried or time.perf_counter() - begun < _ALL:
            tried[kind] = run.config.batch_size / _step_seconds(run.config, images)
    if len(tried) == len(kinds):
        return tried
    work = {kind: _multiply_adds(run.config) for kind, (run, _) in kinds.items()}
    speed = statistics.median(images * work[kind] for kind, images in tried.items())
    return {kind: tried.get(kind, speed / work[kind]) for kind in kinds}


def _step_seconds(config: RunConfig, images: Images) -> float:
    """The median of some steps, after one in which memory is found and kernels are chosen."""
    take = training_steps(config, images)
    times: list[float] = []
    while len(times) <= 1 or (len(times) <= _STEPS and sum(times) < _EACH):
        started = time.perf_counter()
        take()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _multiply_adds(config: RunConfig) -> int:
    size = config.image
    return count_multiply_adds(build(config)[0], (size.channels, size.height, size.width))
