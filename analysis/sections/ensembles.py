"""What reading together brought."""

from __future__ import annotations

from analysis.findings.ensembles import Ensemble, ensembles
from analysis.page.formats import percent, points, signed
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import Chapter


@register("ensembles", place=70)
def write_ensembles(page: Page, chapter: Chapter) -> None:
    """A row an ensemble; nothing where there is none."""
    if not (found := ensembles(chapter.section, chapter.results)):
        return
    scores = ["val", "leak-free test", "agreed"]
    costs = ["training", "reading", "parameters"]
    page.text("### Read together")
    page.text(
        "Runs whose probabilities are put together, or those of several views of an image, beside "
        "the best member by `val`. Exact match in percent (`val`: on images that no member learnt "
        "from, their number behind it; seeds have validation parts of their own); the gain in "
        "points on the leak-free test images with its 95% interval, for these very runs; the cost "
        "as a multiple. Which runs read together was not chosen here, and nothing is corrected for "
        "the number of rows."
    )
    page.table(
        ["together", "beside", *scores, "gain", "95% interval", "shown?", *costs],
        [
            [
                *(one.what, one.beside, _validated(one), percent(one.clean), percent(one.agreed)),
                *(signed(one.difference.estimate), points(one.difference)),
                "yes" if one.difference.low > 0 or one.difference.high < 0 else "no",
                *(f"{times:.1f}x" for times in (one.training, one.reading, one.parameters)),
            ]
            for one in found
        ],
        texts=2,
        plain=(
            "What reads better when several models, or views of an image, are put together, and "
            "how many times the work it is."
        ),
    )


def _validated(one: Ensemble) -> str:
    return percent(one.val) + (f" ({one.val_images})" if one.val_images else "")
