"""What changes while a run trains: weights, optimiser, schedule, average, progress."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from experiments.training import checkpoint
from experiments.training.selection import Score, best
from models import Reader


@dataclass
class Progress:
    """How far a run is: everything but the tensors. A checkpoint holds it as JSON.

    history: the metrics of each finished epoch.
    best: the epoch that is kept, counted from 0; -1 before the first.
    seconds: spent in finished epochs.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: int = -1
    seconds: float = 0.0

    @property
    def scores(self) -> list[Score]:
        """On validation, after each finished epoch."""
        return [Score(m["val.exact_match"], m["val.loss"]) for m in self.history]

    @property
    def kept(self) -> Score:
        """The score of the epoch that is kept."""
        return self.scores[self.best]


@dataclass
class State:
    """All that changes in training; what a checkpoint holds.

    owner: the hash of the run, which no other run's checkpoint has.
    keep_last: keep the weights of the last epoch, not of the best on validation.
    """

    owner: str
    model: Reader
    optimizer: Optimizer
    schedule: LRScheduler
    average: AveragedModel | None
    keep_last: bool = False
    progress: Progress = field(default_factory=Progress)
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def judged(self) -> Reader:
        """The model that is validated and kept: the average where there is one."""
        return self.model if self.average is None else cast(Reader, self.average.module)

    def add(self, metrics: dict[str, float], seconds: float) -> None:
        """Take note of an epoch, and of its weights if they are to be kept."""
        progress = self.progress
        progress.history.append(metrics)
        kept = len(progress.history) - 1 if self.keep_last else best(progress.scores)
        if kept != progress.best:
            assert kept is not None
            progress.best = kept
            self.best_weights = {k: v.clone() for k, v in self.judged.state_dict().items()}
        progress.seconds += seconds

    def save(self, file: Path) -> None:
        """Write all of it, replacing what was there as a whole."""
        of_optimizer, groups = checkpoint.optimizer_tensors(self.optimizer)
        average = {} if self.average is None else self.average.state_dict()
        # A function in a schedule's state is made anew with the schedule.
        schedule = {
            key: value
            for key, value in self.schedule.state_dict().items()
            if isinstance(value, bool | int | float | str | list | None)
        }
        tensors = (
            {f"model.{k}": v for k, v in self.model.state_dict().items()}
            | {f"average.{k}": v for k, v in average.items()}
            | {f"best.{k}": v for k, v in self.best_weights.items()}
            | {f"optimizer.{k}": v for k, v in of_optimizer.items()}
        )
        state = {
            "groups": groups,
            "schedule": schedule,
            "progress": asdict(self.progress),
            # Sums over another number of threads have other last bits.
            "threads": torch.get_num_threads(),
        }
        checkpoint.save(file, checkpoint.Saved(tensors, state), self.owner)

    def restore(self, file: Path) -> None:
        """Go back to where the file was written, with its number of CPU threads.

        Stays at the start where there is none. Raises checkpoint.UnusableError for a file that is
        not whole or another run's; this state is then not to be used any further.
        """
        if (saved := checkpoint.load(file, self.owner)) is None:
            return
        try:
            progress = Progress(**saved.state["progress"])
            if progress.best not in range(len(progress.history)):
                raise ValueError(f"epoch {progress.best} of {len(progress.history)} is to be kept")
            self._take(saved)
            if self.best_weights.keys() != self.judged.state_dict().keys():
                raise ValueError("weights to be kept are missing")
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            why = str(error).partition("\n")[0]  # torch goes on with each tensor's name
            raise checkpoint.UnusableError(f"it does not fit this run ({why})") from error
        for key, value in asdict(progress).items():
            setattr(self.progress, key, value)
        threads = saved.state["threads"]
        if threads != torch.get_num_threads():
            print(f"goes on with {threads} CPU threads, as it began")
            torch.set_num_threads(threads)

    def _take(self, saved: checkpoint.Saved) -> None:
        tensors, state = saved
        self.model.load_state_dict(checkpoint.under("model.", tensors))
        if self.average is not None:
            self.average.load_state_dict(checkpoint.under("average.", tensors))
        self.best_weights = checkpoint.under("best.", tensors)
        checkpoint.restore_optimizer(
            self.optimizer, checkpoint.under("optimizer.", tensors), state["groups"]
        )
        self.schedule.load_state_dict(state["schedule"])
