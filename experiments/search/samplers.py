"""How a study draws and prunes: Optuna's parts, as a search uses them."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.pruners import BasePruner, MedianPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from experiments.settings.search_space import Sampler
from losses import Range

# Trials that a sampler draws at random, and that are never pruned, before it learns from them.
STARTUP = 6


def sampler(name: Sampler, seed: int) -> BaseSampler:
    """One that is new for each trial.

    What it draws depends on the trials so far and on nothing that a killed process took with it.
    """
    if name == "random":
        return RandomSampler(seed)
    return TPESampler(seed=seed, n_startup_trials=STARTUP)


def pruner() -> BasePruner:
    """Below the median at the end of a cycle; only such ends are ever reported."""
    return MedianPruner(n_startup_trials=STARTUP, n_min_trials=3)


def distribution(values: Range | tuple[Any, ...]) -> BaseDistribution:
    """What a parameter is drawn from: a range, or choices."""
    if isinstance(values, Range):
        return FloatDistribution(values.low, values.high, log=values.log)
    return CategoricalDistribution(values)
