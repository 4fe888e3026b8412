"""The report's figures, each from a tidy table: no numbers are made here.

A figure is drawn at twice the size at which it can still be read, without a display, and the same
table always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.names import Look
from analysis.page import Chart
from analysis.stats import Interval

_WIDTH = 9.0  # inches
_GREY = "#666666"
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


@dataclass(frozen=True)
class Band:
    """A reference drawn across a panel, with its interval."""

    what: str
    interval: Interval


def chart(figure: Figure, name: str, alt: str, caption: str) -> Chart:
    """The figure as SVG and PNG."""
    with mpl.rc_context(_STYLE):
        svg, png = BytesIO(), BytesIO()
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
        figure.savefig(png, format="png", dpi=110, metadata={"Software": None})
    return Chart(name, svg.getvalue(), png.getvalue(), alt, caption)


def differences(pairs: pd.DataFrame, claimed: float) -> Figure:
    """A forest plot of paired differences, in points.

    pairs: name, estimate, low, high (in 0..1), shown. claimed: the lead that was claimed.
    """
    with mpl.rc_context(_STYLE):
        figure, axes = _rows([len(pairs)])
        (axis,) = axes
        for place, pair in enumerate(pairs.itertuples()):
            ends = [100 * float(pair.low), 100 * float(pair.high)]
            axis.plot(ends, [place, place], color="black", linewidth=2)
            face = "black" if pair.shown else "white"
            axis.plot(
                [100 * float(pair.estimate)], [place], "o",
                markersize=9, markerfacecolor=face, markeredgecolor="black",
            )  # fmt: skip
        axis.axvline(0, color="black", linewidth=1)
        for lead in (-100 * claimed, 100 * claimed):
            axis.axvline(lead, color="#D55E00", linewidth=1.5, linestyle=(0, (5, 2)))
        _name_rows(axis, list(pairs["name"]))
        axis.set_xlabel("difference in exact match, points")
    return figure


def beside_people(
    scores: pd.DataFrame, agreement: Band, looks: Mapping[str, Look], names: Mapping[str, str]
) -> Figure:
    """Each reader's exact match with people, a row a reader.

    scores: reader, what (a column of the legend, two at most), estimate, low, high, in 0..1.
    """
    readers = list(dict.fromkeys(scores["reader"]))
    kinds = list(dict.fromkeys(scores["what"]))
    with mpl.rc_context(_STYLE):
        figure, axes = _rows([len(readers)], step=0.62)
        (axis,) = axes
        low, high = 100 * agreement.interval.low, 100 * agreement.interval.high
        axis.axvspan(low, high, color="#009E73", alpha=0.18, linewidth=0)
        axis.axvline(
            100 * agreement.interval.estimate, color="#009E73", linewidth=2, label=agreement.what
        )
        for row in scores.itertuples():
            first = row.what == kinds[0]
            place = readers.index(row.reader) + (-0.17 if first else 0.17)
            colour = looks[str(row.reader)].colour if row.reader in looks else _GREY
            axis.plot(
                [100 * float(row.low), 100 * float(row.high)], [place] * 2,
                color=colour, linewidth=2,
            )  # fmt: skip
            axis.plot(
                [100 * float(row.estimate)], [place], "o" if first else "D",
                markersize=8, markeredgecolor=colour, markerfacecolor=colour if first else "white",
            )  # fmt: skip
        for kind, marker, face in zip(kinds, "oD", (_GREY, "white"), strict=False):
            axis.plot([], [], marker, color=_GREY, markerfacecolor=face, label=kind)
        _name_rows(axis, [names.get(reader, reader) for reader in readers])
        axis.set_xlabel("exact match, percent")
        _legend(figure, *axis.get_legend_handles_labels(), columns=1)
    return figure


def by_slice(slices: pd.DataFrame, looks: Mapping[str, Look], names: Mapping[str, str]) -> Figure:
    """Exact match on parts of the images, a panel a kind of part.

    slices: arm, slice, value, images, estimate, low, high.
    """
    kinds = list(dict.fromkeys(slices["slice"]))
    arms = list(dict.fromkeys(slices["arm"]))
    widths = [max(2, slices.loc[slices["slice"] == kind, "value"].nunique()) for kind in kinds]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4.6 + 0.32 * len(arms)), layout="constrained")
        axes = figure.subplots(1, len(kinds), sharey=True, width_ratios=widths, squeeze=False)[0]
        for axis, kind in zip(axes, kinds, strict=True):
            of_kind = slices[slices["slice"] == kind]
            values = sorted(set(of_kind["value"]))
            step = 0.7 / max(1, len(arms))
            for place, arm in enumerate(arms):
                own = of_kind[of_kind["arm"] == arm]
                x = [values.index(v) + (place - (len(arms) - 1) / 2) * step for v in own["value"]]
                y, look = 100 * own["estimate"], looks[arm]
                axis.vlines(x, 100 * own["low"], 100 * own["high"], color=look.colour, alpha=0.6)
                axis.plot(x, y, look.marker, color=look.colour, label=names[arm], markersize=7)
            counts = of_kind.groupby("value")["images"].max()
            axis.set_xticks(range(len(values)), [f"{v}\n{counts[v]:,}" for v in values])
            axis.tick_params(axis="x", labelsize=11)
            axis.grid(visible=False, axis="x")
            axis.set_xlim(-0.6, len(values) - 0.4)
            axis.set_title(kind, fontsize=13)
        axes[0].set_ylabel("exact match, percent")
        axes[0].set_ylim(top=101)
        axes[0].set_xlabel("below: images", fontsize=11, loc="left")
        _legend(figure, *axes[0].get_legend_handles_labels())
    return figure


def confusions(edits: Mapping[str, pd.DataFrame], characters: Sequence[str]) -> Figure:
    """What characters are read as, a panel an arm.

    edits: panel title -> table of truth, read, count; an empty text is no character.
    """
    most = max((float(t["count"].max()) for t in edits.values() if len(t)), default=1.0)
    across = min(2, len(edits))
    down = -(-len(edits) // across)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 5.0 * down if across > 1 else 7), layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).flatten()
        for axis, (title, table) in zip(axes, edits.items(), strict=False):
            grid = table.pivot_table(index="truth", columns="read", values="count", aggfunc="sum")
            grid = grid.reindex(index=[*characters, ""], columns=[*characters, ""])
            text = grid.map(lambda n: "" if pd.isna(n) else f"{n:.0f}" if n >= 1 else "<1")
            sns.heatmap(
                grid, ax=axis, cmap="Blues", vmin=0, vmax=most, square=True, cbar=False,
                annot=text, fmt="", annot_kws={"fontsize": 11}, linewidths=0.5,
                linecolor="#eeeeee", xticklabels=[*characters, "lost"],
                yticklabels=[*characters, "added"],
            )  # fmt: skip
            for line in (axis.axvline, axis.axhline):
                line(len(characters), color="black", linewidth=1.5)
            axis.set(xlabel="read as", ylabel="truth")
            axis.set_title(fill(title, 34), fontsize=13)
            axis.tick_params(labelsize=12)
            axis.tick_params(axis="x", rotation=0)
            axis.tick_params(axis="y", rotation=0)
            for label in (axis.get_xticklabels()[-1], axis.get_yticklabels()[-1]):
                label.set(rotation=90, fontsize=11)
        for axis in axes[len(edits) :]:
            axis.set_axis_off()
    return figure


def trust(
    reliability: pd.DataFrame,
    risk: pd.DataFrame,
    looks: Mapping[str, Look],
    names: Mapping[str, str],
) -> Figure:
    """How often readings of a confidence are right, and what is wrong among the surest ones.

    reliability: arm, confidence, estimate, low, high. risk: arm, coverage, risk; several rows of
    one coverage are several runs.
    """
    arms = list(dict.fromkeys(reliability["arm"]))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4.8 + 0.32 * len(arms)), layout="constrained")
        left, right = figure.subplots(1, 2)
        left.plot([0, 100], [0, 100], color="black", linewidth=1)
        for arm, own in reliability.groupby("arm", sort=False):
            look = looks[str(arm)]
            x, y = 100 * own["confidence"], 100 * own["estimate"]
            left.vlines(x, 100 * own["low"], 100 * own["high"], color=look.colour, alpha=0.5)
            left.plot(
                x, y, marker=look.marker, color=look.colour, dashes=look.dashes or (None, None),
                label=names[str(arm)], markersize=6,
            )  # fmt: skip
        left.set(xlabel="confidence, percent", ylabel="right, percent", xlim=(0, 102), ylim=(0, 102))
        for arm, own in risk.groupby("arm", sort=False):
            _spread(right, 100 * own["coverage"], 100 * own["risk"], looks[str(arm)], "")
        right.set(xlabel="kept, the surest first, percent", ylabel="wrong among the kept, percent")
        right.set_xlim(0, 102)
        right.set_ylim(bottom=0)
        _legend(figure, *left.get_legend_handles_labels())
    return figure


def learning_curves(
    curves: pd.DataFrame, looks: Mapping[str, Look], names: Mapping[str, str]
) -> Figure:
    """Validation by epoch: the mean over seeds, and from the lowest to the highest.

    curves: arm, epoch (from 1), exact_match in 0..1; several rows of an epoch are several seeds.
    """
    arms = list(dict.fromkeys(curves["arm"]))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4.8 + 0.32 * len(arms)), layout="constrained")
        axis = figure.subplots()
        for arm, own in curves.groupby("arm", sort=False):
            look = looks[str(arm)]
            _spread(axis, own["epoch"], 100 * own["exact_match"], look, names[str(arm)])
        axis.set(xlabel="epoch", ylabel="exact match on validation, percent", ylim=(0, 101))
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        _legend(figure, *axis.get_legend_handles_labels())
    return figure


def costs(table: pd.DataFrame, looks: Mapping[str, Look], names: Mapping[str, str]) -> Figure:
    """Exact match against what it costs, a panel a cost, on logarithmic axes.

    table: arm, exact_match in 0..1, then a column a cost, its name the axis label.
    """
    columns = [c for c in table.columns if c not in ("arm", "exact_match")]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, 4.4 + 0.32 * len(table)), layout="constrained")
        axes = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
        for axis, column in zip(axes, columns, strict=True):
            for row in table.to_dict("records"):
                look = looks[row["arm"]]
                axis.plot(
                    [row[column]], [100 * row["exact_match"]], look.marker, markersize=10,
                    alpha=0.85, color=look.colour, label=names[row["arm"]],
                    markeredgecolor="white",
                )  # fmt: skip
            axis.set_xlabel(column)
            _logarithmic(axis, table[column])
        axes[0].set_ylabel("exact match, leak-free test, percent")
        _legend(figure, *axes[0].get_legend_handles_labels())
    return figure


def _spread(axis: Axes, x: pd.Series, y: pd.Series, look: Look, label: str) -> None:
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


def _rows(counts: Sequence[int], step: float = 0.55) -> tuple[Figure, list[Axes]]:
    """A panel each, as high as its rows, one below the other."""
    figure = Figure(figsize=(_WIDTH, sum(1.6 + step * n for n in counts)), layout="constrained")
    axes = figure.subplots(len(counts), 1, squeeze=False, height_ratios=counts)
    return figure, list(axes[:, 0])


def _name_rows(axis: Axes, names: Sequence[str]) -> None:
    axis.set_yticks(range(len(names)), [fill(name, 36) for name in names])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", labelsize=12)


def _logarithmic(axis: Axes, values: pd.Series) -> None:
    """A logarithmic axis with numbers on it even where the values are close to each other."""
    axis.set_xscale("log")
    low, high = float(values.min()), float(values.max())
    axis.set_xlim(low / 1.6, high * 1.6)
    ticks = [m * 10.0**e for e in range(-4, 13) for m in (1, 2, 5)]
    shown = [t for t in ticks if low / 1.6 <= t <= high * 1.6]
    shown = shown[:: -(-len(shown) // 4)]
    axis.set_xticks(shown, [f"{t:g}" for t in shown])
    axis.set_xticks([], minor=True)


def _legend(
    figure: Figure, handles: Sequence[object], labels: Sequence[str], columns: int = 0
) -> None:
    """Below the panels, so that it covers nothing."""
    longest = max(map(len, labels), default=0)
    columns = columns or (2 if longest <= 40 else 1)
    wrapped = [fill(label, 80 if columns == 1 else 40) for label in labels]
    figure.legend(handles, wrapped, loc="outside lower center", ncols=columns, frameon=False)  # type: ignore[arg-type]
