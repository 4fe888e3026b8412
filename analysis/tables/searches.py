"""Which runs come out of which search: those with the settings that it wrote down."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

# A search names what it trains on fresh seeds: the arm, then how its settings came about.
AS_IT_IS = "as it is"


def by(sampler: str) -> str:
    """How settings came about that a sampler found."""
    return f"by {sampler}"


def found_by_search(searches: dict[str, dict[str, Any]], runs: pd.DataFrame) -> pd.Series:
    """For each run, by its id, the sampler that found its settings; empty where none did."""
    found = pd.Series("", index=runs.index)
    for record in searches.values():
        for study in record["studies"]:
            settings = record["fresh"].get(f"{study['arm']} {by(study['sampler'])}")
            if settings is not None:
                found[runs_with(settings, runs)] = study["sampler"]
    return found


def runs_with(settings: dict[str, Any], runs: pd.DataFrame) -> pd.Index:
    """The ids of the runs with exactly these settings, whatever their seed.

    settings: by dotted keys. runs: with `config.*`, as texts.
    """
    same = pd.Series(True, index=runs.index)
    for key, value in settings.items():
        if key != "seed":
            text = value if isinstance(value, str) else json.dumps(value)
            column = f"config.{key}"
            same &= runs[column] == text if column in runs else False
    return runs.index[same]
