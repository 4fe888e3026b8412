"""The planned pair judged by every labelled image: its tables, from what each run read right."""

import pandas as pd
import pytest
from scipy import stats

from analysis.statistics.comparison import compare
from analysis.statistics.contest import contest
from analysis.tables.arms import Section
from tests.analysis.test_reference import LOSSES, ROOT, row, spread
from tests.analysis.test_reference_settings import section_of

RUNS = pd.read_csv(ROOT / "analysis/reference/folds.csv")
RIGHT = pd.read_csv(ROOT / "analysis/reference/folds_right.csv")
TEST = RIGHT[RIGHT["split"] == "test"]
JUDGES = TEST[TEST["clean"] == 1]
FOLDS = 10
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def section():
    return section_of("The planned pair, judged by every labelled image")


def ids(loss, seed):
    """The run of each fold, in their order."""
    chosen = RUNS[(RUNS["loss"] == loss) & (RUNS["seed"] == seed)].sort_values("fold")
    assert list(chosen["fold"]) == list(range(FOLDS))
    return list(chosen["run_id"])


def whole(loss, seed):
    """The share of all judges that the runs of a seed read right."""
    return JUDGES[ids(loss, seed)].max(axis=1).mean()


def shares(loss, seed):
    """The share of its fold's judges that each run reads right, by fold."""
    return JUDGES[ids(loss, seed)].mean().reset_index(drop=True)


def mean_shares(loss):
    """The same, the mean over seeds."""
    return sum(shares(loss, seed) for seed in SEEDS) / len(SEEDS)


def of_arm(loss):
    """Validation, mean and standard deviation over runs; all judges by seed, and by fold; CER."""
    runs, read = RUNS[RUNS["loss"] == loss], mean_shares(loss)
    by_seed = [whole(loss, seed) for seed in SEEDS]
    ends = f"{100 * read.min():.1f} to {100 * read.max():.1f}"
    return [
        spread(runs["val"]),
        *(f"{100 * share:.1f}" for share in (sum(by_seed) / len(by_seed), *by_seed)),
        ends,
        f"{100 * runs['test_cer'].mean():.1f}",
    ]


def by_fold():
    """The rows of the table of folds."""
    read = {loss: mean_shares(loss) for loss in LOSSES}
    rows = {loss: [f"{100 * share:.1f}" for share in read[loss]] for loss in LOSSES}
    apart = {"difference": read["ctc"] - read["ce_stop"]}
    for seed in SEEDS:
        apart[f"of seed {seed}"] = shares("ctc", seed) - shares("ce_stop", seed)
    for name, of_folds in apart.items():
        rows[name] = [f"{100 * share + 0.0:+.1f}" for share in of_folds]
    return rows


def difference(seeds=SEEDS):
    """CTC minus cross-entropy + stop, by the report's own comparison."""
    runs = RUNS[RUNS["seed"].isin(seeds)]
    arms = runs.assign(arm=runs["loss"], label=runs["loss"]).set_index("run_id")
    arms = arms.rename(columns={"loss": "config.loss", "seed": "config.seed"})
    arms = arms.rename(columns={"fold": "config.fold"})
    arms = arms.astype({"config.seed": str, "config.fold": str})
    read = JUDGES.melt(["filename", "group"], list(runs["run_id"]), "run_id", "reading").dropna()
    among = contest(
        Section("cells", str(runs["data_digest"].iloc[0]), "kfold", arms),
        read.assign(split="test", clean=True, truth=1),
    )
    return compare(among, "ctc", "ce_stop")


def numbers(found):
    """The difference in points with its interval."""
    d = found.difference
    return "{:+.1f}|{:+.1f} to {:+.1f}".format(*(100 * x for x in (d.estimate, d.low, d.high)))


def p_of(found):
    return "p < 0.001" if found.p < 0.001 else f"p = {found.p:.2g}"


def apart():
    """How far, in points, fold means lie apart, and the two seeds of one fold (standard
    deviations); and whether the two seeds differ in the same folds.
    """
    by_seed = pd.DataFrame({s: shares("ctc", s) - shares("ce_stop", s) for s in SEEDS})
    return {
        "folds": 100 * by_seed.mean(axis=1).std(),
        "seeds": 100 * by_seed.var(axis=1).mean() ** 0.5,
        "correlation": by_seed[0].corr(by_seed[1]),
    }


def test_each_labelled_image_is_read_by_one_run_of_either_loss_and_seed():
    assert len(RUNS) == len(LOSSES) * FOLDS * len(SEEDS)
    for loss in LOSSES:
        for seed in SEEDS:
            runs = ids(loss, seed)
            assert (TEST[runs].notna().sum(axis=1) == 1).all()
            logged = RUNS.set_index("run_id").loc[runs, "test"]
            assert TEST[runs].mean().tolist() == pytest.approx(list(logged))
            # Copies are read by the same run.
            read = TEST.groupby("group")[runs].count() > 0
            assert read.sum(axis=1).eq(1).all()
    # Of all seeds a fold has the same images.
    for fold in range(FOLDS):
        of_fold = [TEST[ids(loss, s)[fold]].notna() for loss in LOSSES for s in SEEDS]
        assert all((one == of_fold[0]).all() for one in of_fold)


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
    words = " ".join(section.split())
    found = difference()
    assert (found.seeds, found.images, found.difference.folds) == (2, len(JUDGES), FOLDS)
    estimate, ends = numbers(found).split("|")
    assert f"stop: {estimate} points** (95% interval {ends}, over ten folds of two" in words
    assert f"{p_of(found)})" in words
    first, second = (numbers(difference((seed,))).split("|") for seed in SEEDS)
    assert "The first seed alone gave {} ({})".format(*first) in words
    assert "the second alone gives {} ({})".format(*second) in words
    # Cross-entropy + stop does not lead by 10 points, nor CTC fall behind by one.
    d = found.difference
    assert d.p_above(-0.1) < 0.001
    assert d.p_not_inferior(0.01) < 0.001
    assert f"less than a point is open (p = {d.p_equivalent(0.01):.2f})" in words
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"two seeds each, it is {estimate} points ({ends})" in readme
    # Folds of nearly one size: about Student's t of their means.
    apart_by_fold = mean_shares("ctc") - mean_shares("ce_stop")
    low, high = stats.t.interval(0.95, FOLDS - 1, apart_by_fold.mean(), stats.sem(apart_by_fold))
    assert (d.low, d.high) == pytest.approx((low, high), abs=0.0005)
    half = f"{50 * (d.high - d.low):.2f}"
    assert f"**{half} points either way**" in words
    assert f"{half} (folds)" in section_of("The goals that were set")
    of = apart()
    said = "standard deviations of {seeds:.1f} and, of the means of two seeds, {folds:.1f}"
    assert said.format(**of) in words
    assert f"a correlation of {of['correlation']:.2f} over folds" in words
