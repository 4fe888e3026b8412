"""Two runs at the same time, with half of the cores each, beside one that has all of them."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import torch

from experiments.errors import UserError
from experiments.settings.config import RunConfig
from experiments.speed.bench import ROUNDS, Ratio, training_steps
from experiments.speed.profile import peak_memory
from experiments.training.run import load_data

_STEPS = 8


class SideBySide(NamedTuple):
    """What two runs at once bring, and take.

    speed: their images a second over those of one run with the threads of both.
    alone, both: the peak memory of that one run, and the sum of that of the two, in MiB.
    """

    speed: Ratio
    alone: float
    both: float


def side_by_side(config: RunConfig, data: Path, out: Path, threads: int) -> SideBySide:
    """Take steps of one run with so many threads, and of two with half as many each, in turn.

    data, out: as for `load_data`. threads: 2 at least, of the two runs together. Raises UserError.
    """
    try:
        return _in_turn(config, data, out, threads)
    except (EOFError, OSError) as error:
        raise UserError(
            "one of three trainings at once ended early: what it said is above, if anything; "
            "free some memory and try again"
        ) from error


def _in_turn(config: RunConfig, data: Path, out: Path, threads: int) -> SideBySide:
    alone: list[float] = []
    both: list[float] = []
    with ExitStack() as stack:
        one = stack.enter_context(_process(config, data, out, threads))
        two = [stack.enter_context(_process(config, data, out, threads // 2)) for _ in range(2)]
        for round_ in range(ROUNDS + 1):
            for processes, speeds in (([one], alone), (two, both)):
                started = time.perf_counter()
                for process in processes:
                    process.begin(_STEPS)
                for process in processes:
                    process.wait()
                images = _STEPS * config.batch_size * len(processes)
                if round_:  # the first finds memory and chooses kernels
                    speeds.append(images / (time.perf_counter() - started))
        memory = [process.end() for process in (one, *two)]
    return SideBySide(Ratio.of(both, alone), memory[0], memory[1] + memory[2])


def as_lines(found: SideBySide) -> str:
    """A row below the table of `bench`, and a line on memory."""
    return (
        f"{'two runs side by side over one with all threads':<58}{found.speed}\n"
        f"peak memory: one run {found.alone:.0f} MiB, two side by side {found.both:.0f} MiB"
    )


@contextmanager
def _process(config: RunConfig, data: Path, out: Path, threads: int) -> Iterator[_Worker]:
    """A process of its own that takes training steps on request; it ends with the block."""
    # Not forked: a copy of this process would have its threads' locks without its threads.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    given = (config.model_dump_json(), data, out, threads, there)
    process = context.Process(target=_take_steps, args=given, daemon=True)
    process.start()
    there.close()
    try:
        yield _Worker(here)
    finally:
        here.close()
        process.join(5)
        process.kill()
        process.join()


class _Worker(NamedTuple):
    """This end of the pipe to a process."""

    connection: Connection

    def begin(self, steps: int) -> None:
        self.connection.send(steps)

    def wait(self) -> float:
        """Until it answers, with what it answers. Raises EOFError where it died."""
        return float(self.connection.recv())

    def end(self) -> float:
        """Its peak memory in MiB."""
        self.begin(0)
        return self.wait()


def _take_steps(config: str, data: Path, out: Path, threads: int, asked: Connection) -> None:
    """Answer each number of steps when they are done, and 0 with the peak memory in MiB."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that asks
    torch.set_num_threads(threads)
    settings = RunConfig.model_validate_json(config)
    take = training_steps(settings, load_data(settings, data, out, judges=False))
    try:
        while steps := asked.recv():
            for _ in range(steps):
                take()
            asked.send(0.0)
        asked.send(peak_memory())
    except EOFError:  # who asked is gone
        pass
