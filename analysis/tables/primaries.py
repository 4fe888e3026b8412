"""Which comparisons were named before the runs; the parent runs of ablations have it on record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from analysis.record import PRIMARY


@dataclass(frozen=True)
class Primary:
    """The comparison that a preset names as the one that it is made for.

    preset: its name. at: when it was put on record. first, second: hashes of either arm's runs.
    margin: see MARGIN in statistics/intervals.py. looks: at how many seeds it may be judged.
    """

    preset: str
    at: datetime
    first: tuple[str, ...]
    second: tuple[str, ...]
    margin: float
    looks: tuple[int, ...]


def primaries(tags: Mapping[str, str]) -> list[Primary]:
    """Those of one parent run, in the order in which they were put on record.

    More than one: it was changed. One that cannot be read is none.
    """
    found = [
        one
        for key, text in tags.items()
        if key.startswith(f"{PRIMARY}.")
        for one in [_read(tags.get("preset", ""), text)]
        if one is not None
    ]
    return sorted(found, key=lambda one: one.at)


def of_all(parents: Iterable[Mapping[str, str]]) -> list[list[Primary]]:
    """Those of every parent run that has any, the earliest parent first."""
    found = [one for one in map(primaries, parents) if one]
    return sorted(found, key=lambda one: one[0].at)


def _read(preset: str, text: str) -> Primary | None:
    try:
        held = json.loads(text)
        at = datetime.fromisoformat(held["at"])
        first, second = (tuple(map(str, held[arm])) for arm in ("first", "second"))
        looks = tuple(map(int, held["looks"]))
        margin = float(held["margin"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    rising = list(looks) == sorted(set(looks)) and bool(looks) and looks[0] > 0
    if not (first and second and rising and at.tzinfo and 0 < margin < 1):
        return None
    return Primary(preset, at, first, second, margin, looks)
