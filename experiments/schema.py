"""What all settings are."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

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
