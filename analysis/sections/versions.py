"""Data sets of one name: which chapter is about which, and what changed between them.

A corrected label, or an image more, makes another data set, with a chapter of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.page.formats import count
from analysis.page.page import Page, code
from analysis.sections.chapter import Chapter

# Beyond these the page gives their number alone.
_LISTED = 20


def name_of(one: Chapter, chapters: Sequence[Chapter]) -> str:
    """Data set and split, as no other of the chapters is called."""
    name = f"{one.section.dataset}, {one.section.split} split"
    if len(_versions(one, chapters)) == 1:
        return name
    since = [f"{when:%Y-%m-%d}" for when in _times(one)[:1]]
    return f"{name} ({', '.join([f'data {one.section.digest[:8]}', *since])})"


def write_versions(page: Page, one: Chapter, chapters: Sequence[Chapter]) -> None:
    """When the runs on these data were made, and which labels are others than in those before."""
    versions = _versions(one, chapters)
    if len(versions) == 1:
        return
    place = versions.index(one)
    page.text(
        f"Version {place + 1} of {len(versions)} of the data set {code(one.section.dataset)}: data "
        f"digest {code(one.section.digest)}, {count(len(one.section.runs), 'run')}{_when(one)}. "
        "Runs on different versions are not compared."
    )
    if place == 0:
        return
    before = versions[place - 1]
    labels = pd.concat([_labels(before), _labels(one)], axis=1, keys=["before", "here"]).dropna()
    changed = labels[labels["before"] != labels["here"]]
    since = f"since the version before ({code(before.section.digest)}{_when(before)})"
    judged = f"{count(len(labels), 'labelled image')} that runs of both were validated or tested on"
    if changed.empty:
        page.text(
            f"What changed {since} is not among the labels of {judged}: other images, other "
            "labels in training, or other pixels."
        )
        return
    verb = "has" if len(changed) == 1 else "have"
    page.text(f"What changed {since}: of {judged}, {len(changed)} {verb} another label.")
    page.table(
        ["image", "before", "here"],
        [[code(str(text)) for text in row] for row in changed.head(_LISTED).itertuples()],
        plain="The labels that are others than in the version before.",
    )
    if len(changed) > _LISTED:
        page.text(f"And {count(len(changed) - _LISTED, 'more label')}.")


def _versions(one: Chapter, chapters: Sequence[Chapter]) -> list[Chapter]:
    """The chapters of this data set's name and split, this one among them."""
    own = one.section.dataset, one.section.split
    return [c for c in chapters if (c.section.dataset, c.section.split) == own]


def _times(one: Chapter) -> list[pd.Timestamp]:
    """When its runs began, the first first."""
    runs = one.section.runs
    return sorted(runs["start_time"]) if "start_time" in runs else []


def _when(one: Chapter) -> str:
    times = [f"{when:%Y-%m-%d %H:%M}" for when in _times(one)]
    if not times:
        return ""
    return f" from {times[0]} to {times[-1]} UTC" if len(times) > 1 else f" of {times[0]} UTC"


def _labels(one: Chapter) -> pd.Series:
    """The label of each image that its runs were validated or tested on, but for noise."""
    read = one.predictions
    known = read[read["split"].isin(["val", "test"]) & ~read["changed"]]
    return known.drop_duplicates("filename").set_index("filename")["truth"].sort_index()
