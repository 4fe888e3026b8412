"""What is kept of a comparison, against the tables that were worked out by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from analysis.evidence import evidence
from tests.analysis.findings.test_ensembles import together
from tests.analysis.test_report import TEST, four_runs, results, run


def hashed(made):
    made.runs["tags.run_hash"] = [f"hash of {run_id}" for run_id in made.runs.index]
    return made


def test_scores_can_be_computed_again_and_nobody_is_named():
    made = hashed(results(four_runs()))
    found = evidence(made, set(made.runs["tags.run_hash"]))
    runs = found.runs.set_index("run_id")
    assert list(runs.index) == list(made.runs.index)
    assert list(runs)[:3] == ["run_hash", "loss", "seed"]
    # The settings that differ, and none that all share.
    assert {"decoder", "hidden", "loss_options.length_weight"} <= set(runs)
    assert not {"backbone", "epochs", "experiment_id", "folder"} & set(runs)
    tested = found.right[found.right["split"] == "test"]
    assert sorted(tested["filename"]) == sorted(TEST)
    for run_id, row in runs.iterrows():
        assert tested[run_id].mean() == pytest.approx(row["test"])
        assert tested[tested["clean"] == 1][run_id].mean() == pytest.approx(row["test_clean"])


def test_only_the_runs_that_are_asked_for_and_their_images():
    other = run({"loss": "ctc"}, 0, ["7"] * 6, digest="d2")
    made = hashed(results([*four_runs(), other]))
    wanted = made.runs["tags.run_hash"].iloc[[1, 3]]
    found = evidence(made, set(wanted))
    assert list(found.runs["run_id"]) == list(wanted.index)
    assert [c for c in found.right if c in made.runs.index] == list(wanted.index)
    assert set(found.right["data_digest"]) == {"d1"}
    none = evidence(made, {"of another"})
    assert none.runs.empty
    assert none.right.empty


def test_an_ensemble_of_these_runs_is_there_and_no_other():
    made = hashed(results(four_runs()))
    first, second, third, _ = made.runs.index
    kept, other = (
        together(members, run_id=name)
        for members, name in (([first, second], "kept"), ([first, third], "other"))
    )
    ensembles = pd.DataFrame([row for row, _ in (kept, other)]).set_index("run_id")
    read = pd.DataFrame([*kept[1], *other[1]])
    made = replace(made, ensembles=ensembles, predictions=pd.concat([made.predictions, read]))
    found = evidence(made, set(made.runs.loc[[first, second], "tags.run_hash"]))
    assert list(found.runs["run_id"]) == [first, second, "kept"]
    of_kept = found.runs.set_index("run_id").loc["kept"]
    assert (of_kept["members"], of_kept["views"]) == (f"{first} {second}", "1")
    assert of_kept["test_clean"] == 1.0
    assert {"kept", first, second} <= set(found.right)
    assert not {"other", third} & set(found.right)

    alone = evidence(made, {made.runs.loc[third, "tags.run_hash"]})
    assert list(alone.runs["run_id"]) == [third]
    assert not {"kept", "other"} & set(alone.right)
