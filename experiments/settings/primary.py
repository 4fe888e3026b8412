"""The comparison that a preset is made for, named before anything runs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from experiments.schema import MOST_SEEDS, Frozen

# More looks spend 5% on next to nothing each.
_MOST_LOOKS = 10


class Primary(Frozen):
    """Two arms that differ in the loss, and what comes with it, alone.

    It is tested at 5% by itself; all other pairs of the report are corrected together.

    first, second: the settings of either arm, over those that all runs of the preset share; each is
        an arm of its grid.
    margin: the two are called equivalent where they are shown to differ by less than this share.
    looks: at how many seeds the report may judge it, rising; all of them share the 5%. By default
        once, at as many seeds as the preset is first started with.
    """

    first: dict[str, Any]
    second: dict[str, Any]
    margin: float = Field(0.01, gt=0, lt=1)
    looks: tuple[Annotated[int, Field(ge=1, le=MOST_SEEDS)], ...] = Field(
        (), max_length=_MOST_LOOKS
    )

    @field_validator("first", "second")
    @classmethod
    def _leaves_the_seed(cls, arm: dict[str, Any]) -> dict[str, Any]:
        if "seed" in arm:
            raise ValueError("seed is no key of it: an arm has all of them")
        return arm

    @field_validator("looks")
    @classmethod
    def _rise(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if list(looks) != sorted(set(looks)):
            raise ValueError("write rising numbers of seeds, such as [2, 5]")
        if len(looks) > 1 and looks[0] == 1:
            raise ValueError("one seed says nothing about others; let the first look have two")
        return looks
