"""Finished runs as chapters of the report: one a data set and split, an arm a row."""

import pytest

from analysis.tables.arms import sections
from tests.analysis.test_report import CTC, TEST, results, run


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["cells", "cells", "copy"], "cells"),
        (["copy", "cells", "cells"], "cells"),
        (["copy", "cells"], "cells"),  # as many of either: by name, whichever run comes first
        (["cells", "copy"], "cells"),
    ],
)
def test_a_data_set_in_folders_of_two_names_is_called_what_most_runs_call_it(names, called):
    made = [
        run({"loss": "ctc", "decoder": "columns"}, seed, ["12"] * len(TEST))
        for seed in range(len(names))
    ]
    for (row, _), name in zip(made, names, strict=True):
        row["tags.dataset"] = name
    (chapter,) = sections(results(made))
    assert chapter.dataset == called
    assert len(chapter.runs) == len(names)


@pytest.mark.parametrize("back", [1, -1])
def test_an_arm_has_one_name_whichever_run_comes_first(back):
    """The columns of a table of runs are in the order in which its runs bring them."""
    options = [
        {"width_stride": "2", "optimizer.name": "muon", "optimizer.max_lr": "0.1", "ema": "0"},
        {"width_stride": "4", "optimizer.name": "sgd", "optimizer.base_lr": "0.2", "ema": "0.9"},
    ]
    ways = [dict(list((CTC | given).items())[::back]) for given in options]
    made = [run(way, 0, ["12"] * len(TEST)) for way in ways]
    (chapter,) = sections(results(made[::back]))
    assert {label.partition(" ema=")[2] for label in chapter.runs["label"]} == {
        "0 optimizer=muon max_lr=0.1 width_stride=2",
        "0.9 optimizer=sgd base_lr=0.2 width_stride=4",
    }
