"""The table of averaging, on readings worked out by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from analysis.report import markdown
from tests.analysis.test_report import (
    CTC,
    CTC_0,
    CTC_1,
    CTC_LABEL,
    RIGHT,
    TEST,
    results,
    rows_of,
    run,
    scores,
)

# Exact match on the five leak-free images: CTC_0 4/5, CTC_1 3/5 (see test_report), RIGHT 5/5.
ZERO = run(CTC, 0, CTC_0, **scores(0.6, 5 / 6, 4 / 5, 1 / 12, 100))
ONE = run(CTC, 1, CTC_1, **scores(0.5, 4 / 6, 3 / 5, 2 / 12, 150))
ZERO_ID, ONE_ID = ZERO[0]["run_id"], ONE[0]["run_id"]


def together(
    members, read=RIGHT, tta=1, digest="d1", split="published", run_id="together", validated=()
):
    """An evaluation of these runs, as it is loaded, and its predictions."""
    row = {
        "run_id": run_id,
        "tags.data_digest": digest,
        "tags.split": split,
        "tags.tta": str(tta),
        "metrics.cost.reading_ms": 2.4,
        "metrics.cost.parameters": 300.0,
        "metrics.val.exact_match": 0.9,
        "metrics.test_clean.exact_match": 1.0,
        "members": [
            {"run_id": m, "parameters": 100 + 100 * i, "reading_ms": 1.2 - 0.2 * i}
            for i, m in enumerate(members)
        ],
    }
    predictions = [
        {
            "run_id": run_id, "split": "test", "filename": filename, "truth": truth,
            "reading": reading, "confidence": 0.9, "group": group, "clean": clean,
        }
        for (filename, (truth, group, clean)), reading in zip(TEST.items(), read, strict=True)
    ]  # fmt: skip
    about = {"run_id": run_id, "split": "val", "truth": "1", "reading": "1", "confidence": 0.9}
    predictions += [
        about | {"filename": name, "group": 50 + i, "clean": True}
        for i, name in enumerate(validated)
    ]
    return row, predictions


def report_of(runs, *ensembles):
    built = results(runs)
    rows = pd.DataFrame([row for row, _ in ensembles])
    read = pd.DataFrame([p for _, predictions in ensembles for p in predictions])
    return markdown(
        replace(
            built,
            ensembles=rows.set_index("run_id") if len(rows) else rows,
            predictions=pd.concat([built.predictions, read]),
        )
    )


def test_an_ensemble_stands_beside_its_best_member_by_validation():
    # t5 is the one leak-free image that the best member reads wrong: 5/5 - 4/5 = 20 points. With
    # an imagined image of 1.25 (the mean size of the four groups) for each side, of 7.5 in all, the
    # centre is 1/7.5 = 2/15. Off it are the groups by 1 - 2/15, twice -2/15 and once -4/15, the
    # imagined ones by 1.25 (1 - 2/15) and -1.25 (1 + 2/15), each over 1.25; their squares add up to
    # 2.5845, over 6 x 5 the variance is 0.08615. With t(5) = 2.5706: -62.1 to 88.8.
    report = report_of([ZERO, ONE], together([ZERO_ID, ONE_ID]))
    (row,) = rows_of(report, "together")
    # Names may break over lines; numbers do not.
    assert "| together | beside | val" in report
    assert (
        report.partition("| together | beside")[2]
        .splitlines()[1]
        .startswith("| --- | --- | ---: |")
    )
    what, beside, *rest = row
    assert what == f"{CTC_LABEL}, seeds 0 1"
    assert beside == f"{CTC_LABEL}, seed 0"
    # Training (100 + 150) / 100; reading 2.4 / 1.2; parameters 300 / 100.
    assert rest[:4] == ["90.0", "100.0", "", "+20.0"]
    assert rest[4:] == ["-62.1 to +88.8", "no", "2.5x", "2.0x", "3.0x"]


def test_few_images_that_no_member_learnt_from_are_told_as_few():
    report = report_of([ZERO, ONE], together([ZERO_ID, ONE_ID], validated=["v1", "v2", "v3"]))
    (row,) = rows_of(report, "together")
    assert row[2] == "90.0 (3)"


def test_the_best_member_is_not_chosen_by_test():
    better_on_test = run(CTC, 1, RIGHT, **scores(0.5, 1, 1, 0, 150))
    report = report_of([ZERO, better_on_test], together([ZERO_ID, better_on_test[0]["run_id"]]))
    assert rows_of(report, "together")[0][1] == f"{CTC_LABEL}, seed 0"


def test_views_of_one_run_stand_beside_it():
    report = report_of([ZERO, ONE], together([ONE_ID], read=CTC_1, tta=4))
    (row,) = rows_of(report, "together")
    assert row[:2] == [f"{CTC_LABEL}, seed 1; 4 views", f"{CTC_LABEL}, seed 1"]
    # Only the imagined images differ: squares 1 and 1, over 6 x 5, by t(5).
    assert row[5:9] == ["+0.0", "-66.4 to +66.4", "no", "1.0x"]


def test_an_ensemble_is_no_arm():
    plain, with_it = (report_of([ZERO, ONE], *e) for e in ([], [together([ZERO_ID, ONE_ID])]))
    assert "### Read together" not in plain
    # What it read it has looked at.
    with_it = with_it.replace("3 runs read", "2 runs read")
    before, _, after = with_it.partition("### Read together")
    assert (
        before + after.partition("\n### ")[1].lstrip("\n") + after.partition("\n### ")[2] == plain
    )


@pytest.mark.parametrize(
    "changes", [{"digest": "d2"}, {"split": "clean"}, {"members": [ZERO_ID, "deleted"]}], ids=str
)
def test_what_cannot_be_compared_is_left_out(changes):
    report = report_of([ZERO, ONE], together(**{"members": [ZERO_ID, ONE_ID]} | changes))
    assert "### Read together" not in report
