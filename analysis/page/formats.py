"""Numbers as the report has them."""

from __future__ import annotations

import pandas as pd

from analysis.statistics.intervals import Interval


def signed(difference: float) -> str:
    """A difference of shares, in points; adding 0 takes the sign from a zero."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def points(interval: Interval) -> str:
    """The ends of a difference's interval, in points."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def p_value(p: float) -> str:
    """A p-value, and where it is very small, below what it is."""
    return "< 0.001" if p < 0.001 else f"{p:.{3 if p < 0.1 else 2}f}"


def p_is(p: float) -> str:
    """The same in a sentence."""
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"


def percent(share: float, digits: int = 1) -> str:
    """A share in percent; nothing for nan."""
    return "" if pd.isna(share) else f"{100 * share:.{digits}f}"


def percent_interval(interval: Interval) -> str:
    """A share in percent and the ends of its interval."""
    return f"{percent(interval.estimate)} ({percent(interval.low)} to {percent(interval.high)})"


def mean_and_spread(mean: float, spread: float) -> str:
    """Shares in percent: a mean, and a standard deviation where there is one."""
    shown, around = percent(mean), percent(spread)
    return f"{shown} ± {around}" if around else shown


def amount(number: float) -> str:
    """A number of any size to three figures, large ones in thousands or millions."""
    if pd.isna(number):
        return ""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 seed`, `2 seeds`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
