"""What runs read of the leak-free test images: made once of a section, and asked for every pair."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.statistics.section_seeds import SectionSeeds, section_seeds
from analysis.tables.arms import OF_A_RUN, Section

_RIGHT, _WRONG, _UNREAD = 1, 0, -1


@dataclass(frozen=True)
class Answers:
    """Right or wrong, a row a run and a column a leak-free test image.

    rows: the row of each run. values: (runs, images), 1 right, 0 wrong, -1 not read. groups:
        (images,); identical images have the same number.
    """

    rows: dict[str, int]
    values: npt.NDArray[np.int8]
    groups: npt.NDArray[np.int_]

    def of(
        self, readers: Sequence[Collection[str]]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int_]]:
        """(readers, images) right or wrong on the images that they read, and their groups.

        readers: the runs that together read each image once: one run, or those of all folds.
        Raises ValueError where one of them did not read what another did.
        """
        read = np.stack([self._rows(run_ids).max(axis=0, initial=_UNREAD) for run_ids in readers])
        asked = (read != _UNREAD).any(axis=0)
        read = read[:, asked]
        if (read == _UNREAD).any():
            raise ValueError("runs of one data set and split were judged on different images")
        return read == _RIGHT, self.groups[asked]

    def read_by(self, run_ids: Sequence[str]) -> npt.NDArray[np.int_]:
        """(images,) which of these runs read each image that one of them read, by its place."""
        read = self._rows(run_ids) != _UNREAD
        whose: npt.NDArray[np.int_] = read[:, read.any(axis=0)].argmax(axis=0)
        return whose

    def _rows(self, run_ids: Collection[str]) -> npt.NDArray[np.int8]:
        return self.values[[self.rows[run_id] for run_id in run_ids if run_id in self.rows]]


@dataclass(frozen=True)
class Contest:
    """The arms of a section on one test part.

    made: of each arm the run of each seed and fold. names, losses: of each arm. fold: of each run.
    dealt: into how many folds the images of each arm were.
    seeds: what the arms say together of how far seeds move them.
    """

    answers: Answers
    made: dict[str, dict[tuple[str, str], str]]
    names: dict[str, str]
    losses: dict[str, str]
    fold: dict[str, str]
    dealt: dict[str, int]
    seeds: SectionSeeds


def answers(predictions: pd.DataFrame) -> Answers:
    """Of all runs among these rows, which are of one data set; images in the order of their names.

    Each run has read an image once.
    """
    test = predictions[(predictions["split"] == "test") & predictions["clean"]]
    row, run_ids = pd.factorize(test["run_id"].astype(str))
    column, files = pd.factorize(test["filename"], sort=True)
    values = np.full((len(run_ids), len(files)), _UNREAD, dtype=np.int8)
    values[row, column] = np.where(test["truth"] == test["reading"], _RIGHT, _WRONG)
    groups = np.zeros(len(files), dtype=int)
    groups[column] = test["group"]
    return Answers({str(run_id): i for i, run_id in enumerate(run_ids)}, values, groups)


def contest(section: Section, predictions: pd.DataFrame) -> Contest:
    """The arms of a section; predictions: at least those of its runs."""
    runs = section.runs
    made: dict[str, dict[tuple[str, str], str]] = {}
    for run_id, arm, *of_a_run in runs[["arm", *OF_A_RUN]].itertuples():
        seed, fold = map(str, of_a_run)
        made.setdefault(str(arm), {})[seed, fold] = str(run_id)
    known = runs.drop_duplicates("arm").set_index("arm")
    return Contest(
        answers=answers(predictions[predictions["run_id"].isin(runs.index)]),
        made=made,
        names={str(arm): str(label) for arm, label in known["label"].items()},
        losses={str(arm): str(loss) for arm, loss in known["config.loss"].items()},
        fold={str(run_id): str(fold) for run_id, fold in runs["config.fold"].items()},
        dealt=_dealt(section, known),
        seeds=section_seeds(section, predictions),
    )


def _dealt(section: Section, known: pd.DataFrame) -> dict[str, int]:
    if section.split != "kfold" or "config.folds" not in known:
        return dict.fromkeys(map(str, known.index), 1)
    return {str(arm): int(folds) for arm, folds in known["config.folds"].fillna(1).items()}
