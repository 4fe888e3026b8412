"""Optimisers with their learning-rate schedules; a step a batch.

A new one is one new file in this folder: a subclass of `base.OptimizerSettings` under
`@register("name")`. Everything else finds it by itself.
"""

from experiments.optimizers.base import OPTIMIZERS, OptimizerSettings

__all__ = ["OPTIMIZERS", "OptimizerSettings"]

OPTIMIZERS.fill_from(__name__)
