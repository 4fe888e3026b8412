"""Which is better on validation. Epochs, a search's trials and runs are chosen by this alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Score(NamedTuple):
    """On the validation part: the share of texts that are read exactly, and the loss an image."""

    exact_match: float
    loss: float


def better(one: Score, other: Score) -> bool:
    """Whether it reads more texts exactly, or as many with a smaller loss.

    The loss of a model that reads nothing yet still says whether it learns. A loss that is no
    number is above all others.
    """
    if one.exact_match != other.exact_match:
        return one.exact_match > other.exact_match
    return one.loss < other.loss or (math.isnan(other.loss) and not math.isnan(one.loss))


def best(scores: Iterable[Score]) -> int | None:
    """The place of the best, the first of equals; None without any."""
    found: tuple[int, Score] | None = None
    for place, score in enumerate(scores):
        if found is None or better(score, found[1]):
            found = place, score
    return None if found is None else found[0]
