"""The most probable texts of all that a grammar lets through, best first.

One search serves every loss. It needs from a loss only a bound: how probable a text that begins in
a given way can be at most. A bound that is never below the truth makes the search exact (A*: Hart,
Nilsson and Raphael, 1968); for CTC that is prefix search (Graves et al., ICML 2006).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

# Prefixes that are looked at in an image before the search gives up: it can be out of its depth
# where nothing that the grammar lets through is anywhere near what the image shows.
_MOST = 2000


class Grammar(Protocol):
    """Which texts there can be."""

    def begins(self, prefix: str) -> bool:
        """Whether a text that fits may begin so; True for every beginning of one that fits."""

    def fits(self, text: str) -> bool:
        """Whether this can be the whole text."""


class Anything:
    """The grammar that lets every text through."""

    def begins(self, prefix: str) -> bool:
        """Every text may."""
        return True

    def fits(self, text: str) -> bool:
        """Every text does."""
        return True


class Prefix(Protocol):
    """The beginning of a text in an image, and what the scores say of it, as logarithms."""

    @property
    def whole(self) -> float:
        """Of the probability of the text that ends here."""

    @property
    def bound(self) -> float:
        """No text that goes on from here is more probable than this."""

    def extended(self) -> Iterator[tuple[int, Prefix]]:
        """Each class of a character that can stand next, and the prefix with it."""


def by_position(steps: Tensor, ends: Tensor) -> Iterator[Prefix]:
    """The empty text of each image, for a loss whose positions are independent of each other.

    steps: (N, L, characters), of each character at each position; ends: (N, L + 1), that the text
    ends behind so many; both natural logarithms. The bounds are exact.
    """
    for of_image, ending in zip(steps.numpy(), ends.numpy(), strict=True):
        # What is best from each position on: to end there, or its best character and the next.
        ahead = ending.copy()
        for position in reversed(range(len(of_image))):
            goes_on = of_image[position].max() + ahead[position + 1]
            ahead[position] = max(ending[position], goes_on)
        yield _Positions(of_image, ending, ahead, 0, 0.0)


class _Positions(NamedTuple):
    """A text's first positions; what its fields hold is as above. log_p: of these."""

    steps: npt.NDArray[np.float64]
    ends: npt.NDArray[np.float64]
    ahead: npt.NDArray[np.float64]
    length: int
    log_p: float

    @property
    def whole(self) -> float:
        return self.log_p + float(self.ends[self.length])

    @property
    def bound(self) -> float:
        return self.log_p + float(self.ahead[self.length])

    def extended(self) -> Iterator[tuple[int, Prefix]]:
        if self.length < len(self.steps):
            for character, log_p in enumerate(self.steps[self.length].tolist()):
                yield (
                    character,
                    self._replace(length=self.length + 1, log_p=self.log_p + log_p),
                )


class Found(NamedTuple):
    """A text and the natural logarithm of its probability."""

    text: str
    log_p: float


def best_first(start: Prefix, charset: str, wanted: int, grammar: Grammar) -> list[Found]:
    """Up to `wanted` texts that fit, the most probable first.

    Fewer where there are fewer, or where the search gives up (2,000 prefixes); those found by then
    are still the most probable ones.
    """
    ties = count()  # of equally probable ones the first found
    # A prefix with what may still come of it, or a text that ends, whose entry has no prefix.
    heap: list[tuple[float, int, str, Prefix | None]] = []

    def push(text: str, prefix: Prefix) -> None:
        if prefix.bound > -math.inf:
            heapq.heappush(heap, (-prefix.bound, next(ties), text, prefix))

    push("", start)
    found: list[Found] = []
    looked_at = 0
    while heap and len(found) < wanted and looked_at < _MOST:
        least, _, text, prefix = heapq.heappop(heap)
        if prefix is None:
            found.append(Found(text, -least))
            continue
        looked_at += 1
        if prefix.whole > -math.inf and grammar.fits(text):
            heapq.heappush(heap, (-prefix.whole, next(ties), text, None))
        for character, longer in prefix.extended():
            if grammar.begins(more := text + charset[character]):
                push(more, longer)
    return found
