"""What all settings are."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Settings that refuse unknown keys and do not change."""

    model_config = ConfigDict(frozen=True, extra="forbid")
