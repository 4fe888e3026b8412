"""A run an arm beside those that were trained, for MLflow's pages to sort and to chart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from experiments.records.tracker import ARM, Tracker

if TYPE_CHECKING:
    import pandas as pd

_TAGS = ("dataset", "data_digest", "split", "loss")
# The most seeds that an arm ever had.
_SEEDS = "most_seeds"


def record_arms(arms: pd.DataFrame, tracker: Tracker) -> None:
    """Put each arm of a report on record.

    arms: as of `analysis.report.arms`; its numbers become metrics, at the step of how many seeds
        there are, or at the last one where there were more: MLflow shows the latest of the last.

    A name changes as arms come up that differ in other settings, and runs as there are more seeds,
    or as one is made anew: an arm is the one that had a run of some of its settings and seeds.
    """
    with tracker.alone("arms"):  # of two that end at once, the second finds them there
        known = tracker.all_runs()
        same = {run.info.run_id: run.data.tags.get("run_hash", "") for run in known}
        before = [run for run in known if run.data.tags.get("kind") == ARM]
        for arm in arms.to_dict("records"):
            made = {same.get(run_id) or run_id for run_id in arm["runs"]}
            begun = [
                run
                for run in before
                if made & {same.get(one) or one for one in run.data.tags.get("runs", "").split()}
            ]
            seeds = int(arm["seeds"])
            most = max([seeds, *(int(run.data.tags.get(_SEEDS, 0)) for run in begun[:1])])
            tags = {name: str(arm[name]) for name in _TAGS}
            tags |= {"runs": " ".join(arm["runs"]), _SEEDS: str(most)}
            record = tracker.start_arm(str(arm["name"]), begun, tags)
            metrics = {str(name): float(value) for name, value in arm.items() if _is_number(value)}
            record.log_metrics(metrics, step=most)
            record.end()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)
