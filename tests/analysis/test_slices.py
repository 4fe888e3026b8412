"""Where each loss fails: the table of RESULTS, and that it counts what the runs read."""

import pandas as pd
import pytest

from tests.analysis import slices
from tests.analysis import test_reference as reference
from tests.analysis.test_folds import JUDGES, LOSSES, ROOT, SEEDS, ids, whole
from tests.analysis.test_reference import CLEAN, row
from tests.analysis.test_reference_settings import section_of


def test_where_each_loss_fails():
    section = section_of("The planned pair, judged by every labelled image")
    table = pd.read_csv(ROOT / "analysis/reference/slices.csv")
    for line in slices.table(table):
        assert line in section
    # The images of every kind are all of them.
    for (name, _), rows in table.groupby(["images_of", "kind"]):
        assert rows["images"].sum() == {"dev": len(CLEAN), "folds": len(JUDGES)}[name]
        share = (rows["images"] * rows["ctc"]).sum() / rows["images"].sum()
        of = {
            "dev": CLEAN[reference.ids("ctc")].mean().mean(),
            "folds": sum(whole("ctc", seed) for seed in SEEDS) / len(SEEDS),
        }
        assert share == pytest.approx(of[name], abs=1e-5)
    wrong = pd.read_csv(ROOT / "analysis/reference/wrong.csv").set_index("loss")
    for loss in LOSSES:
        missed = sum((1 - JUDGES[ids(loss, seed)].max(axis=1)).sum() for seed in SEEDS)
        assert wrong.loc[loss, "wrong"] == missed
    ctc, ce_stop = (wrong.loc[loss] for loss in LOSSES)
    words = " ".join(section.split())
    point = [100 * one["separator"] / one["wrong"] for one in (ctc, ce_stop)]
    tenfold = [100 * one["tenfold"] / one["wrong"] for one in (ctc, ce_stop)]
    said = [
        f"of the {ctc['wrong']} of CTC in the folds {point[0]:.0f}% differ from the label in the",
        f"decimal point alone, of the {ce_stop['wrong']} of cross-entropy {point[1]:.0f}%;",
        "a factor of ten or more is wrong in {:.0f} and {:.0f}%".format(*tenfold),
    ]
    assert " ".join(said) in words


def test_the_planned_lengths_are_those_of_the_slices():
    table = pd.read_csv(ROOT / "analysis/reference/slices.csv")
    table = table[(table["images_of"] == "dev") & (table["kind"] == "characters")]
    names = {"1 to 4": "labels of 1 to 4 characters", "5": "5", "6 and more": "6 and more"}
    section = section_of("CTC against cross-entropy")
    for _, one in table.iterrows():
        cells = row(section, names[one["label"]])
        ends = f"{100 * one['low']:+.1f} to {100 * one['high']:+.1f}"
        shares = [f"{100 * one[loss]:.1f}" for loss in LOSSES]
        assert cells[:5] == [str(one["images"]), *shares, f"{100 * one['lead']:+.1f}", ends]


def test_what_the_front_page_says_of_long_labels():
    table = pd.read_csv(ROOT / "analysis/reference/slices.csv")
    table = table[table["kind"] == "characters"].set_index(["images_of", "label"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, share, words in (
        ("dev", 1 / 2, "by {:.1f} points on the {} of the test images (half of its lead)"),
        ("folds", 1 / 4, "by {:.1f} on all {} (a quarter)"),
    ):
        lengths = table.loc[name]
        long = lengths.loc["6 and more"]
        assert words.format(100 * long["lead"], long["images"]) in readme
        whole_lead = (lengths["images"] * lengths["lead"]).sum()
        assert long["images"] * long["lead"] / whole_lead == pytest.approx(share, abs=0.05)
