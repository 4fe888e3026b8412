"""The pruner on trials that were trained to their end: what it would have saved, and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import TrialState

from experiments.search.samplers import pruner


class Replay(NamedTuple):
    """What the pruner would have done to curves that are there whole.

    of: curves. pruned: of these. saved: the share of all epochs that would not have been trained.
    best: the best final score, best_kept: the best that would have been left; both in 0..1.
    """

    of: int
    pruned: int
    saved: float
    best: float
    best_kept: float


def replay(curves: Sequence[dict[int, float]], finals: Sequence[float], epochs: int) -> Replay:
    """The pruner on curves that are there whole, in their order.

    curves: the scores at the ends of cycles, by number of epochs; finals: the scores kept.
    """
    study = optuna.create_study(direction="maximize", pruner=pruner(), sampler=RandomSampler(0))
    kept: list[float] = []
    trained = 0
    for curve, final in zip(curves, finals, strict=True):
        trial = study.ask()
        for done, value in sorted(curve.items()):
            trial.report(value, done)
            if done < epochs and trial.should_prune():
                study.tell(trial, state=TrialState.PRUNED)
                trained += done
                break
        else:
            study.tell(trial, final)
            kept.append(final)
            trained += epochs
    whole = max(1, epochs * len(curves))
    best, best_kept = max(finals, default=float("nan")), max(kept, default=float("nan"))
    return Replay(len(curves), len(curves) - len(kept), 1 - trained / whole, best, best_kept)
