"""From which confidence on readings are right often enough, by a run's validation part."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from analysis.record import IMAGES, PREDICTIONS, confidence_text
from analysis.statistics.calibration import Kept, UnreachableError, reject_below, reject_safely
from experiments.errors import UserError

# Of a reader that comes with the suite, which has no predictions since these hold labels.
VALIDATION = "validation.csv"


class Threshold(NamedTuple):
    """Below which confidence readings are rejected.

    kept: what that leaves of the validation part. unproved: what would be left there by the
        smallest confidence that is right so often on these very readings, and on others maybe not.
    """

    kept: Kept
    unproved: Kept


def reject_threshold(artifacts: Path, accuracy: float) -> Threshold:
    """From which confidence on the run's readings are right this often, by its validation part.

    Never by its test or human-read images. Raises UserError with the best that can be had.
    """
    confidences, right = _on_validation(artifacts)
    if not right:
        raise UserError(
            "an accuracy: no validation image is left that no member learnt from; name one run, or "
            "train with a larger validation part"
        )
    try:
        safe = reject_safely(confidences, right, accuracy)
        return Threshold(safe, reject_below(confidences, right, accuracy))
    except UnreachableError as error:
        best = error.best
        raise UserError(
            f"an accuracy of {error}: the best on validation is {best.accuracy.estimate:.6g}, of "
            f"the {best.kept} surest of {best.of} readings, which promises {best.promised:.6g} "
            "on others; ask for less, or train with a larger validation part"
        ) from error


def _on_validation(artifacts: Path) -> tuple[list[float], list[bool]]:
    """How sure it was of each image of its validation part, and whether it was right.

    Of identical images the first stands for all.
    """
    if (artifacts / PREDICTIONS).is_file():
        groups = {row["filename"]: row["group"] for row in _validated(artifacts / IMAGES)}
        rows = _validated(artifacts / PREDICTIONS)
        first = {groups[row["filename"]]: row for row in reversed(rows)}
        rows = [row for row in rows if first[groups[row["filename"]]] is row]
        right = [row["truth"] == row["reading"] for row in rows]
    else:
        rows = _rows(artifacts / VALIDATION)
        right = [row["right"] == "1" for row in rows]
    return [float(row["confidence"]) for row in rows], right


def _validated(file: Path) -> list[dict[str, str]]:
    return [row for row in _rows(file) if row["split"] == "val"]


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def describe(threshold: Threshold) -> str:
    """What a threshold rests on and costs, in a line."""
    kept = threshold.kept
    return (
        f"rejected below a confidence of {confidence_text(kept.confidence)}: on validation this "
        f"keeps {kept.kept} of {kept.of} readings ({kept.coverage:.1%}), {kept.right} of them "
        f"right ({kept.accuracy.estimate:.1%}); it holds for new readings like these with 95%, and "
        f"without that certainty {threshold.unproved.coverage:.1%} would be kept"
    )
