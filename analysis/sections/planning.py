"""How many seeds and images a difference would need."""

from __future__ import annotations

from analysis.page.formats import percent
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter
from analysis.statistics.comparison import Comparison
from analysis.statistics.planning import Components, images_needed

_SEEDS = (2, 3, 5, 8, 16)
_POINTS = (1, 2, 3)


@register("planning", place=40)
def write_planning(page: Page, chapter: Chapter) -> None:
    """The parts of the spread, and the planner, of the pair that the answer is about."""
    pair = chapter.headline
    if pair is None or (pair.components is None and pair.sample is None):
        return
    whole = pair.components is not None
    page.text(f"### {'How many seeds and images?' if whole else 'What other training images do'}")
    if pair.sample is not None:
        page.text(_sample(chapter, pair, pair.sample))
    if pair.components is not None:
        _tables(page, chapter, pair, pair.components)


def _sample(chapter: Chapter, pair: Comparison, variance: float) -> str:
    """What other training images do to the difference, as far as folds can tell."""
    first, second = chapter.names[pair.first], chapter.names[pair.second]
    return (
        f"Between folds, whose runs learnt from other images, `{first}` minus `{second}` moves by "
        f"a standard deviation of {100 * variance**0.5:.2f} points more than their test images "
        "explain: the part of the training sample"
        + f" and of {'the seed, which is one' if pair.seeds == 1 else 'the seeds'}. "
        + "Folds share most of what they learn from, so that wholly other samples may do more."
    )


def _tables(page: Page, chapter: Chapter, pair: Comparison, found: Components) -> None:
    first, second = chapter.names[pair.first], chapter.names[pair.second]
    # Identical images are one.
    images = pair.difference.groups
    seed, image, both = found.seed, found.image / images, found.both / images
    whole = (seed + image + both) or float("nan")
    page.text(
        f"Where the spread of `{first}` minus `{second}` comes from, for one seed on "
        f"{images:,} different images."
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
        plain=(
            "The largest part says what to have more of: seeds, that is repetitions of the "
            "training, or test images."
        ),
    )
    page.text(
        "How many different test images would show a true difference four times out of five, at "
        "5%, with a spread like this one and as many arms as here. Where there is no number more "
        "images do not help: more seeds do."
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
        plain=(
            "Before the next comparison, look up the difference that matters, and take as "
            "many seeds and images as it asks for."
        ),
    )
