"""What each run got right, against the tables that were worked out by hand."""

import pytest

from analysis.spreadsheets import as_csv
from analysis.tables.right_or_wrong import right_or_wrong
from tests.analysis.test_report import TEST, four_runs, results, run


def test_shares_are_the_metrics_of_the_runs_and_nothing_tells_a_label():
    made = results(four_runs())
    found = right_or_wrong(made)
    assert list(found) == [
        "data_digest",
        "split",
        "filename",
        "group",
        "clean",
        *made.runs.index,
        "output1",
    ]
    tested, agreed = found[found["split"] == "test"], found[found["split"] == "agreed"]
    assert sorted(tested["filename"]) == sorted(TEST)
    assert sorted(agreed["filename"]) == ["h1", "h2", "h3"]  # h4 is read in two ways, h5 by one
    for run_id, row in made.runs.iterrows():
        for images, metric in (
            (tested, "test"),
            (tested[tested["clean"] == 1], "test_clean"),
            (agreed, "agreed"),
            (agreed[agreed["clean"] == 1], "agreed_clean"),
        ):
            assert images[run_id].mean() == pytest.approx(row[f"metrics.{metric}.exact_match"])
    assert set(found[list(made.runs.index)].stack()) <= {0, 1}
    published = found.set_index(["split", "filename"])["output1"].dropna()
    assert published.to_dict() == {("agreed", "h1"): 1, ("agreed", "h2"): 0, ("agreed", "h3"): 1}


def test_what_a_run_did_not_read_is_missing():
    few = dict(list(TEST.items())[:2])
    made = results([*four_runs(), run({"loss": "x"}, 0, ["12", "1"], images=few)], people={})
    found = right_or_wrong(made)
    assert set(found["split"]) == {"test"}
    last = made.runs.index[-1]
    assert found.set_index("filename")[last].dropna().to_dict() == {"t1": 1, "t2": 0}
    assert as_csv(found).splitlines()[3].endswith(",")


def test_runs_on_two_data_sets_do_not_mix():
    settings = {"loss": "ctc"}
    made = results(
        [run(settings, 0, ["12"] * 6), run(settings, 0, ["7"] * 6, digest="d2")], people={}
    )
    found = right_or_wrong(made)
    assert len(found) == 12
    for digest, run_id in zip(("d1", "d2"), made.runs.index, strict=True):
        read = found[found[run_id].notna()]
        assert set(read["data_digest"]) == {digest}


def test_an_image_is_one_row_whatever_changed_labels_leave_clean():
    """A changed label conflicts with that of an identical image, which then judges nobody."""
    noisy = {n: (truth, group, n not in ("t2", "t3")) for n, (truth, group, _) in TEST.items()}
    changed = run({"loss": "noisy"}, 0, ["12"] * 6, images=noisy)
    changed[1][1]["changed"] = True
    made = results([changed, *four_runs()], people={})
    found = right_or_wrong(made)
    assert found["filename"].tolist() == sorted(
        TEST, key=lambda n: found["filename"].tolist().index(n)
    )
    assert sorted(found["filename"]) == sorted(TEST)
    assert found[list(made.runs.index)].notna().all(axis=None)
    assert found.set_index("filename")["clean"].to_dict() == {
        n: int(clean) for n, (_, _, clean) in TEST.items()
    }
