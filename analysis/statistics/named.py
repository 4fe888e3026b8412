"""Which comparison of a section was named before its runs, and whether that was in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from analysis.tables.arms import Section
from analysis.tables.load import Results
from analysis.tables.primaries import Primary

_OF_ENDED = ("tags.data_digest", "end_time")


@dataclass(frozen=True)
class Named:
    """The primary comparison of a section.

    primary: as it is on record. arms: what identifies its two.
    in_time: whether it was on record before any run of these two had finished.
    changed: when its preset named it otherwise since.
    """

    primary: Primary
    arms: tuple[str, str]
    in_time: bool
    changed: tuple[datetime, ...]

    def look(self, seeds: int) -> int | None:
        """Which of the looks this is, from 0; None where none is planned at so many seeds."""
        looks = self.primary.looks
        return looks.index(seeds) if seeds in looks else None


def named(section: Section, results: Results) -> Named | None:
    """The comparison that was named first and in time; where none was in time, the first.

    A preset may change its mind until a run of either arm has finished. Where several presets name
    one each of the same section, the earliest counts, and the others are part of the family.
    """
    found = []
    for of_preset in results.primaries:
        own = []
        for place, primary in enumerate(of_preset):
            if (arms := _arms(primary, section)) is not None:
                later = tuple(one.at for one in of_preset[place + 1 :])
                in_time = primary.at <= _first_end(arms, section, results)
                own.append(Named(primary, arms, in_time, later))
        found += [one for one in own if one.in_time][-1:] or own[:1]
    return min(found, key=lambda one: not one.in_time, default=None)


def _arms(primary: Primary, section: Section) -> tuple[str, str] | None:
    """Those that the hashes are of; None where the section has not both."""
    if "tags.run_hash" not in section.runs:
        return None
    by_hash = section.runs.set_index("tags.run_hash")["arm"]
    first, second = (
        by_hash[by_hash.index.isin(own)].unique() for own in (primary.first, primary.second)
    )
    if len(first) != 1 or len(second) != 1 or first[0] == second[0]:
        return None
    return str(first[0]), str(second[0])


def _first_end(arms: tuple[str, str], section: Section, results: Results) -> datetime:
    """When the first run of these arms had finished, also where it was made again since."""
    hashes = section.runs.loc[section.runs["arm"].isin(arms), "tags.run_hash"]
    ended = [results.runs, once_whole(results)]
    ends = [table.loc[table["tags.run_hash"].isin(hashes), "end_time"] for table in ended]
    first: datetime = pd.concat([one for one in ends if len(one)]).min()
    return first


def once_whole(results: Results) -> pd.DataFrame:
    """The runs and ensembles that were finished once and do not count any more."""
    found = results.unfinished.reindex(columns=["status", "tags.run_hash", *_OF_ENDED])
    return found[found["status"].astype(str).str.startswith("FINISHED") & found.notna().all(axis=1)]
