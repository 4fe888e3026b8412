"""What a number may look like, for readings that can be nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Literal

# Characters of a text that anybody writes into a cell, and more.
LONGEST = 100

_PARTS = re.compile(r"(-?)([0-9]*)(?:([.,])([0-9]*))?")


@dataclass(frozen=True, kw_only=True)
class NumberFormat:
    """Digits, and a point or a comma between digits; a minus in front.

    sign: whether there may be a minus.
    decimals: how many digits behind the point there are at least and at most; without any there is
        no point either.
    low, high: the least and the greatest value; None for no such bound.
    """

    sign: Literal["never", "optional", "always"] = "optional"
    decimals: tuple[int, int] = (0, 20)
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        least, most = self.decimals
        if not 0 <= least <= most <= LONGEST:
            raise ValueError(f"decimals go up from 0 to {LONGEST}, not from {least} to {most}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"nothing lies between {self.low} and {self.high}")

    def fits(self, text: str) -> bool:
        """Whether this is such a number."""
        parts = _PARTS.fullmatch(text)
        if parts is None or not parts[2] or (parts[3] and not parts[4]):
            return False
        least, most = self.decimals
        if not least <= len(parts[4] or "") <= most or not self._may_have(parts[1], whole=True):
            return False
        value = Decimal(text.replace(",", "."))
        return self._between(value, value)

    def begins(self, prefix: str) -> bool:
        """Whether such a number may begin so."""
        parts = _PARTS.fullmatch(prefix)
        if parts is None or not self._may_have(parts[1], whole=bool(parts[2])):
            return False
        if not parts[2]:
            return not parts[3]
        if parts[3] and (not self.decimals[1] or len(parts[4]) > self.decimals[1]):
            return False
        # What it becomes is no nearer to 0; behind a point there is room for nines alone.
        nearest = abs(Decimal(prefix.replace(",", ".").rstrip(".")))
        places = (-len(parts[4] or ""), -self.decimals[1])
        nines = Decimal(1).scaleb(places[0]) - Decimal(1).scaleb(places[1])
        farthest = nearest + nines if parts[3] else Decimal("Infinity")
        return self._between(*((-farthest, -nearest) if parts[1] else (nearest, farthest)))

    def _may_have(self, minus: str, *, whole: bool) -> bool:
        """whole: there are digits, so that no minus can come any more."""
        return self.sign != "never" if minus else self.sign != "always" or not whole

    def _between(self, least: Decimal, most: Decimal) -> bool:
        """Whether any of these is within the bounds."""
        low, high = (None if x is None else Decimal(str(x)) for x in (self.low, self.high))
        return (low is None or most >= low) and (high is None or least <= high)


@dataclass(frozen=True)
class AllowedValues:
    """One of these texts."""

    values: frozenset[str]

    @cached_property
    def _beginnings(self) -> frozenset[str]:
        return frozenset(text[:n] for text in self.values for n in range(len(text) + 1))

    def fits(self, text: str) -> bool:
        """Whether it is one of them."""
        return text in self.values

    def begins(self, prefix: str) -> bool:
        """Whether one of them begins so."""
        return prefix in self._beginnings
