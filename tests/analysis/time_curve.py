"""The figure of accuracy against core time, from the kept tables.

    .venv/bin/python -m tests.analysis.time_curve

writes analysis/reference/time.png from time.csv (validation by epoch) and best.csv (what is read
together). U is the time of one run of `ablation` (ctc) on one core.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analysis.page.style import render, style

REFERENCE = Path(__file__).parents[2] / "analysis/reference"


def costs(curves: pd.DataFrame) -> dict[str, float]:
    """U of one whole run of each arm of `speedrun`, by its loss."""
    ends = curves.groupby("arm")["u"].max()
    return {loss: float(ends[f"speedrun, {loss}"]) for loss in ("ctc", "ce_stop")}


def together(curves: pd.DataFrame, best: pd.DataFrame) -> pd.DataFrame:
    """U and leak-free dev of one run of either loss (the mean of three seeds) and of ensembles."""
    cost = costs(curves)
    runs = best[best["members"].isna()].set_index("run_id")
    rows = [
        {"what": f"{loss}, one", "u": cost[loss], "clean": made["test_clean"].mean()}
        for loss, made in runs.groupby("loss")
    ]
    for _, ensemble in best[best["members"].notna()].iterrows():
        losses = runs.loc[ensemble["members"].split(), "loss"]
        name = f"{losses.iloc[0]}, three" if losses.nunique() == 1 else "all six"
        u = sum(cost[loss] for loss in losses)
        rows.append({"what": name, "u": u, "clean": ensemble["test_clean"]})
    return pd.DataFrame(rows).sort_values("u", ignore_index=True)


def drawn(curves: pd.DataFrame, best: pd.DataFrame) -> Figure:
    """Left: validation so far, by epoch, of single runs. Right: leak-free dev of what has ended."""
    with style():
        figure = Figure(figsize=(12, 5), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[1, 1])
        for arm, curve in curves.groupby("arm", sort=False):
            dashes = "--" if "ce_stop" in str(arm) else "-"
            colour = "C0" if str(arm).startswith("speedrun") else "C7"
            left.plot(curve["u"], 100 * curve["val"].cummax(), dashes, color=colour, label=arm)
        left.set(xlabel="U", ylabel="exact match on validation so far, %", ylim=(60, 97))
        left.legend(title="")
        points = together(curves, best)
        for _, point in points.iterrows():
            right.plot(point["u"], 100 * point["clean"], "o", color="C0")
            right.annotate(
                point["what"], (point["u"], 100 * point["clean"]), (6, -4),
                textcoords="offset points",
            )  # fmt: skip
        right.set(xlabel="U", ylabel="exact match, leak-free dev, %", xlim=(0, 6), ylim=(91, 96))
    return figure


def main() -> None:
    """Draw it anew."""
    curves, best = (pd.read_csv(REFERENCE / f"{name}.csv") for name in ("time", "best"))
    (REFERENCE / "time.png").write_bytes(render(drawn(curves, best)).png)


if __name__ == "__main__":
    main()
