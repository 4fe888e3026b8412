"""What all settings are."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Frozen(BaseModel):
    """Settings that refuse unknown keys and do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
