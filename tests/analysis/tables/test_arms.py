"""Finished runs as chapters of the report: one a data set and split, an arm a row."""

import pytest

from analysis.tables.arms import sections
from tests.analysis.test_report import TEST, results, run


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
