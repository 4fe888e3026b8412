"""Settings that are refused: in one line, by their key, with the way out."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError

from experiments.schema import did_you_mean
from experiments.settings.parts import CHOICES, PARTS


def refusal(
    error: ValidationError, model: type[BaseModel], tables: Mapping[str, type[BaseModel]] = {}
) -> str:
    """The first thing that is wrong, with its key and the way out.

    tables: what the tables below a key hold, other than the parts of a run's settings.
    """
    first = error.errors()[0]
    parts = {**PARTS, **tables}
    # The name of what was chosen stands in the location as well: no key of a user's.
    location = first["loc"]
    key = ".".join(
        str(part)
        for at, part in enumerate(location)
        if not (at and part in CHOICES.get(str(location[at - 1]), {}))
    )
    if first["type"] == "extra_forbidden":
        known = list(model.model_fields)
        if below := [parts[str(part)] for part in first["loc"][:-1] if part in parts]:
            known = [f"{key.rpartition('.')[0]}.{name}" for name in below[-1].model_fields]
        return f"unknown config key {key!r}{did_you_mean(key, known)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "string_type":
        message += "; put it in quotes"
    return f"config key {key!r}: {message}" if key else message
