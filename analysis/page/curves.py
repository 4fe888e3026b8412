"""The report's figures of how a score grows: by epoch, time, training images, what was spent.

From tidy tables, as in figures.py. Shares come in 0..1 and are drawn in percent.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.page.arm_names import looks
from analysis.page.figures import Looks, Names
from analysis.page.style import legend, logarithmic, panels, spread, style


def learning_curves(curves: pd.DataFrame, looks: Looks, names: Names) -> Figure:
    """Validation by epoch and by time: the mean over seeds, and from the lowest to the highest.

    curves: arm, epoch (from 1), minutes (of training up to there, the same for all seeds of an arm;
    missing where it is not known), exact_match; several rows of an epoch are several seeds.
    """
    arms = list(dict.fromkeys(curves["arm"]))
    with style():
        figure, axes = panels(2, 4.6 + 0.2 * len(arms))
        for axis, x in zip(axes, ("epoch", "minutes"), strict=True):
            for arm in arms:
                own = curves[curves["arm"] == arm].dropna(subset=[x])
                spread(axis, own[x], 100 * own["exact_match"], looks[arm], names[arm])
        axes[0].set(xlabel="epoch", ylabel="exact match on validation, percent", ylim=(0, 101))
        axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[1].set(xlabel="minutes of training", xlim=(0, None))
        legend(figure, axes[0])
    return figure


def by_images(scores: pd.DataFrame, looks: Looks, names: Names) -> Figure:
    """Exact match by the number of training images: the mean over seeds, lowest to highest.

    scores: arm, images, exact_match; several rows of an arm and number are several seeds.
    """
    arms = list(dict.fromkeys(scores["arm"]))
    with style():
        figure, (axis,) = panels(1, 4.6 + 0.2 * len(arms))
        for arm in arms:
            own = scores[scores["arm"] == arm]
            spread(axis, own["images"], 100 * own["exact_match"], looks[arm], names[arm])
            means = own.groupby("images")["exact_match"].mean()
            axis.plot(
                means.index, 100 * means, looks[arm].marker, color=looks[arm].colour, markersize=8
            )
        axis.set(xlabel="training images", ylabel="exact match, leak-free test, percent")
        logarithmic(axis, scores["images"], 8)
        legend(figure, axis)
    return figure


def budget(table: pd.DataFrame) -> Figure:
    """The best score so far against what it cost, a line a study.

    table: study, epochs (trained so far), best.
    """
    studies = list(dict.fromkeys(table["study"]))
    drawn = looks(studies)
    with style():
        figure, (axis,) = panels(1, 4.6 + 0.2 * len(studies))
        for study in studies:
            own, look = table[table["study"] == study], drawn[study]
            axis.step(
                own["epochs"], 100 * own["best"], where="post", color=look.colour, linewidth=2,
                dashes=look.dashes or (None, None), marker=look.marker, markersize=5, label=study,
            )  # fmt: skip
        axis.set(xlabel="epochs trained", ylabel="best on validation so far, percent")
        axis.set_ylim(bottom=0)
        legend(figure, axis)
    return figure
