"""What the arms of one data set and split say together of how far seeds, or folds, move them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.seed_spread import (
    SeedSpread,
    Squares,
    of_differences,
    squares,
    together,
)
from analysis.statistics.variances import by_group, folds_of_groups
from analysis.tables.arms import Section


@dataclass(frozen=True)
class Family:
    """Arms with the same seeds on the same images.

    values: (arms, seeds, groups) what each group of identical images adds to an arm's share of
        right readings in a seed, times the number of groups.
    folds: (groups,) whose runs read them, where there are several: they stand for the seeds.
    """

    arms: list[str]
    seeds: list[str]
    values: npt.NDArray[np.float64]
    folds: npt.NDArray[np.int_] | None = None

    def gains(self, first: str, second: str) -> npt.NDArray[np.float64]:
        """(seeds, groups) first minus second."""
        gains: npt.NDArray[np.float64] = (
            self.values[self.arms.index(first)] - self.values[self.arms.index(second)]
        )
        return gains

    def squares(self) -> Squares:
        """Of what seeds or folds do to the differences of its arms."""
        return of_differences(self.values, self.folds)


@dataclass(frozen=True)
class SectionSeeds:
    """The arms of a section that were run with several seeds or folds."""

    families: list[Family]

    def others(self, first: str, second: str, folded: bool = False) -> SeedSpread:
        """What all differences but that of these two arms say of the seeds; folded: of folds."""
        found = []
        for family in self.families:
            if (family.folds is not None) != folded:
                continue
            left = family.squares()
            if {first, second} <= set(family.arms):
                # One of K - 1 contrasts; the others do not depend on it.
                own = squares(family.gains(first, second) / np.sqrt(2), folds=family.folds)
                left = left.without(own)
            found.append(left.spread)
        return together(found)


def section_seeds(section: Section, predictions: pd.DataFrame) -> SectionSeeds:
    """Of the leak-free test images of a section's runs; an arm with one run has no part in it."""
    test = predictions[(predictions["split"] == "test") & predictions["clean"]]
    test = test[test["run_id"].isin(section.runs.index)]
    run_id = test["run_id"].astype(str)
    table = pd.DataFrame(
        {
            "arm": run_id.map(section.runs["arm"]),
            "seed": run_id.map(section.runs["config.seed"]),
            "fold": pd.factorize(run_id.map(section.runs["config.fold"]))[0],
            "filename": test["filename"],
            "group": test["group"],
            "right": test["truth"] == test["reading"],
        }
    )
    alike: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    readings: dict[str, pd.DataFrame] = {}
    folds: dict[str, npt.NDArray[np.int_]] = {}
    group = table.drop_duplicates("filename").set_index("filename")["group"]
    for arm, own in table.groupby("arm", sort=True):
        read = own.pivot(index="filename", columns="seed", values="right")
        # A seed that lacks a fold has not read all of the images.
        read = read.dropna(axis="columns").astype(float)
        # Arms may be dealt into folds of other numbers.
        fold = own.drop_duplicates("filename").set_index("filename").loc[read.index, "fold"]
        if len(read.columns) > 1 or (len(read.columns) and fold.nunique() > 1):
            readings[str(arm)], folds[str(arm)] = read, fold.to_numpy(int)
            of = tuple(read.columns), tuple(read.index), tuple(map(str, fold))
            alike.setdefault(of, []).append(str(arm))
    families = []
    for (seeds, images, _), arms in alike.items():
        groups = group.loc[list(images)].to_numpy(int)
        values = []
        for arm in arms:
            sums, sizes = by_group(readings[arm].to_numpy().T, groups)
            values.append(sums / sizes.mean())
        of_groups = folds_of_groups(folds[arms[0]], groups)
        families.append(Family(arms, list(seeds), np.stack(values), of_groups))
    return SectionSeeds(families)
