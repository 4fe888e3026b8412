"""A run an arm beside those that were trained, for MLflow's pages to sort and to chart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from experiments.records.tracker import ARM, Tracker

if TYPE_CHECKING:
    import pandas as pd

_TAGS = ("dataset", "data_digest", "split", "loss")


def record_arms(arms: pd.DataFrame, tracker: Tracker) -> None:
    """Put each arm of a report on record.

    arms: as of `analysis.report.arms`; its numbers become metrics, at the step of how many seeds
        there are.

    A name changes as arms come up that differ in other settings, and runs as there are more seeds:
    an arm is the one that had some of its runs before.
    """
    with tracker.claimed("arms"):  # of two machines that end at once, the second finds them there
        before = [run for run in tracker.all_runs() if run.data.tags.get("kind") == ARM]
        for arm in arms.to_dict("records"):
            run_ids = arm["runs"]
            begun = [
                run
                for run in before
                if not set(run_ids).isdisjoint(run.data.tags.get("runs", "").split())
            ]
            tags = {name: str(arm[name]) for name in _TAGS} | {"runs": " ".join(run_ids)}
            record = tracker.start_arm(str(arm["name"]), begun, tags)
            metrics = {str(name): float(value) for name, value in arm.items() if _is_number(value)}
            record.log_metrics(metrics, step=int(arm["seeds"]))
            record.end()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)
