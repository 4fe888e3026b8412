"""What all settings are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

# Above any number that trains, and below what overflows in single precision.
Positive = Annotated[float, Field(gt=0, le=1e30)]
NotNegative = Annotated[float, Field(ge=0, le=1e30)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# How many seeds a comparison may have: each is a run of every arm.
MOST_SEEDS = 1000


class Frozen(BaseModel):
    """Settings that refuse unknown keys and do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def has_its_name(name: str, kind: type[Frozen]) -> None:
    """Raise ValueError unless settings say themselves under which name they are registered."""
    if kind.model_fields["name"].default != name:
        raise ValueError(f"{kind.__name__}: set name: Literal[{name!r}] = {name!r}")


class OneOf:
    """Marks a setting that is one of the registered kinds, chosen by its `name`.

    A bare name is that kind as it comes; a table without a name is of the default kind.
    """

    def __init__(self, kinds: Mapping[str, type[Frozen]], default: str) -> None:
        self._kinds, self._default = kinds, default

    def __get_pydantic_core_schema__(
        self,
        source: Any,
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        choices = {name: handler.generate_schema(kind) for name, kind in self._kinds.items()}
        tagged = core_schema.tagged_union_schema(choices, discriminator="name")
        return core_schema.no_info_before_validator_function(self._in_full, tagged)

    def _in_full(self, given: Any) -> Any:
        table = {"name": given} if isinstance(given, str) else given
        if not isinstance(table, dict):
            return table
        name = table.get("name", self._default)
        if not isinstance(name, str):
            raise ValueError(f"{name!r} is no name; several belong under [[grid]], a run each")
        if name not in self._kinds:
            raise ValueError(f"there is no {name!r}{did_you_mean(str(name), list(self._kinds))}")
        return {**table, "name": name}


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a message about a word that is none of these."""
    matches = get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else f"; choose one of {', '.join(known)}"
