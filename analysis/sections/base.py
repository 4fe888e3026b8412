"""What the chapters of the report are: each writes its part of a page, and has its place there."""

from __future__ import annotations

from collections.abc import Callable

from analysis.page.page import Page
from analysis.plugins import Plugins
from analysis.sections.chapter import Chapter

Write = Callable[[Page, Chapter], None]

# Name -> (place, what writes it).
SECTIONS: Plugins[tuple[float, Write]] = Plugins("chapters")


def register(name: str, place: float) -> Callable[[Write], Write]:
    """Make a chapter part of every report, behind those of a lower place.

    The verdict is at 10, where the numbers come from at 120; those between are tens.
    """

    def add(write: Write) -> Write:
        SECTIONS.register(name)((place, write))
        return write

    return add


def writers() -> dict[str, Write]:
    """Every chapter by its name, in the order of the report."""
    ordered = sorted(SECTIONS, key=lambda name: (SECTIONS[name][0], name))
    return {name: SECTIONS[name][1] for name in ordered}
