"""Views that MLflow's pages offer by name: which runs, by what they are sorted, which columns.

Without one the pages show no metric until somebody chooses some. They stand in tags of the
experiment, in the form in which the pages save a view of somebody's own.
"""

from __future__ import annotations

import json
import time

VIEW = "mlflow.sharedViewState."

# By the kind of run: the metrics that are shown, sorted by the first.
_SHOWN = {
    "arm": ("exact_match", "low", "high", "seeds", "images", "val", "val_sd", "seconds"),
    "run": (
        "val.exact_match",
        "test.exact_match",
        "test_clean.exact_match",
        "test_clean.cer",
        "train.seconds",
    ),
}
_NAME = "attributes.`Run Name`"
_NAME_WIDTH = 260  # pixels: by default half of an arm's name is cut off


def name_of(kind: str) -> str:
    """The view of the runs of a kind, as links name it."""
    return f"{kind}s"


def chosen(kind: str) -> dict[str, str | bool]:
    """Which runs, and by what they are sorted."""
    return {
        "searchFilter": f"tags.kind = '{kind}'",
        "orderByKey": f"metrics.`{_SHOWN[kind][0]}`",
        "orderByAsc": False,
    }


def _width(name: str) -> int:
    """Of a column, in pixels: for its name with the sign of sorting, and for a number."""
    return max(90, 40 + 7 * len(name))


def experiment_tags() -> dict[str, str]:
    """Of a new experiment: its views, and that its pages are those for models in training."""
    tags = {"mlflow.experimentKind": "custom_model_development"}
    now = int(1000 * time.time())
    for kind, metrics in _SHOWN.items():
        widths = {f"metrics.`{name}`": _width(name) for name in metrics}
        columns = [*widths, "tags.`dataset`", "tags.`split`"]
        state = chosen(kind) | {
            "selectedColumns": columns,
            "columnOrder": [_NAME, *columns],
            "columnWidths": {_NAME: _NAME_WIDTH} | widths,
        }
        view = {"name": name_of(kind), "createdAt": now, "state": json.dumps(state)}
        tags[VIEW + name_of(kind)] = json.dumps(view)
    return tags
