"""Which run's readings stand in which row, whatever order the store has them in."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.contest import answers

# Of three images that each run reads right: another number for each run.
RIGHT = {"a0": 0, "b0": 1, "a1": 2, "b1": 3}


def predictions(order, as_loaded):
    """In the order in which the runs began; as `load` has them run ids are categories of it."""
    rows = [
        {"run_id": run_id, "split": "test", "clean": True, "filename": f"{n}.png", "group": n}
        | {"truth": "1", "reading": "1" if n < RIGHT[run_id] else "2"}
        for run_id in order
        for n in range(3)
    ]
    table = pd.DataFrame(rows)
    if as_loaded:
        table["run_id"] = pd.Categorical(table["run_id"], list(order))
    return table


@pytest.mark.parametrize("as_loaded", [True, False])
def test_each_row_is_of_the_reader_that_was_asked_for(as_loaded):
    for order in permutations(RIGHT):
        table = predictions(order, as_loaded)
        for readers in (["a0", "a1", "b0", "b1"], ["b1", "a0"], ["b0", "a0", "b1", "a1"]):
            found, groups = answers(table).of([{run_id} for run_id in readers])
            assert found.sum(axis=1).tolist() == [RIGHT[run_id] for run_id in readers]
            assert groups.tolist() == [0, 1, 2]


@pytest.mark.parametrize("as_loaded", [True, False])
def test_runs_of_several_folds_read_as_one(as_loaded):
    table = predictions(["b1", "a0", "a1", "b0"], as_loaded)
    first = table["filename"].eq("0.png")
    asked = table["run_id"].isin(["a0", "b0"])
    folds = table[np.where(first, asked, ~asked)]
    found, _ = answers(folds).of([{"b0", "b1"}, {"a0", "a1"}])
    assert found.tolist() == [[True, True, True], [False, True, False]]
    # b0 stands in the first place, and has read the first image alone.
    assert answers(folds).read_by(["b0", "b1"]).tolist() == [0, 1, 1]


def test_runs_that_read_other_images_are_no_readers_of_one_test_part():
    table = predictions(RIGHT, as_loaded=True)
    without = table[~(table["run_id"].eq("b0") & table["filename"].eq("2.png"))]
    assert answers(without).of([{"a0"}, {"a1"}])[0].shape == (2, 3)
    with pytest.raises(ValueError, match="judged on different images"):
        answers(without).of([{"a0"}, {"b0"}])
