"""How many seeds and images a difference would need."""

from __future__ import annotations

from analysis.page.formats import percent
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.statistics.planning import images_needed

_SEEDS = (2, 3, 5, 8, 16)
_POINTS = (1, 2, 3)


@register("planning", place=40)
def write_planning(page: Page, chapter: Chapter) -> None:
    """The parts of the spread, and the planner, of the pair that the answer is about."""
    pair = chapter.headline
    if pair is None or pair.components is None:
        return
    found = pair.components
    first, second = chapter.names[pair.first], chapter.names[pair.second]
    seed, image, both = found.seed, found.image / pair.images, found.both / pair.images
    whole = (seed + image + both) or float("nan")
    page.text("### How many seeds and images?")
    page.text(
        f"Where the spread of `{first}` minus `{second}` comes from, for one seed on "
        f"{pair.images:,} images."
    )
    page.table(
        ["from", "standard deviation, points", "percent of the variance"],
        [
            [what, f"{100 * part**0.5:.2f}", percent(part / whole)]
            for what, part in (
                ("the seed", seed),
                ("the images", image),
                ("seed and image together", both),
            )
        ],
    )
    page.text(
        "How many test images would show a true difference four times out of five, at 5%, with a "
        "spread like this one and as many arms as here. Where there is no number more images do "
        "not help: more seeds do."
    )
    others = max(len(chapter.arms) - 1, 1)
    page.table(
        ["seeds", *(f"{n} point{'s' if n > 1 else ''}" for n in _POINTS)],
        [
            [
                str(seeds),
                *(
                    f"{needed:,}" if needed is not None else "none"
                    for points in _POINTS
                    for needed in [images_needed(found, points / 100, seeds, others * (seeds - 1))]
                ),
            ]
            for seeds in _SEEDS
        ],
    )
