"""Objectives: class scores -> a number to minimise, and class scores -> text.

A new objective is one new file in this folder: a subclass of `losses.base.Objective` under
`@register("name")`. It then appears in the config, the ablation and the contract tests by itself.
"""

import importlib
import pkgutil

from losses.base import (
    OBJECTIVES,
    CannotLearnError,
    Layout,
    Objective,
    Range,
    Reading,
    Scores,
    Targets,
)

__all__ = [
    "OBJECTIVES",
    "CannotLearnError",
    "Layout",
    "Objective",
    "Range",
    "Reading",
    "Scores",
    "Targets",
]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
