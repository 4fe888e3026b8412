"""The tables of `parts` and `claim` in RESULTS and README, from what each run read right."""

import re
from functools import cache

import pandas as pd
import pytest

from analysis.statistics.comparison import compare, corrected
from analysis.statistics.contest import contest
from analysis.tables.arms import Section
from tests.analysis.test_reference import CLEAN, PUBLISHED, ROOT, ids, row

# What is changed, by the setting that differs from the arm as it is.
CHANGED = {
    ("decoder", "slots"): "slots",
    ("decoder", "attention_lstm"): "attention LSTM",
    ("decoder", "latent_lstm"): "latent LSTM",
    ("loss_options.after_stop", "zero"): "filled behind the stop",
    ("width_stride", 4): "15 time steps",
    ("width_stride", 8): "7 time steps",
    ("optimizer.name", "adamw_onecycle"): "AdamW to 0.003",
    ("ema", 0): "the last weights",
    ("augmentation.name", "none"): "no augmentation",
    ("augmentation.name", "affine"): "affine",
    ("backbone", "small_cnn"): "small_cnn",
    ("backbone", "mobilenet_v3_small"): "mobilenet_v3_small",
    ("loss_options.shortcut_weight", 0): "no shortcut head",
    ("loss_options.label_smoothing", 0): "no smoothed targets",
    ("loss_options.length_weight", 0): "no length term",
    ("loss_options.read_length", True): "the length head ends the text",
    ("epochs", 50): "twice the epochs",
    ("optimizer.max_lr", 0.0025): "half the rate",
    ("optimizer.max_lr", 0.01): "twice the rate",
}
AS_IT_IS = "as it is"
METRICS = ["val", "test", "test_clean", "agreed"]


# What a run of a preset that starts from another one is.
STARTED = {"parts": "after the embedded strings", "seed_112": "the published recipe"}


def part_of(run, started):
    """The row's name of an arm."""
    if isinstance(run.get("start"), str):
        return started
    if run["loss"] == "hybrid":
        return "CTC on the columns (hybrid)"
    changed = [name for (key, value), name in CHANGED.items() if run.get(key) == value]
    return ", ".join(changed) or AS_IT_IS


@cache
def made(preset):
    """The runs of a preset, `arm` being loss and part, and what each read of the clean images."""
    runs = pd.read_csv(ROOT / f"analysis/reference/{preset}.csv")
    right = pd.read_csv(ROOT / f"analysis/reference/{preset}_right.csv")
    assert set(right.columns[5:]) == {*runs["run_id"], *PUBLISHED}
    if "members" in runs:
        runs = runs[runs["members"].isna()]
    runs = runs.assign(
        arm=runs["loss"] + " | " + runs.apply(part_of, axis=1, started=STARTED.get(preset))
    )
    assert not runs.duplicated(["arm", "seed"]).any()
    clean = right[(right["split"] == "test") & (right["clean"] == 1)]
    # The very images of the planned comparison.
    assert list(clean["filename"]) == list(CLEAN["filename"])
    assert clean[list(runs["run_id"])].mean().tolist() == pytest.approx(list(runs["test_clean"]))
    read = clean.melt(["filename", "group"], list(runs["run_id"]), "run_id", "reading")
    of_runs = runs.assign(label=runs["arm"]).set_index("run_id")
    of_runs = of_runs.rename(columns={"loss": "config.loss", "seed": "config.seed"})
    of_runs = of_runs.assign(**{"config.fold": "0"}).astype({"config.seed": str})
    section = Section("cells", str(runs["data_digest"].iloc[0]), "published", of_runs)
    return runs, contest(section, read.assign(split="test", clean=True, truth=1))


def differences(preset, pairs):
    """Each pair's difference and p, corrected together."""
    _, among = made(preset)
    found = [compare(among, *pair) for pair in pairs]
    cells = []
    for one in corrected(found):
        d = one.difference
        ends = (f"{100 * x + 0.0:+.1f}" for x in (d.estimate, d.low, d.high))
        p = "< 0.001" if one.p_adjusted < 0.001 else f"{one.p_adjusted:.3f}"
        p = p if one.p_adjusted < 0.1 else f"{one.p_adjusted:.2f}"
        cells.append(["{} ({} to {})".format(*ends), p])
    return cells


def arms_of(preset):
    """arm -> its seeds and the means of its metrics, in percent."""
    runs, _ = made(preset)
    return {
        arm: [str(len(own)), *(f"{100 * x:.1f}" for x in own[METRICS].mean())]
        for arm, own in runs.groupby("arm")
    }


def table_of_parts():
    """arm -> its cells: seeds, metrics, minus the arm as it is, p."""
    arms = arms_of("parts")
    changed = [arm for arm in arms if not arm.endswith(AS_IT_IS)]
    pairs = [(arm, f"{arm.partition(' | ')[0]} | {AS_IT_IS}") for arm in changed]
    found = dict(zip(changed, differences("parts", pairs), strict=True))
    return {arm: [*cells, *found.get(arm, ["", ""])] for arm, cells in arms.items()}


def curves_of(preset):
    """Validation by run and epoch, of a preset's single runs."""
    runs, _ = made(preset)
    curves = pd.read_csv(ROOT / f"analysis/reference/{preset}_curves.csv")
    assert set(curves["run_id"]) == set(runs["run_id"])
    by_run = curves.pivot(index="run_id", columns="epoch", values="val")
    assert list(by_run) == list(range(25))
    # The epoch that was kept is the best of the curve.
    assert by_run.max(axis=1).loc[list(runs["run_id"])].tolist() == pytest.approx(
        list(runs["val"]), abs=1e-6
    )
    return by_run


def rise_of(by_run):
    """How much more a run validates over the last five epochs than the five before, in points."""
    return 100 * (by_run[range(20, 25)].mean(axis=1) - by_run[range(15, 20)].mean(axis=1))


def table_of_claim():
    """arm -> its cells: metrics, and how far validation still rose at the end."""
    runs, _ = made("claim")
    by_run = curves_of("claim")
    rise = rise_of(by_run)
    cells = arms_of("claim")
    assert all(seeds == "1" for seeds, *_ in cells.values())
    return {
        arm: [*cells[arm][1:], f"{rise[run_id] + 0.0:+.1f}"]
        for arm, run_id in zip(runs["arm"], runs["run_id"], strict=True)
    }


# Each step of the chain: what is reached, and from where.
STEPS = [
    ("ctc | 15 time steps", "ctc | as it is"),
    ("ctc | 7 time steps", "ctc | as it is"),
    ("ce_stop | as it is", "ctc | as it is"),
    ("ce_stop | no length term", "ce_stop | as it is"),
    ("ce_stop | the length head ends the text", "ce_stop | as it is"),
    ("hybrid | CTC on the columns (hybrid)", "ce_stop | as it is"),
    ("ce_stop | attention LSTM", "ce_stop | as it is"),
    ("ce_stop | slots", "ce_stop | as it is"),
    ("ce_stop | filled behind the stop", "ce_stop | as it is"),
    ("ce_stop | latent LSTM, filled behind the stop", "ce_stop | filled behind the stop"),
    (
        "ce_stop | latent LSTM, filled behind the stop, 7 time steps",
        "ce_stop | latent LSTM, filled behind the stop",
    ),
    ("ce_stop | latent LSTM, filled behind the stop", "ctc | as it is"),
    ("ce_stop | 7 time steps", "ce_stop | as it is"),
    ("ce_stop | as it is", "ctc | 7 time steps"),
    ("ce_stop | 7 time steps", "ctc | 7 time steps"),
    ("ce_stop | latent LSTM, filled behind the stop", "ctc | 7 time steps"),
    ("ce_stop | latent LSTM, filled behind the stop, 7 time steps", "ctc | 7 time steps"),
]


def table_of_steps():
    """(arm, from) -> difference and p, of the steps whose arms are both there."""
    arms = arms_of("claim")
    steps = [step for step in STEPS if {*step} <= set(arms)]
    return dict(zip(steps, differences("claim", steps), strict=True))


def section_of(heading):
    text = (ROOT / "RESULTS.md").read_text(encoding="utf-8")
    return text[text.index(f"\n## {heading}") :].partition("\n## ")[2].partition("\n## ")[0]


def shown(cells):
    """Whether the difference of a row is."""
    return cells[-1] == "< 0.001" or float(cells[-1]) < 0.05


def farthest(parts):
    """The most that a part can be worth which three seeds do not show to be worth anything."""
    held = [c for c in parts.values() if c[0] == "3" and c[-1] and not shown(c)]
    return f"{max(-float(re.findall(r'[-+][0-9.]+', c[-2])[1]) for c in held):.1f}"


def test_what_each_part_is_worth():
    section = section_of("What each part of the reference is worth")
    table = table_of_parts()
    for arm, cells in table.items():
        assert row(section, arm) == cells
    assert len(re.findall(r"^\| (?:ctc|ce_stop) \|", section, re.MULTILINE)) == len(table)
    said = " ".join(section.split())
    assert f"None that has three seeds can be worth more than {farthest(table)} points" in said
    changed = {arm for arm, cells in table.items() if cells[-1] and shown(cells)}
    assert changed == {
        "ctc | AdamW to 0.003",
        "ce_stop | AdamW to 0.003",
        "ce_stop | no augmentation",
        "ctc | mobilenet_v3_small",
        "ce_stop | mobilenet_v3_small",
    }


def test_the_chain_to_the_published_decoder():
    section = section_of("From CTC to the published decoder")
    for arm, cells in table_of_claim().items():
        assert row(section, arm) == cells
    steps = table_of_steps()
    for (reached, start), cells in steps.items():
        assert (
            row(section, f"{reached.replace(' | ', ': ')} | {start.replace(' | ', ': ')}") == cells
        )
    assert len(re.findall(r"^\| \w+: .* \| \w+: .* \|", section, re.MULTILINE)) == len(steps)
    assert "No arm's validation still rises by more than a point" in section
    assert max(float(cells[-1]) for cells in table_of_claim().values()) <= 1
    # The one step that puts cross-entropy ahead.
    ahead = {
        step
        for step, cells in steps.items()
        if [arm.partition(" ")[0] for arm in step] == ["ce_stop", "ctc"]
        and shown(cells)
        and cells[0].startswith("+")
    }
    assert ahead == {("ce_stop | as it is", "ctc | 7 time steps")}


def test_how_long_mobilenet_stays_at_zero():
    runs, _ = made("parts")
    runs = runs[runs["arm"].str.contains("mobilenet_v3_small")].set_index("loss")
    assert len(runs) == 2
    section = " ".join(section_of("The two losses in other settings").split())
    curves = curves_of("parts").loc[runs.loc[["ce_stop", "ctc"], "run_id"]]
    ce_stop, ctc = (curves > 0).idxmax(axis=1)
    words = f"stayed at zero in the first {ce_stop} with cross-entropy, in the first {ctc} with CTC"
    assert words in section
    ce_stop, ctc = rise_of(curves)
    assert f"it still rose by {ce_stop:.1f} and {ctc:.1f} points" in section
    early, late = ([100 * share for share in curves[epoch]] for epoch in (12, 24))
    words = "{:.1f} and {:.1f}% of validation after 13 epochs, {:.1f} and {:.1f}% after 25"
    assert words.format(*early, *late) in section
    assert f"finds a lead of {early[0] - early[1]:.0f} points" in section
    short = (
        f"{early[0] - early[1]:.0f} points behind after 13 epochs, {late[0] - late[1]:.0f} after 25"
    )
    assert short in section_of("In short")


def test_the_planned_pair_trained_anew():
    runs, among = made("parts")
    found = compare(among, f"ctc | {AS_IT_IS}", f"ce_stop | {AS_IT_IS}")
    d = found.difference
    assert found.seeds == 3
    words = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * x for x in (d.estimate, d.low, d.high)))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"trained anew on another machine, give {words}" in readme
    section = " ".join(section_of("CTC against cross-entropy").split())
    assert f"give {words.replace(' (', ' points (', 1)}" in section
    own = runs[runs["arm"].str.endswith(AS_IT_IS)].set_index("run_id")
    rise = rise_of(curves_of("parts").loc[own.index]).groupby(own["loss"]).mean()
    words = f"by {rise['ce_stop']:.1f} points from epochs 16 to 20 to the last five, CTC's by"
    assert f"{words} {rise['ctc']:.1f}" in section


def test_what_seeds_of_the_planned_pair_differ_by():
    ctc, ce_stop = (CLEAN[ids(loss)].mean().to_numpy() for loss in ("ctc", "ce_stop"))
    apart = 100 * (ctc - ce_stop).std(ddof=1)
    words = f"Seeds of the planned pair have a standard deviation of {apart:.1f} points"
    assert words in " ".join(section_of("The two losses in other settings").split())


def test_how_many_runs_the_two_tables_show():
    parts, claim = (set(made(preset)[0]["run_id"]) for preset in ("parts", "claim"))
    words = "49 of the preset's 63 runs; the command makes the others. Five of them are"
    section = " ".join(section_of("What each part of the reference is worth").split())
    assert words in section
    assert len(parts) == 49
    assert len(parts & claim) == 5
    assert (
        f"in the chain ({len(claim)}), so that the two tables show {len(parts | claim)} runs"
        in section
    )


def test_the_front_page_says_the_same():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    published = "cross-entropy + stop, the published decoder and filling, one seed (`claim`)"
    _, *shares = arms_of("claim")["ce_stop | latent LSTM, filled behind the stop"]
    assert row(readme, published) == shares


def test_few_columns_hurt_both_losses():
    steps = table_of_steps()

    def ends(pair):
        return steps[pair][0].replace(" (", ", ").removesuffix(")")

    queries = ends(("ce_stop | 7 time steps", "ctc | 7 time steps"))
    published = "ce_stop | latent LSTM, filled behind the stop, 7 time steps"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    decoder = ends((published, "ctc | 7 time steps"))
    assert f"it is not (position queries {queries}; the published decoder {decoder})" in readme
    for heading in ("From CTC to the published decoder", "The two losses in other settings"):
        assert f"({queries}" in section_of(heading)
    own = steps["ce_stop | 7 time steps", "ce_stop | as it is"][0].partition(" ")[0][1:]
    assert f"these lose {own} points of their own" in section_of("From CTC to the published")
    ctc = steps["ctc | 7 time steps", "ctc | as it is"][0].partition(" ")[0][1:]
    both = f"7 time steps cost CTC {ctc} points and 7 columns cross-entropy {own},"
    assert both in section_of("In short")


def costs(cells):
    """What a change costs, in the words of the front page."""
    less, high, low = (-float(x) + 0.0 for x in re.findall(r"[-+][\d.]+", cells[-2]))
    return f"{less:.1f} points ({low:.1f} to {high:.1f})"


def test_what_is_taken_on_the_front_page_has_the_figures_of_the_tables():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    parts, steps = table_of_parts(), table_of_steps()
    seeds = {"1": "one seed", "2": "two seeds", "3": "three seeds"}

    def says(begin, arm, is_shown):
        """Checks the words and the judgement; returns the number of seeds."""
        cells = parts[arm]
        assert f"{begin} {costs(cells)}" in readme
        assert shown(cells) == is_shown
        return seeds[cells[0]]

    more, low, high = (
        float(x) for x in re.findall(r"[-+][\d.]+", parts["ctc | no shortcut head"][-2])
    )
    head = f"without the shortcut head CTC reads {more:.1f} points more ({low:.1f} to {high:.1f})"
    assert head in readme
    assert not shown(parts["ctc | no shortcut head"])
    says("15 cost", "ctc | 15 time steps", is_shown=False)
    says("`small_cnn` costs CTC", "ctc | small_cnn", is_shown=False)
    says("none costs cross-entropy", "ce_stop | no augmentation", is_shown=True)
    says("affine in place of strong costs cross-entropy", "ce_stop | affine", is_shown=False)
    says("AdamW, at 0.003, in place of Muon costs CTC", "ctc | AdamW to 0.003", is_shown=True)
    of = says(", cross-entropy", "ce_stop | AdamW to 0.003", is_shown=True)
    assert f"{costs(parts['ce_stop | AdamW to 0.003'])} ({of})" in readme
    seven = steps["ctc | 7 time steps", "ctc | as it is"]
    assert f"7 time steps in place of 30 cost CTC {costs(seven)} (one seed)" in readme
