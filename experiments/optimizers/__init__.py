"""Optimisers with their learning-rate schedules; a step a batch.

A new one is one new file in this folder: a subclass of `base.OptimizerSettings` under
`@register("name")`. Everything else finds it by itself.
"""

import importlib
import pkgutil

from experiments.optimizers.base import OPTIMIZERS, OptimizerSettings

__all__ = ["OPTIMIZERS", "OptimizerSettings"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
