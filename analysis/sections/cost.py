"""What an arm costs, and how fast it learns."""

from __future__ import annotations

from functools import partial

import pandas as pd

from analysis.page import curves, figures
from analysis.page.formats import amount, mean_and_spread
from analysis.page.page import Page
from analysis.sections.base import register
from analysis.sections.chapter import ROWS, Chapter

# Column of the runs -> head of the table.
_COSTS = {
    "metrics.cost.parameters": "parameters",
    "metrics.cost.multiply_adds": "multiply-adds",
    "metrics.cost.latency_ms": "ms an image",
    "metrics.cost.latency_ms_batch32": "ms an image of 32",
    "metrics.train.seconds": "training, s",
}
_DRAWN = {
    "parameters": "parameters,\nmillions",
    "ms an image": "milliseconds\nan image",
    "training, s": "training,\nminutes",
}
_SCALE = {"parameters": 1e-6, "training, s": 1 / 60}
_CURVE = "epoch/val.exact_match"
# What MLflow's system metrics call the power of a GPU; they read no CPU's.
_POWER = r"metrics\.(system/gpu_\d+_power_usage_watts)"


@register("cost", place=110)
def write_cost(page: Page, chapter: Chapter) -> None:
    """Accuracy against cost, then learning curves."""
    runs = chapter.section.runs
    page.text("### Cost")
    reported = {column: head for column, head in _COSTS.items() if column in runs}
    means = runs.groupby("label")[list(reported)].mean().rename(columns=reported)
    table = means.reindex(list(chapter.arms["label"]))
    table.insert(0, "exact_match", chapter.arms.set_index("label")["test_clean"])
    energy = _energy(chapter)
    _chart(page, chapter, table)
    heads = list(reported.values())
    spread = chapter.arms.set_index("label")["test_clean_sd"]
    page.table(
        ["arm", "leak-free test", *heads, *(["energy, Wh"] if len(energy) else [])],
        [
            [
                chapter.names[label],
                mean_and_spread(row["exact_match"], spread[label]),
                *(amount(row[head]) for head in heads),
                *([amount(energy.get(label, float("nan")))] if len(energy) else []),
            ]
            for label, row in zip(chapter.arms["label"], table.to_dict("records"), strict=True)
        ],
        plain=(
            "What each arm gives for what it takes: of two that read about as well the "
            "cheaper one is the better choice."
        ),
    )
    threads = sorted(set(runs.get("metrics.cost.threads", pd.Series(dtype=float)).dropna()))
    page.text(
        "A mean over runs. Times are those of the machine and the moment: other work beside a run "
        "slows them"
        + (f"; read with {' or '.join(f'{n:.0f}' for n in threads)} CPU threads" if threads else "")
        + ". "
        + (
            "Energy is a GPU's mean power times the seconds of training: no CPU is in it."
            if len(energy)
            else "No energy is reported: only a GPU's power is read, and no run had one."
        )
    )
    if lacking := [head for column, head in _COSTS.items() if column not in reported]:
        page.text(f"No run has logged: {', '.join(lacking)}.")
    _curves(page, chapter)


def _chart(page: Page, chapter: Chapter, table: pd.DataFrame) -> None:
    columns = [c for c in _DRAWN if c in table]
    first = list(dict.fromkeys([*chapter.drawn, *table.index]))[:ROWS]
    shown = table.loc[first, ["exact_match", *columns]].dropna()
    if shown.empty or not columns:
        page.text("No run has logged what it costs.")
        return
    shown = shown.sort_values("exact_match", ascending=False, kind="stable")
    shown = shown.assign(**{c: shown[c] * _SCALE.get(c, 1) for c in columns})
    left = len(table) - len(shown)
    drawn = shown.rename_axis("arm").reset_index()
    page.chart(
        chapter.chart(
            partial(figures.costs, drawn.rename(columns=_DRAWN), chapter.looks, chapter.names),
            drawn,
            "cost",
            f"Exact match of {len(shown)} arms beside {', '.join(columns)}; "
            "the same numbers stand in the table below.",
            "Exact match on the leak-free test images beside what it costs, the best first; means "
            "over runs. Costs stand on logarithmic axes."
            + (f" {left} more arms stand in the table only." if left else ""),
        )
    )


def _curves(page: Page, chapter: Chapter) -> None:
    runs = chapter.section.runs
    drawn = runs[runs["label"].isin(chapter.drawn)]
    history = chapter.results.history(list(drawn.index.astype(str)), _CURVE)
    page.text("#### Learning curves")
    if history.empty:
        page.text("No curves are at hand.")
        return
    grown = pd.DataFrame(
        {
            "arm": history["run_id"].map(drawn["label"]),
            "epoch": history["step"] + 1,
            "exact_match": history["value"],
        }
    )
    # By the arm: one machine may have been busy, and seeds are to share their places.
    each = drawn["metrics.train.seconds"] / 60 / history.groupby("run_id").size()
    grown["minutes"] = grown["epoch"] * grown["arm"].map(each.groupby(drawn["label"]).mean())
    grown["arm"] = pd.Categorical(grown["arm"], chapter.drawn)
    grown = grown.sort_values("arm", kind="stable").astype({"arm": str})
    last = grown["epoch"].max()
    page.chart(
        chapter.chart(
            partial(curves.learning_curves, grown, chapter.looks, chapter.names),
            grown,
            "learning",
            f"Exact match on validation by epoch, up to epoch {last}, and by minutes, for "
            + ", ".join(chapter.names[arm] for arm in dict.fromkeys(grown["arm"]))
            + ".",
            "Exact match on the validation part by epoch, and by the minutes that training took "
            "up to there: the mean over seeds and folds, shaded from the lowest to the highest. "
            "Minutes are those of the machines that made the runs, whatever else they did. The "
            "epoch that was kept is the best of these, and no test image had a say in it.",
        )
    )


def _energy(chapter: Chapter) -> pd.Series:
    """Watt-hours a run that training took on GPUs, a mean over the runs of a label."""
    runs = chapter.section.runs
    keys = runs.columns.str.extract(_POWER)[0].dropna()
    watts = pd.Series(0.0, index=runs.index)
    for key in keys:
        history = chapter.results.history(list(runs.index.astype(str)), key)
        watts = watts.add(history.groupby("run_id")["value"].mean(), fill_value=0)
    hours = runs["metrics.train.seconds"] / 3600 if len(keys) else watts
    return (watts * hours)[watts > 0].groupby(runs["label"]).mean()
