"""Stages: runs that others start from, such as pretraining on another data set."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from experiments.schema import Frozen

Data = Literal["same", "strings", "mnist", "mnist_torchvision"]


class Stage(Frozen):
    """A run that others start from: their own settings, but for these.

    data: same (that of the runs), strings (the embedded ones), mnist (the packaged digits as
        cells) or mnist_torchvision (all 70,000 of them, downloaded).
    run: the settings that differ, as in a preset's `run`. A part of a table is put into the table;
        an optimizer with its name replaces it, and another loss takes nothing of the old one's
        decoder and loss_options. The seed is that of the runs.
    start: the stage that this one starts from.
    """

    data: Data
    run: dict[str, Any] = Field(default_factory=dict)
    start: str = ""

    @field_validator("run")
    @classmethod
    def _leaves_seed_and_start(cls, run: dict[str, Any]) -> dict[str, Any]:
        for key, why in (("seed", "it is that of the runs"), ("start", "it stands beside run")):
            if key in run:
                raise ValueError(f"{key} is no key of it: {why}")
        return run
