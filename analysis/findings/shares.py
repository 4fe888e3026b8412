"""What share of the images an arm reads right, and how sure that is.

Readings come as a table with a row a reading: filename, truth, reading, seed, group (of identical
images), fold if there are folds, and where a function needs it arm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.intervals import mean_share
from analysis.statistics.seed_spread import SeedSpread, squares, together
from analysis.statistics.variances import by_group, folds_of_groups


def by_arm(readings: pd.DataFrame) -> pd.DataFrame:
    """A row an arm, indexed by it: images, and the share that is right with its 95% interval.

    The interval (estimate, low, high, in 0..1) is over seeds and images, or folds and images. How
    far seeds or folds move an arm is estimated over all of them together; where each has one seed
    and no folds it is about the images alone.
    """
    own = {str(arm): of_arm for arm, of_arm in readings.groupby("arm", sort=True, observed=True)}
    rows = {}
    for arm, of_arm in own.items():
        others = together(seed_spread(other) for name, other in own.items() if name != arm)
        table = right_by_seed(of_arm)
        groups, folds = groups_and_folds(of_arm, table.index)
        found = mean_share(table.to_numpy().T, groups, others, folds)
        rows[arm] = (len(table), found.estimate, found.low, found.high)
    columns = ["images", "estimate", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def seed_spread(readings: pd.DataFrame) -> SeedSpread:
    """How far seeds, or folds, move the share of an arm's right readings."""
    table = right_by_seed(readings)
    groups, folds = groups_and_folds(readings, table.index)
    sums, sizes = by_group(table.to_numpy().T, groups)
    return squares(sums / sizes.mean(), folds=folds_of_groups(folds, groups)).spread


def groups_and_folds(
    readings: pd.DataFrame, filenames: pd.Index
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """(images,) the group of identical images and the fold of each; without folds all are one."""
    images = readings.drop_duplicates("filename").set_index("filename").loc[filenames]
    folds = pd.factorize(images["fold"])[0] if "fold" in images else np.zeros(len(images), int)
    return images["group"].to_numpy(int), folds


def right_by_seed(readings: pd.DataFrame) -> pd.DataFrame:
    """A row an image, a column a seed: 1 where it is right. One column where seeds lack images."""
    right = (readings["truth"] == readings["reading"]).groupby(
        [readings["filename"], readings["seed"]]
    )
    table = right.first().unstack()
    # Folds that only some seeds have: an image has a mean over those that read it.
    whole = not table.isna().any(axis=None)
    return table.astype(float) if whole else table.astype(float).mean(axis=1).to_frame()
