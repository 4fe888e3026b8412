"""The planned pair on the whole training list: its section, from what each run read."""

import pandas as pd
import pytest

from analysis.statistics.intervals import paired_difference
from analysis.statistics.looks import levels
from analysis.statistics.significance import ALPHA
from tests.analysis.test_reference import (
    CLEAN,
    LOOKS,
    LOSSES,
    ROOT,
    read_together,
    row,
    spread,
)
from tests.analysis.test_reference_settings import METRICS, made, section_of
from tests.analysis.time_curve import costs

HEADING = "The whole training list"
RUNS = made("refit")[0].sort_values("seed")
SEEDS = RUNS["seed"].nunique()
LOOKED = [5, 10]  # seeds
TOGETHER = {3: "three", 4: "four"}


@pytest.fixture(scope="module")
def section():
    return section_of(HEADING)


def words(found):
    """A difference in points, with its interval."""
    return "{:+.1f} ({:+.1f} to {:+.1f})".format(
        *(100 * x + 0.0 for x in (found.estimate, found.low, found.high))
    )


def right_of(preset, loss, seeds, **settings):
    """(seeds, leak-free dev images): which of them the runs with these settings read right."""
    runs = made(preset)[0]
    for key, value in {"loss": loss, **settings}.items():
        runs = runs[runs[key] == value]
    ids = runs.set_index("seed")["run_id"].loc[list(seeds)]
    right = pd.read_csv(ROOT / f"analysis/reference/{preset}_right.csv")
    clean = right[(right["split"] == "test") & (right["clean"] == 1)]
    assert list(clean["filename"]) == list(CLEAN["filename"])
    return clean[list(ids)].to_numpy(dtype=bool).T


def lead():
    """CTC minus cross-entropy + stop over all seeds, of the leak-free dev images."""
    first, second = (right_of("refit", loss, range(SEEDS)) for loss in LOSSES)
    return paired_difference(first, second, CLEAN["group"].to_numpy())


def gain(loss):
    """What the whole list gives over a tenth held back, on the seeds that `longer` has."""
    seeds = sorted(made("longer")[0]["seed"].unique())
    first = right_of("refit", loss, seeds)
    second = right_of("longer", loss, seeds, epochs=50)
    return paired_difference(first, second, CLEAN["group"].to_numpy())


def table_of_arms():
    """loss -> its cells."""
    return {
        loss: [
            str(len(own)),
            f"{own['trained_on'].min():,.0f}",
            *(spread(own[metric]) for metric in METRICS),
            words(gain(loss)),
        ]
        for loss, own in RUNS.groupby("loss")
    }


def together():
    """What was read together: its name -> its cells, U first."""
    runs = pd.read_csv(ROOT / "analysis/reference/refit.csv").set_index("run_id")
    right = pd.read_csv(ROOT / "analysis/reference/refit_right.csv")
    cost = costs(pd.read_csv(ROOT / "analysis/reference/time.csv"))
    found = {}
    for run_id, whole in runs[runs["members"].notna()].iterrows():
        members = runs.loc[whole["members"].split()]
        (loss,) = members["loss"].unique()
        # The first ones, as planned, and not those that read most.
        assert sorted(members["seed"]) == list(range(len(members)))
        # Of 25 epochs with a tenth held back.
        more = 2 * members["trained_on"].mean() / made("longer")[0]["trained_on"].mean()
        u = more * cost[loss] * len(members)
        found[f"{loss}, {TOGETHER[len(members)]} seeds"] = [
            f"{u:.1f}",
            *read_together(run_id, members, right),
        ]
    return found


def level():
    """How small p has to be at the look that was made."""
    return levels(LOOKED, ALPHA)[LOOKED.index(SEEDS)]


def test_the_table_of_arms(section):
    table = section[section.index("| loss | seeds |") :].partition("\n\n")[0]
    for loss, cells in table_of_arms().items():
        assert row(table, loss) == cells
        own = RUNS[RUNS["loss"] == loss]
        assert list(own["seed"]) == list(range(SEEDS))
        # The last epoch, whatever validation said.
        assert set(own["best_epoch"]) == {49}


def test_the_difference_and_its_interval(section):
    said = " ".join(section.split())
    found = lead()
    points = words(found).replace(" (", " points** (95% interval ", 1)[:-1]
    assert f"**CTC minus cross-entropy + stop: {points}, over {LOOKS[SEEDS]} seeds" in said
    p = found.p_different()
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
    assert f"{shown}, where this look asks for less than {level():.2g})" in said
    assert ("**CTC leads**" in said) == (p < level() and found.estimate > 0)
    # The lead that was claimed.
    assert found.turned().p_below(0.1) < 0.001


def test_each_seed(section):
    both = [right_of("refit", loss, range(SEEDS)).mean(axis=1) for loss in LOSSES]
    table = section[section.index("| exact match, leak-free dev |") :].partition("\n\n")[0]
    for loss, shares in zip(LOSSES, both, strict=True):
        assert row(table, loss) == [f"{100 * x:.1f}" for x in shares]
    gaps = [f"{100 * x + 0.0:+.1f}" for x in both[0] - both[1]]
    assert row(table, "difference") == gaps


def test_what_is_read_together(section):
    table = section[section.index("| read together, the whole list |") :].partition("\n\n")[0]
    found = together()
    assert table.count("\n") == 1 + len(found) == 4
    for name, cells in found.items():
        assert row(table, name) == cells


def test_how_near_the_goals_are(section):
    goals = section_of("The goals that were set")
    said = " ".join(section.split())
    cost = costs(pd.read_csv(ROOT / "analysis/reference/time.csv"))
    more = 2 * RUNS["trained_on"].mean() / made("longer")[0]["trained_on"].mean()
    for loss, name in zip(LOSSES, ("CTC", "cross-entropy"), strict=True):
        own = 100 * RUNS[RUNS["loss"] == loss]["test"]
        dev = spread(own / 100)
        u = f"{more * cost[loss]:.1f} U"
        assert f"{dev} on the whole list ({LOOKS[SEEDS]} seeds, {u})" in goals
        assert f"{name} reads {own.mean():.1f}% ({own.min():.1f} to {own.max():.1f})" in said
    clean = spread(RUNS[RUNS["loss"] == "ctc"]["test_clean"])
    u = f"{more * cost['ctc']:.1f} U"
    assert f"; {clean} on the whole list ({LOOKS[SEEDS]} seeds, {u}) |" in goals
    u, _, three, *_ = together()["ctc, three seeds"]
    assert f"; {three}, three of CTC on the whole list ({u} U) |" in goals
    alone, both = (cell.partition(" ")[0] for cell in (clean, three))
    own_cells = section_of("What to train on your own cells")
    assert f"{alone}% leak-free, three read together {both}%" in own_cells


def test_what_the_whole_list_gives(section):
    gains = [words(gain(loss)).replace(" (", " points (", 1) for loss in LOSSES]
    assert "shown for neither loss: CTC {}, cross-entropy {};".format(*gains) in section
    assert all(gain(loss).low < 0 < gain(loss).high for loss in LOSSES)
    val = 100 * RUNS[RUNS["loss"] == "ctc"]["val"]
    assert f"{val.min():.1f} to {val.max():.1f}% of them are read by CTC" in section


def test_the_front_page_says_the_same():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    said = words(lead())
    assert f"on the whole training list for 50 epochs {said}, {LOOKS[SEEDS]} seeds" in readme
    assert f"on the whole training list {said[1:-1]}, {LOOKS[SEEDS]} seeds)" in results
    dev = 100 * RUNS[RUNS["loss"] == "ctc"]["test"]
    most = (
        f"{dev.mean():.1f}, {LOOKS[SEEDS]} seeds; one of the {LOOKS[SEEDS]} reads {dev.max():.1f}"
    )
    assert f"nor does CTC on the whole training list ({most})" in readme
