"""The planned pair judged by every labelled image: its tables, from what each run read right."""

import pandas as pd
import pytest
import scipy.stats

from analysis.statistics.comparison import compare
from analysis.statistics.contest import contest
from analysis.statistics.intervals import paired_difference
from analysis.tables.arms import Section
from tests.analysis.test_reference import LOSSES, ROOT, row, spread
from tests.analysis.test_reference_settings import section_of

RUNS = pd.read_csv(ROOT / "analysis/reference/folds.csv")
RIGHT = pd.read_csv(ROOT / "analysis/reference/folds_right.csv")
TEST = RIGHT[RIGHT["split"] == "test"]
JUDGES = TEST[TEST["clean"] == 1]
FOLDS = 10


@pytest.fixture(scope="module")
def section():
    return section_of("The planned pair, judged by every labelled image")


def shares(loss):
    """The share of its fold's judges that each run reads right, by fold."""
    ids = RUNS[RUNS["loss"] == loss].sort_values("fold")["run_id"]
    return JUDGES[ids].mean().reset_index(drop=True)


def of_arm(loss):
    """Validation and judges in percent, mean and standard deviation over folds; all judges."""
    runs, read = RUNS[RUNS["loss"] == loss], shares(loss)
    whole = JUDGES[runs["run_id"]].max(axis=1).mean()
    ends = f"{100 * read.min():.1f} to {100 * read.max():.1f}"
    cer = f"{100 * runs['test_cer'].mean():.1f}"
    return [spread(runs["val"]), f"{100 * whole:.1f}", ends, cer]


def by_fold():
    """The rows of the table of folds."""
    read = {loss: shares(loss) for loss in LOSSES}
    rows = {loss: [f"{100 * share:.1f}" for share in read[loss]] for loss in LOSSES}
    apart = read["ctc"] - read["ce_stop"]
    return {**rows, "difference": [f"{100 * share + 0.0:+.1f}" for share in apart]}


def difference():
    """CTC minus cross-entropy + stop, by the report's own comparison."""
    arms = RUNS.assign(arm=RUNS["loss"], label=RUNS["loss"]).set_index("run_id")
    arms = arms.rename(columns={"loss": "config.loss", "seed": "config.seed"})
    arms = arms.rename(columns={"fold": "config.fold"})
    arms = arms.astype({"config.seed": str, "config.fold": str})
    read = JUDGES.melt(["filename", "group"], list(RUNS["run_id"]), "run_id", "reading").dropna()
    among = contest(
        Section("cells", str(RUNS["data_digest"].iloc[0]), "kfold", arms),
        read.assign(split="test", clean=True, truth=1),
    )
    return compare(among, "ctc", "ce_stop")


def says(found):
    """The difference in the words of the section."""
    d = found.difference
    ends = (f"{100 * x:+.1f}" for x in (d.estimate, d.low, d.high))
    p = "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"
    return "{} points** (95% interval {} to {}".format(*ends), p


def test_each_labelled_image_is_read_by_one_run_of_either_loss():
    assert len(RUNS) == 2 * FOLDS
    for loss in LOSSES:
        runs = RUNS[RUNS["loss"] == loss]
        assert sorted(runs["fold"]) == list(range(FOLDS))
        assert (TEST[runs["run_id"]].notna().sum(axis=1) == 1).all()
        for _, run in runs.iterrows():
            assert TEST[run["run_id"]].mean() == pytest.approx(run["test"])
    # Copies are read by the same run.
    assert (TEST.groupby("group")[list(RUNS["run_id"])].count() > 0).sum(axis=1).eq(2).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_table_of_arms(section, loss):
    table = section[: section.index("| exact match | fold 0")]
    assert row(table, loss if loss == "ctc" else "ce_stop, position queries") == of_arm(loss)
    assert f"{len(JUDGES):,}" in section


def test_the_table_of_folds(section):
    table = section[section.index("| exact match | fold 0") :]
    table = table[: table.index("\n\n")]
    for begin, cells in by_fold().items():
        assert row(table, begin) == cells


def test_the_difference(section):
    found = difference()
    assert (found.seeds, found.images, found.difference.folds) == (1, len(JUDGES), FOLDS)
    for words in says(found):
        assert words in section
    # Cross-entropy + stop does not lead by 10 points.
    assert found.difference.p_above(-0.1) < 0.001
    assert found.difference.p_not_inferior(0.01) < 0.001
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    d = found.difference
    assert (
        "{:+.1f} points ({:+.1f} to {:+.1f})".format(
            *(100 * x for x in (d.estimate, d.low, d.high))
        )
        in readme
    )
    # Folds of nearly one size: Student's t of their means, or wider where images alone are.
    apart = shares("ctc") - shares("ce_stop")
    _, high = scipy.stats.t.interval(0.95, FOLDS - 1, apart.mean(), scipy.stats.sem(apart))
    assert d.high >= high - 0.0005
    read = [
        JUDGES[RUNS[RUNS["loss"] == loss]["run_id"]].max(axis=1).to_numpy(dtype=bool)[None]
        for loss in LOSSES
    ]
    alone = paired_difference(*read, JUDGES["group"].to_numpy())
    ends = "from the images alone, it would be {:+.1f} to {:+.1f}"
    assert ends.format(100 * alone.low, 100 * alone.high) in " ".join(section.split())
    assert f"a standard deviation of {100 * found.sample**0.5:.1f} points" in " ".join(
        section.split()
    )
    goal = section_of("The goals that were set")
    assert f"{50 * (d.high - d.low):.2f} (folds)" in goal
