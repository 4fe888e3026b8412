"""The planned comparison: its figures in README and RESULTS, from what each run read right."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from analysis.statistics.intervals import paired_difference, share
from analysis.statistics.looks import levels
from analysis.statistics.planning import components
from analysis.statistics.seed_spread import UNKNOWN
from analysis.statistics.significance import ALPHA
from tests.analysis.time_curve import costs

ROOT = Path(__file__).parents[2]
RUNS = pd.read_csv(ROOT / "analysis/reference/runs.csv")
RIGHT = pd.read_csv(ROOT / "analysis/reference/right.csv")
TEST = RIGHT[RIGHT["split"] == "test"]
CLEAN = TEST[TEST["clean"] == 1]
AGREED = RIGHT[RIGHT["split"] == "agreed"]
PUBLISHED = ["output1", "output2"]
LOSSES = ("ctc", "ce_stop")
LOOKS = {3: "three", 5: "five", 10: "ten"}  # seeds
SEEDS = RUNS["seed"].nunique()


def ids(loss):
    return list(RUNS[RUNS["loss"] == loss].sort_values("seed")["run_id"])


def spread(shares):
    return f"{100 * shares.mean():.1f} ± {100 * shares.std():.1f}"


def row(text, begin):
    (found,) = re.findall(rf"^\| {re.escape(begin)} \|(.*)\|$", text, re.MULTILINE)
    return [cell.strip() for cell in found.split("|")]


def test_the_files_hold_the_same_runs_with_the_same_scores_and_no_label():
    assert list(RIGHT)[:5] == ["data_digest", "split", "filename", "group", "clean"]
    assert set(RIGHT.columns[5:]) == {*RUNS["run_id"], *PUBLISHED}
    assert set(RIGHT[RUNS["run_id"]].stack()) == {0, 1}
    assert {loss: len(ids(loss)) for loss in LOSSES} == dict.fromkeys(LOSSES, SEEDS)
    assert SEEDS in LOOKS
    for _, run in RUNS.iterrows():
        for images, metric in ((TEST, "test"), (CLEAN, "test_clean"), (AGREED, "agreed")):
            assert images[run["run_id"]].mean() == pytest.approx(run[metric])


@pytest.mark.parametrize(
    ("loss", "in_results", "in_readme"),
    [
        ("ctc", "ctc, shortcut head", f"CTC, {LOOKS[SEEDS]} seeds"),
        (
            "ce_stop",
            "ce_stop, position queries, smoothed targets",
            f"cross-entropy + stop, position queries, {LOOKS[SEEDS]} seeds",
        ),
    ],
)
def test_the_table_of_arms(loss, in_results, in_readme):
    made = RUNS[RUNS["loss"] == loss]
    parts = [spread(images[ids(loss)].mean()) for images in (TEST, CLEAN, AGREED)]
    val, cer = spread(made["val"]), spread(made["test_cer"])
    cost = [f"{made['parameters'].iloc[0] / 1e6:.2f}", f"{made['train_seconds'].mean():.0f}"]
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    assert row(results, in_results) == [val, *parts[:2], cer, parts[2], *cost]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert row(readme, in_readme) == [val, *parts]


def test_the_difference_and_its_interval():
    right = {loss: CLEAN[ids(loss)].to_numpy(dtype=bool).T for loss in LOSSES}
    found = paired_difference(right["ctc"], right["ce_stop"], CLEAN["group"].to_numpy())
    estimate, low, high = (100 * x for x in (found.estimate, found.low, found.high))
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"**CTC minus cross-entropy + stop: {estimate:+.1f} points**" in results
    assert f"(95% interval {low:+.1f} to {high:+.1f}, over seeds" in results
    level = levels(list(LOOKS), ALPHA)[list(LOOKS).index(SEEDS)]
    assert (
        f"p = {found.p_different():.3f}, where this look asks for less than {level:.2g}" in results
    )
    assert f"CTC is {estimate:.1f} points ahead" in readme
    assert f"goes from {low:+.1f} to {high:+.1f}" in readme
    drawn = pd.read_csv(ROOT / "analysis/reference/lead.csv").iloc[0]  # the other way round
    assert drawn["seeds"] == SEEDS
    stated = [round(-100 * drawn[name], 1) for name in ("estimate", "high", "low")]
    assert stated == [round(x, 1) for x in (estimate, low, high)]
    assert f"{len(CLEAN):,} test images" in readme
    # The lead that was claimed.
    assert found.turned().p_below(0.1) < 0.001
    for loss in LOSSES:
        assert row_by_seed(results, loss) == [f"{100 * x:.1f}" for x in right[loss].mean(axis=1)]
    gaps = [f"{100 * x:+.1f}" for x in (right["ctc"].mean(1) - right["ce_stop"].mean(1))]
    assert row_by_seed(results, "difference") == gaps


def test_how_narrow_the_interval_could_be():
    right = {loss: CLEAN[ids(loss)].to_numpy(dtype=bool).T for loss in LOSSES}
    groups = CLEAN["group"].to_numpy()
    found = paired_difference(right["ctc"], right["ce_stop"], groups)
    parts = components(right["ctc"], right["ce_stop"], groups, UNKNOWN)
    at_best = float(norm.isf(0.025)) * parts.error(seeds=10**9, images=found.groups)
    results = " ".join((ROOT / "RESULTS.md").read_text(encoding="utf-8").split())
    assert f"is {100 * found.error:.2f} points, half of its variance from seeds" in results
    assert found.of_seeds == pytest.approx(0.5, abs=0.05)
    assert f"the {found.groups:,} different leak-free images" in results
    assert f"alone would leave {100 * at_best:.2f} points either way" in results
    half = 100 * (found.high - found.low) / 2
    assert f"within 0.5 points either way | {half:.1f} (ten seeds)" in results


def test_the_seeds_that_nobody_had_seen():
    first, second = (CLEAN[ids(loss)[1:]].to_numpy(dtype=bool).T for loss in LOSSES)
    found = paired_difference(first, second, CLEAN["group"].to_numpy())
    estimate, low, high = (f"{100 * x:+.1f}" for x in (found.estimate, found.low, found.high))
    said = f"{estimate} ({low} to {high})"
    for name in ("RESULTS.md", "README.md", "analysis/reference/PLAN.md"):
        assert said in (ROOT / name).read_text(encoding="utf-8")


def test_the_published_readings_on_images_that_nobody_learnt():
    unseen = AGREED[(AGREED["clean"] == 1) & ~AGREED["group"].isin(TEST["group"])]
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| reader | exact match, {len(unseen)} images | minus output1" in results
    assert f"Fairer: {len(unseen)} of the images that both people read alike have no copy" in readme
    table = results[results.index("**Beside the published system.**") :].split("\n\n")[1]
    shares = {name: f"{100 * unseen[name].mean():.1f}" for name in PUBLISHED}
    for name, percent in shares.items():
        assert row(table, f"published {name}") == [percent, "", ""]
    for loss in LOSSES:
        right = unseen[ids(loss)].to_numpy(dtype=bool).T
        cells = [f"{100 * right.mean():.1f}"]
        for name in PUBLISHED:
            theirs = np.repeat(unseen[[name]].to_numpy(dtype=bool).T, len(right), axis=0)
            found = paired_difference(right, theirs, unseen["group"].to_numpy())
            ends = (f"{100 * x:+.1f}" for x in (found.estimate, found.low, found.high))
            cells.append("{} ({} to {})".format(*ends))
        assert row(table, f"{loss}, ten seeds") == cells
    ctc = f"{100 * unseen[ids('ctc')].mean().mean():.1f}"
    said = "right on {}% and {}%, CTC on {}%".format(*shares.values(), ctc)
    assert said in " ".join(readme.split())


def test_what_all_runs_read_wrong():
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    counts = CLEAN[ids("ctc")].sum(axis=1)
    every, none, most = (f"{100 * x.mean():.1f}%" for x in (counts == 10, counts == 0, counts > 5))
    assert f"leak-free dev images {every} are read right by all ten" in results
    assert f"CTC and {none} by none; {most} by six and more" in " ".join(results.split())
    nobody = (CLEAN[list(RUNS["run_id"])].sum(axis=1) == 0).mean()
    assert f"{100 * nobody:.1f}% are read right by none of the twenty" in results


def row_by_seed(text, begin):
    """The row of the table by seed."""
    table = text[text.index("| exact match, leak-free dev | seed 0") :]
    return row(table[: table.index("\n\n")], begin)


def test_what_it_is_worth_to_begin_with_a_reader():
    read = pd.read_csv(ROOT / "analysis/reference/fine_tuning.csv")
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    section = results[results.index("## Beginning with a reader") :]
    for images, of_images in read.groupby("images"):
        cells = [float(cell.split(" ")[0]) for cell in row(section, f"{images:,}")]
        right = dict(zip(of_images["arm"], 100 * of_images["exact_match"], strict=True))
        arms = ("CTC", "cross-entropy + stop, position queries")
        assert cells == [
            pytest.approx(right[f"{arm}, from {begin}"], abs=0.051)
            for arm in arms
            for begin in ("nothing", "the reader")
        ]


def test_what_corrections_are_worth():
    read = pd.read_csv(ROOT / "analysis/reference/corrections.csv")
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    section = results[results.index("### Correcting what a reader is unsure of") :]
    for (reader, images), pair in read.groupby(["reader", "images"]):
        random, least = pair.set_index("choice").loc[["at random", "the least sure"]].iloc
        assert row(section, f"{reader} | {images:,}") == [
            *(str(random["corrected"]), exact_match_of(random)),
            *(str(least["corrected"]), exact_match_of(least)),
            points(least, "ahead"),
        ]
        for one in (random, least):
            gained = (one["right"] - one["right_before"]) / one["of"]
            assert one["gained"] == pytest.approx(gained, abs=1e-5)
        assert least["ahead"] == pytest.approx(
            (least["right"] - random["right"]) / least["of"], abs=1e-5
        )


def exact_match_of(one):
    found = share(int(one["right"]), int(one["of"]))
    percent, low, high = (f"{100 * x:.1f}" for x in (found.estimate, found.low, found.high))
    return f"{percent} ({low} to {high})"


def points(one, name):
    estimate, low, high = (f"{100 * one[name + end]:+.1f}" for end in ("", "_low", "_high"))
    return f"{estimate} ({low} to {high})"


def read_together(run_id, members, right):
    """The cells of an ensemble: what it reads of each part, its members' mean, its gain over the
    best of them by validation.
    """
    test, agreed = (right[right["split"] == split] for split in ("test", "agreed"))
    clean = test[test["clean"] == 1]
    cells = []
    for images in (test, clean, agreed):
        read = share(int(images[run_id].sum()), len(images))
        ends = (f"{100 * x:.1f}" for x in (read.estimate, read.low, read.high))
        cells.append("{} ({} to {})".format(*ends))
    cells.append(f"{100 * clean[list(members.index)].mean().mean():.1f}")
    whole, best = (clean[[one]].to_numpy(dtype=bool).T for one in (run_id, members["val"].idxmax()))
    gain = paired_difference(whole, best, clean["group"].to_numpy())
    ends = (f"{100 * x:+.1f}" for x in (gain.estimate, gain.low, gain.high))
    return [*cells, "{} ({} to {})".format(*ends)]


def test_runs_that_read_together():
    runs = pd.read_csv(ROOT / "analysis/reference/best.csv").set_index("run_id")
    right = pd.read_csv(ROOT / "analysis/reference/best_right.csv")
    assert set(right.columns[5:]) == {*runs.index, *PUBLISHED}
    clean = right[(right["split"] == "test") & (right["clean"] == 1)]
    assert list(clean["filename"]) == list(CLEAN["filename"])
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    section = results[results.index("## Three seeds of either loss") :].partition("\n## ")[0]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = {"ctc": "ctc, three seeds", "ce_stop": "ce_stop, three seeds", "": "all six"}
    found = {}
    for run_id, together in runs[runs["members"].notna()].iterrows():
        members = runs.loc[together["members"].split()]
        losses = members["loss"].unique()
        loss = losses[0] if len(losses) == 1 else ""
        found[loss] = clean[[run_id]].to_numpy(dtype=bool).T
        assert sorted(members["seed"]) == sorted([0, 1, 2] * len(losses))
        cells = read_together(run_id, members, right)
        cost = costs(pd.read_csv(ROOT / "analysis/reference/time.csv"))
        u = f"{sum(cost[one] for one in members['loss']):.1f}"
        assert row(section, names[loss]) == [u, *cells]
        if loss == "ctc":
            assert f"three together: {cells[-1].replace(' (', ' points (')}" in readme
    assert set(found) == set(names)
    lead = paired_difference(found["ctc"], found["ce_stop"], clean["group"].to_numpy())
    ends = (f"{100 * x:+.1f}" for x in (lead.estimate, lead.low, lead.high))
    assert "three seeds of each together: {} ({} to {})".format(*ends) in section
    for loss, name in (("ctc", "three seeds of CTC"), ("", "three of each")):
        shares = (f"{100 * x:.1f}" for x in _shares(runs, loss))
        assert row(readme, f"{name} read together (`make best`)") == ["", *shares]


def test_the_curves_are_those_of_the_runs():
    curves, runs = (pd.read_csv(ROOT / f"analysis/reference/{n}.csv") for n in ("time", "best"))
    for loss in LOSSES:
        (best,) = runs.loc[(runs["loss"] == loss) & (runs["seed"] == 0), "val"]
        own = curves[curves["arm"] == f"speedrun, {loss}"]
        assert own["val"].max() == pytest.approx(best, abs=1e-6)
        assert list(own["epoch"]) == list(range(1, 26))


def _shares(runs, loss):
    """Of the ensemble of one loss, or of both: dev, leak-free, agreed."""
    for _, together in runs[runs["members"].notna()].iterrows():
        losses = set(runs.loc[together["members"].split(), "loss"])
        if losses == {loss} or (not loss and len(losses) > 1):
            return together[["test", "test_clean", "agreed"]]
    raise AssertionError(loss)


def test_the_learning_curve():
    """What the arms of the planned comparison read after fewer images."""
    runs = pd.read_csv(ROOT / "analysis/reference/learning_curve.csv")
    right = pd.read_csv(ROOT / "analysis/reference/learning_curve_right.csv")
    assert set(right.columns[5:]) == set(runs["run_id"])
    clean = right[(right["split"] == "test") & (right["clean"] == 1)]
    for _, run in runs.iterrows():
        assert clean[run["run_id"]].mean() == pytest.approx(run["test_clean"])
    results = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    section = results[results.index("## With fewer images") :].partition("\n## ")[0]
    sizes = [(f"{size:,}", made, clean) for size, made in runs.groupby("images")]
    for size, made, images in [*sizes, ("all", RUNS, CLEAN)]:
        by_loss = {loss: made[made["loss"] == loss].sort_values("seed") for loss in LOSSES}
        read = {loss: images[own["run_id"]].to_numpy(bool).T for loss, own in by_loss.items()}
        found = paired_difference(read["ctc"], read["ce_stop"], images["group"].to_numpy())
        cells = [f"{len(by_loss['ctc'])}"]
        for loss in LOSSES:
            for column in ("val", "test_clean"):
                cells.append(f"{100 * by_loss[loss][column].mean():.1f}")
        ends = (f"{100 * x:+.1f}" for x in (found.estimate, found.low, found.high))
        cells.append("{} ({} to {})".format(*ends))
        assert row(section, size) == cells
