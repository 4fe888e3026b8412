"""What the chapters of the report are: each writes its part of a page, and has its place there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from analysis.page.page import Page
from analysis.sections.chapter import Chapter

Write = Callable[[Page, Chapter], None]

# Name -> (place, what writes it).
_WRITERS: dict[str, tuple[float, Write]] = {}

_Write = TypeVar("_Write", bound=Write)


def register(name: str, place: float) -> Callable[[_Write], _Write]:
    """Make a chapter part of every report, behind those of a lower place.

    The verdict is at 10, where the numbers come from at 120; those between are tens.
    """

    def add(write: _Write) -> _Write:
        if name in _WRITERS:
            raise ValueError(f"two chapters are called {name!r}")
        _WRITERS[name] = (place, write)
        return write

    return add


def writers() -> dict[str, Write]:
    """Every chapter by its name, in the order of the report."""
    ordered = sorted(_WRITERS, key=lambda name: (_WRITERS[name][0], name))
    return {name: _WRITERS[name][1] for name in ordered}
