"""What each setting is worth: arms of one loss that differ in a single setting."""

from __future__ import annotations

from dataclasses import dataclass, replace

from analysis.statistics.comparison import Comparison, compare, corrected
from analysis.statistics.contest import Contest
from analysis.tables.arms import Section, arms
from analysis.tables.settings import SETTING

# The question of every chapter, and an axis with one of its own; and what changes the test part,
# its images or its labels.
_ELSEWHERE = {
    SETTING + name for name in ("loss", "train_images", "test_fraction", "folds", "label_noise")
}


@dataclass(frozen=True)
class Change:
    """One setting changed, and nothing else.

    setting: its name. pair: first the changed arm, second the one that it stands beside, corrected
        for all changes of the section.
    """

    setting: str
    pair: Comparison


def changes(section: Section, among: Contest) -> list[Change]:
    """Arms that differ in a single setting, each beside the usual one.

    Of arms that differ among each other in one setting alone, all stand beside the one whose value
    most arms of that loss have; of values as common, beside that with the most runs, then that
    which validates best. The setting that moves reading furthest comes first, then the arms in the
    order of validation.
    """
    known = section.runs.drop_duplicates("arm").set_index("arm")
    columns = [str(column) for column in known if str(column).startswith(SETTING)]
    columns = [column for column in columns if known[column].nunique() > 1]
    ranked = arms(section)
    place = {str(arm): i for i, arm in enumerate(ranked["arm"])}
    many = section.runs.groupby("arm").size()
    found: list[Change] = []
    for column in (c for c in columns if c not in _ELSEWHERE):
        others = [c for c in columns if c != column]
        usual = known.groupby(["config.loss", column])[column].transform("size")
        for _, same in known.groupby(others, sort=False) if others else [((), known)]:
            beside, *changed = sorted(
                same.index, key=lambda arm: (-usual[arm], -many[arm], place[arm])
            )
            compared = [compare(among, str(arm), str(beside)) for arm in changed]
            found += [Change(column.removeprefix(SETTING), pair) for pair in compared if pair]
    family = corrected([change.pair for change in found])
    found = [replace(change, pair=pair) for change, pair in zip(found, family, strict=True)]
    reach: dict[str, float] = {}
    for change in found:
        # Rounded, so that what is the same is not set apart by the last bit.
        size = round(abs(change.pair.difference.estimate), 9)
        reach[change.setting] = max(size, reach.get(change.setting, 0.0))

    def order(change: Change) -> tuple[float, str, list[int]]:
        places = [place[arm] for arm in reversed(change.pair.arms)]
        return -reach[change.setting], change.setting, places

    return sorted(found, key=order)
