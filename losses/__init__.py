"""Objectives: class scores -> a number to minimise, and class scores -> text.

A new objective is one new file in this folder: a subclass of `losses.base.Objective` under
`@register("name")`. It then appears in the config, the ablation and the contract tests by itself.
"""

from losses.base import (
    OBJECTIVES,
    CannotLearnError,
    Layout,
    Objective,
    Range,
    Reading,
    Scores,
    Spelling,
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
    "Spelling",
    "Targets",
]

OBJECTIVES.fill_from(__name__)
