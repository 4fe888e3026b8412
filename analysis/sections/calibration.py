"""Whether a confidence can be believed, and what is left when unsure readings are rejected."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.findings import humans
from analysis.page import figures
from analysis.page.formats import mean_and_spread, percent
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.statistics.calibration import (
    Kept,
    UnreachableError,
    calibrated,
    calibration_error,
    keep_from,
    reject_below,
    reject_safely,
    reliability,
    risk_by_coverage,
)

Choose = Callable[[pd.Series, pd.Series, float], Kept]

_STRICT = 0.99
_KEPT = ("kept for", "right, for", "unproved for")
_ARMS = 4
# Coverage is read off here, so that seeds can be averaged.
_GRID = np.linspace(0.02, 1, 99)


class Wanted(NamedTuple):
    """An accuracy to be reached by rejecting what is unsure, in 0..1."""

    what: str
    accuracy: float


@register("calibration", place=100)
def write_calibration(page: Page, chapter: Chapter) -> None:
    """Reliability, calibration error, risk by coverage, coverage at an accuracy."""
    page.text("### Trust")
    test = chapter.test.assign(right=lambda t: t["truth"] == t["reading"])
    arms = [arm for arm in chapter.drawn[:_ARMS] if (test["arm"] == arm).any()]
    if not arms:
        page.text("There is no leak-free test image that an arm has read.")
        return
    _chart(page, chapter, test, arms)
    _table(page, chapter, test, arms)


def _chart(page: Page, chapter: Chapter, test: pd.DataFrame, arms: list[str]) -> None:
    bins, risks = [], []
    for arm in arms:
        own = test[test["arm"] == arm]
        read = reliability(own["confidence"], own["right"], images=own["group"])
        bins.append(read.assign(arm=arm))
        for _, seed in own.groupby("seed"):
            curve = risk_by_coverage(seed["confidence"], seed["right"])
            risk = np.interp(_GRID, curve["coverage"], curve["risk"])
            risks.append(pd.DataFrame({"coverage": _GRID, "risk": risk, "arm": arm}))
    left, right = pd.concat(bins), pd.concat(risks)
    page.chart(
        chapter.chart(
            partial(figures.calibration, left, right, chapter.looks, chapter.names),
            pd.concat([left.assign(panel="left"), right.assign(panel="right")]),
            "trust",
            f"Left: the share of right readings by confidence for {len(arms)} arms, in ten bins, "
            "beside the diagonal. Right: the share of wrong readings among those kept, when only "
            "the surest are; the ends of these curves stand in the table below.",
            "Left: how often readings of a confidence are right, in ten bins of as many readings "
            "(all seeds), with 95% intervals as if seeds had read alike; on the diagonal a "
            "confidence says what it means, below it the arm is too sure. Right: what is wrong "
            "when only the surest readings are kept; the mean over seeds, shaded from the lowest "
            "to the highest.",
        )
    )


def _table(page: Page, chapter: Chapter, test: pd.DataFrame, arms: list[str]) -> None:
    wanted = [Wanted(f"{100 * _STRICT:.0f}%", _STRICT)]
    if chapter.people is not None:
        alike = humans.agreement(chapter.people.images).estimate
        wanted.insert(0, Wanted(f"{percent(alike)}%", alike))
    val = chapter.predictions[chapter.predictions["split"] == "val"]
    val = val.assign(right=val["truth"] == val["reading"])
    rows = []
    for arm in arms:
        own, of_val = test[test["arm"] == arm], val[val["arm"] == arm]
        errors = _errors(own, of_val)
        row = [
            chapter.names[arm],
            *(mean_and_spread(errors[kind].mean(), errors[kind].std()) for kind in errors),
        ]
        for want in wanted:
            row += _kept(own, of_val, want.accuracy)
        rows.append(row)
    heads = [f"{head} {want.what}" for want in wanted for head in _KEPT]
    page.table(
        ["arm", "calibration error", "calibrated", *heads],
        rows,
        plain=(
            "The smaller the calibration error, the more a confidence can be taken at its "
            "word. Whoever lets a person read the unsure cells gets about the accuracy of a "
            "column's head on the share that is kept."
        ),
    )
    page.text(
        "In percent; mean over seeds, and their standard deviation. The expected calibration error "
        "is over ten bins of as many readings; **calibrated** is the same after isotonic "
        "regression, fitted on the validation part. **Kept for**: the share of leak-free test "
        "images at or above the smallest confidence that keeps this promise on new readings with "
        "95%, as far as the validation part shows that; **right, for** how often those really are. "
        "**Unproved for**: the share that would be kept by the confidence that is right so often "
        "on the validation part itself, and elsewhere maybe not. `make predict ACCURACY=` rejects "
        "by the first of the two."
        + (
            f" On {wanted[0].what} of other images two people read the same."
            if len(wanted) > 1
            else " Without two people there is no human accuracy to reach."
        )
    )


def _errors(test: pd.DataFrame, val: pd.DataFrame) -> pd.DataFrame:
    """A row a seed: the calibration error on test as it is, and calibrated on validation."""
    rows = []
    for name, seed in test.groupby("seed"):
        chosen = val[val["seed"] == name]
        after = float("nan")
        if len(chosen):
            mended = calibrated(chosen["confidence"], chosen["right"], seed["confidence"])
            after = calibration_error(list(mended), seed["right"])
        rows.append((calibration_error(seed["confidence"], seed["right"]), after))
    return pd.DataFrame(rows, columns=["raw", "calibrated"])


def _kept(test: pd.DataFrame, val: pd.DataFrame, accuracy: float) -> list[str]:
    """Coverage and accuracy on test at the confidence that validation proves; coverage without."""
    seeds = list(test.groupby("seed"))
    found: dict[Choose, list[Kept]] = {reject_safely: [], reject_below: []}
    for name, seed in seeds:
        chosen = val[val["seed"] == name].drop_duplicates("group")
        if chosen.empty:
            continue
        for choose, kept in found.items():
            try:
                least = choose(chosen["confidence"], chosen["right"], accuracy).confidence
            except UnreachableError:
                continue
            kept.append(keep_from(seed["confidence"], seed["right"], least))
    return [
        _mean([one.coverage for one in found[reject_safely]], len(seeds)) or "out of reach",
        _mean([one.right / one.kept for one in found[reject_safely] if one.kept]),
        _mean([one.coverage for one in found[reject_below]], len(seeds)) or "out of reach",
    ]


def _mean(shares: list[float], of: int = 0) -> str:
    """Over seeds; nothing where there is none. of: how many there are, said where some lack."""
    if not shares:
        return ""
    found = pd.Series(shares)
    some = f" ({len(shares)} of {of} seeds)" if len(shares) < of else ""
    return mean_and_spread(found.mean(), found.std()) + some
