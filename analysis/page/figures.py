"""The report's figures, each from a tidy table: no numbers are made here.

An arm looks the same in all of them: see names.looks. Shares come in 0..1 and are drawn in percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.page.arm_names import PLAIN, Look
from analysis.page.style import ROW, grid, legend, logarithmic, name_rows, panels, spread, style
from analysis.statistics.intervals import Interval

_CLAIM = "#D55E00"
_PEOPLE = "#009E73"
_MARKS = "osD"
# Of the highest count: light enough for black numbers on it.
_MOST = "#56B4E9"
# What stands under a forest plot that has squares.
OF_ONE_SEED = " Squares: of one seed, for which alone the interval holds."

Looks = Mapping[str, Look]
Names = Mapping[str, str]


@dataclass(frozen=True)
class Reference:
    """What a panel is held against: a line with its interval."""

    what: str
    interval: Interval


def differences(pairs: pd.DataFrame, claimed: float | None) -> Figure:
    """A forest plot of paired differences, in points.

    pairs: first, second, estimate, low, high (first minus second), shown (drawn filled), one_seed
        (drawn as a square).
    claimed: a difference that was claimed.
    """
    with style():
        figure, (axis,) = panels(1, 1.5 + ROW * len(pairs))
        for place, pair in enumerate(pairs.to_dict("records")):
            axis.plot([100 * pair["low"], 100 * pair["high"]], [place] * 2, color="black", lw=2)
            face = "black" if pair["shown"] else "white"
            axis.plot(
                [100 * pair["estimate"]], [place], "s" if pair["one_seed"] else "o", color="black",
                markersize=8 if pair["one_seed"] else 9, markerfacecolor=face,
            )  # fmt: skip
        axis.axvline(0, color="black", linewidth=1)
        if claimed is not None:
            axis.axvline(100 * claimed, color=_CLAIM, linewidth=1.5, linestyle=(0, (5, 2)))
        names = [
            f"{first}\n− {second}"
            for first, second in zip(pairs["first"], pairs["second"], strict=True)
        ]
        name_rows(axis, names)
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("difference in exact match, points")
    return figure


def beside_people(scores: pd.DataFrame, people: Reference, looks: Looks, names: Names) -> Figure:
    """Each reader's exact match with people, a row a reader, beside that of people.

    scores: reader, what (up to three of them, the third drawn hollow), estimate, low, high.
    """
    readers, kinds = (list(dict.fromkeys(scores[c])) for c in ("reader", "what"))
    with style():
        figure, (axis,) = panels(1, 2.2 + ROW * len(readers))
        low, high = 100 * people.interval.low, 100 * people.interval.high
        axis.axvspan(low, high, color=_PEOPLE, alpha=0.18, linewidth=0)
        axis.axvline(100 * people.interval.estimate, color=_PEOPLE, lw=2, label=people.what)
        for row in scores.to_dict("records"):
            kind = kinds.index(row["what"])
            place = readers.index(row["reader"]) + 0.25 * (kind - (len(kinds) - 1) / 2)
            colour = looks.get(row["reader"], PLAIN).colour
            axis.plot([100 * row["low"], 100 * row["high"]], [place] * 2, color=colour, lw=2)
            axis.plot(
                [100 * row["estimate"]], [place], _MARKS[kind], color=colour, markersize=7,
                markerfacecolor="white" if kind == 2 else colour,
            )  # fmt: skip
        for kind, what in enumerate(kinds):
            face = "white" if kind == 2 else PLAIN.colour
            axis.plot([], [], _MARKS[kind], color=PLAIN.colour, markerfacecolor=face, label=what)
        name_rows(axis, [names.get(reader, reader) for reader in readers])
        axis.set_xlabel("exact match, percent")
        legend(figure, axis)
    return figure


def by_slice(slices: pd.DataFrame, looks: Looks, names: Names) -> Figure:
    """Exact match on parts of the images, a panel a kind of part.

    slices: arm, slice, value, images, estimate, low, high.
    """
    kinds, arms = (list(dict.fromkeys(slices[c])) for c in ("slice", "arm"))
    widths = [max(2, slices.loc[slices["slice"] == kind, "value"].nunique()) for kind in kinds]
    with style():
        figure, axes = panels(len(kinds), 4.4 + 0.2 * len(arms), widths)
        for axis, kind in zip(axes, kinds, strict=True):
            of_kind = slices[slices["slice"] == kind]
            values = sorted(set(of_kind["value"]))
            for place, arm in enumerate(arms):
                own, look = of_kind[of_kind["arm"] == arm], looks[arm]
                beside = (place - (len(arms) - 1) / 2) * 0.7 / len(arms)
                x = [values.index(value) + beside for value in own["value"]]
                axis.vlines(x, 100 * own["low"], 100 * own["high"], color=look.colour, alpha=0.6)
                axis.plot(
                    x, 100 * own["estimate"], look.marker, color=look.colour, markersize=7,
                    label=names[arm],
                )  # fmt: skip
            images = of_kind.groupby("value")["images"].max()
            axis.set_xticks(range(len(values)), [f"{v}\n({images[v]:,})" for v in values])
            axis.set_xlim(-0.6, len(values) - 0.4)
            axis.tick_params(axis="x", labelsize=11)
            axis.grid(visible=False, axis="x")
            axis.set_title(kind, fontsize=13)
        axes[0].set_ylabel("exact match, percent")
        axes[0].set_ylim(top=103)  # a mark at 100 is whole
        legend(figure, axes[0])
    return figure


def confusions(edits: Mapping[str, pd.DataFrame], characters: Sequence[str]) -> Figure:
    """What characters are read as, a panel an arm.

    edits: title of a panel -> truth, read, count; an empty text is no character.
    """
    most = max((float(table["count"].max()) for table in edits.values() if len(table)), default=1)
    with style():
        figure, axes = grid(len(edits), 1, 5.2)
        for axis, (title, table) in zip(axes, edits.items(), strict=True):
            counts = table.pivot_table(index="truth", columns="read", values="count", aggfunc="sum")
            counts = counts.reindex(index=[*characters, ""], columns=[*characters, ""])
            text = counts.map(lambda n: "" if pd.isna(n) else f"{n:.0f}" if n >= 1 else "<1")
            sns.heatmap(
                counts, ax=axis, cmap=sns.light_palette(_MOST, as_cmap=True), vmin=0, vmax=most,
                square=True, cbar=False, annot=text, fmt="",
                annot_kws={"fontsize": 11, "color": "black"},
                xticklabels=[*characters, "lost"], yticklabels=[*characters, "added"],
            )  # fmt: skip
            axis.grid(visible=False)
            for edge in (axis.axvline, axis.axhline):
                edge(len(characters), color="black", linewidth=1.5)
            axis.set(xlabel="read as", ylabel="label")
            axis.set_title(fill(title, 34), fontsize=13)
            axis.tick_params(labelsize=12, rotation=0)
            axis.get_xticklabels()[-1].set(rotation=90, fontsize=11)
            axis.get_yticklabels()[-1].set(fontsize=11)
    return figure


def calibration(
    reliability: pd.DataFrame, risk: pd.DataFrame, looks: Looks, names: Names
) -> Figure:
    """How often readings of a confidence are right, and what is wrong among the surest ones.

    reliability: arm, confidence, estimate, low, high. risk: arm, coverage, risk; several rows of
    one coverage are several runs.
    """
    arms = list(dict.fromkeys(reliability["arm"]))
    with style():
        figure, (left, right) = grid(2, 1, 4.6 + 0.2 * len(arms))
        left.plot([0, 100], [0, 100], color="black", linewidth=1)
        for arm in arms:
            own, look = reliability[reliability["arm"] == arm], looks[arm]
            x = 100 * own["confidence"]
            left.vlines(x, 100 * own["low"], 100 * own["high"], color=look.colour, alpha=0.5)
            left.plot(
                x, 100 * own["estimate"], marker=look.marker, color=look.colour, markersize=6,
                dashes=look.dashes or (None, None), label=names[arm],
            )  # fmt: skip
            kept = risk[risk["arm"] == arm]
            spread(right, 100 * kept["coverage"], 100 * kept["risk"], look, names[arm])
        left.set(
            xlabel="confidence, percent", ylabel="right, percent", xlim=(0, 102), ylim=(0, 102)
        )
        right.set(xlabel="kept, the surest first, percent", ylabel="wrong among the kept, percent")
        right.set_xlim(0, 102)
        right.set_ylim(bottom=0)
        legend(figure, left)
    return figure


def costs(table: pd.DataFrame, looks: Looks, names: Names) -> Figure:
    """Exact match and what it costs, a row an arm, costs on logarithmic axes.

    table: arm, exact_match, then a column a cost, its name that of the panel.
    """
    columns = [c for c in table.columns if c != "arm"]
    with style():
        figure, axes = panels(len(columns), 1.6 + ROW * len(table))
        for axis, column in zip(axes, columns, strict=True):
            accuracy = column == "exact_match"
            values = 100 * table[column] if accuracy else table[column]
            for place, (arm, value) in enumerate(zip(table["arm"], values, strict=True)):
                look = looks[arm]
                axis.plot([value], [place], look.marker, color=look.colour, markersize=9)
            if accuracy:
                axis.set_xlabel("exact match,\npercent", fontsize=12)
                axis.xaxis.set_major_locator(MaxNLocator(3))
                axis.margins(x=0.12)
            else:
                axis.set_xlabel(column, fontsize=12)
                logarithmic(axis, values, 3)
            axis.tick_params(axis="x", labelsize=12)
        name_rows(axes[0], [names[arm] for arm in table["arm"]])
    return figure
