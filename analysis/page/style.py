"""How all figures are drawn: at one size, in one style, without a display, the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from textwrap import fill

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.page.arm_names import Look
from analysis.page.page import Drawn

# Inches: the letters below can still be read when the page shows them at half this size.
_WIDTH = 9.0
# The height of a row that has a name: two lines of it.
ROW = 0.55
# The names' size in points, the height of a line of them, and the room between two names in inches.
_NAME, _LINE, _BETWEEN = 12, 1.25, 0.1

_STYLE = {
    **sns.axes_style("whitegrid"),
    **sns.plotting_context("notebook", font_scale=1.15),
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "svg.hashsalt": "head-to-head",
    "svg.fonttype": "path",
    "figure.facecolor": "white",
    "grid.color": "#dddddd",
    "patch.edgecolor": "none",
}


def style() -> AbstractContextManager[None]:
    """Within it figures are made and saved."""
    return mpl.rc_context(_STYLE)


def panels(across: int, height: float, widths: Sequence[float] = ()) -> tuple[Figure, list[Axes]]:
    """Panels side by side with one y axis; height in inches."""
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    axes = figure.subplots(
        1, across, sharey=True, squeeze=False, width_ratios=widths or [1] * across
    )
    return figure, list(axes[0])


def grid(across: int, down: int, height: float) -> tuple[Figure, list[Axes]]:
    """Panels with axes of their own, a row after the other; height of each in inches."""
    figure = Figure(figsize=(_WIDTH, height * down), layout="constrained")
    return figure, list(figure.subplots(down, across, squeeze=False).flatten())


def name_rows(axis: Axes, names: Sequence[str]) -> None:
    """A name a row of ROW inches, the first one at the top.

    Long names take several lines. Where one takes more than a row has room for, the figure grows,
    so that no name runs into the next.
    """
    wrapped = ["\n".join(fill(line, 38) for line in name.split("\n")) for name in names]
    axis.set_yticks(range(len(names)), wrapped)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", labelsize=_NAME)
    lines = max((name.count("\n") + 1 for name in wrapped), default=1)
    lacking = lines * _NAME * _LINE / 72 + _BETWEEN - ROW
    if lacking > 0:
        figure = axis.get_figure(root=True)
        assert figure is not None
        figure.set_figheight(figure.get_figheight() + len(names) * lacking)


def logarithmic(axis: Axes, values: pd.Series, ticks: int) -> None:
    """A logarithmic axis with a few numbers on it, even where the values are close together.

    Where a value is zero the axis stays as it is.
    """
    if values.min() <= 0:
        return
    axis.set_xscale("log")
    low, high = float(values.min()) / 1.6, float(values.max()) * 1.6
    axis.set_xlim(low, high)
    round_numbers = [m * 10.0**e for e in range(-9, 13) for m in (1, 2, 5)]
    inside = [tick for tick in round_numbers if low <= tick <= high]
    shown = inside[:: max(1, -(-len(inside) // ticks))]
    axis.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axis.set_xticks([], minor=True)


def spread(axis: Axes, x: pd.Series, y: pd.Series, look: Look, label: str) -> None:
    """A mean line, and a band from the lowest to the highest where there are several."""
    by_x = y.groupby(x)
    mean = by_x.mean()
    axis.plot(
        mean.index, mean, color=look.colour, dashes=look.dashes or (None, None), linewidth=2,
        label=label,
    )  # fmt: skip
    if by_x.size().max() > 1:
        axis.fill_between(
            mean.index, by_x.min(), by_x.max(), color=look.colour, alpha=0.2, linewidth=0
        )


def legend(figure: Figure, axis: Axes) -> None:
    """Below the panels, so that it covers nothing."""
    handles, labels = axis.get_legend_handles_labels()
    columns = 2 if max(map(len, labels), default=0) <= 40 else 1
    wrapped = [fill(label, 80 // columns) for label in labels]
    figure.legend(handles, wrapped, loc="outside lower center", ncols=columns, frameon=False)


def render(figure: Figure) -> Drawn:
    """The figure as SVG and PNG, the same bytes every time."""
    with style():
        svg, png = BytesIO(), BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=110, metadata={"Software": None})
    return Drawn(svg.getvalue(), png.getvalue())
