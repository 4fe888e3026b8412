"""Which run's readings stand in which row, whatever order the store has them in."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.contest import answers, contest
from analysis.statistics.seed_spread import UNKNOWN, of_differences, squares
from analysis.tables.arms import Section

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


def test_what_other_arms_say_of_folds():
    """Four arms in three unlike folds, with copies; their contrasts by hand."""
    rng = np.random.default_rng(3)
    fold_of = np.array([0] * 30 + [1] * 20 + [2] * 10)
    # In each fold the first two images are copies of each other.
    group_of = np.arange(60) - np.isin(np.arange(60), [1, 31, 51])
    right = rng.random((4, 60)) < 0.7 + rng.normal(0, 0.2, (4, 3))[:, fold_of]
    right[:, [1, 31, 51]] = right[:, [0, 30, 50]]
    names = ["a", "b", "c", "d"]
    runs = pd.DataFrame(
        {"arm": arm, "label": arm, "config.loss": "ctc", "config.seed": "0", "config.fold": f"{k}"}
        | {"run_id": f"{arm}{k}"}
        for arm in names
        for k in (0, 1, 2)
    ).set_index("run_id")
    # By names that do not stand in the order of the folds.
    file = rng.permutation(60)
    read = pd.DataFrame(
        {"run_id": f"{arm}{fold_of[i]}", "filename": f"{file[i]:02}.png", "group": group_of[i]}
        | {"truth": "1", "reading": "1" if right[n, i] else "2", "split": "test", "clean": True}
        for n, arm in enumerate(names)
        for i in range(60)
    )
    among = contest(Section("cells", "d", "kfold", runs), read)
    groups, first = np.unique(group_of, return_index=True)
    sums = np.stack([np.bincount(group_of, row)[groups] for row in right.astype(float)])
    values = sums[:, None] / (60 / len(groups))
    of_groups = fold_of[first]
    own = squares((values[0] - values[2]) / np.sqrt(2), folds=of_groups)
    left = of_differences(values, of_groups).without(own).spread
    assert left.freedom == (4 - 1 - 1) * (3 - 1)
    assert among.seeds.others("a", "c", folded=True) == pytest.approx(left)
    assert among.seeds.others("a", "c") == UNKNOWN
    many = np.bincount(of_groups)
    assert own.groups == pytest.approx((57 - (many**2).sum() / 57) / 2)
