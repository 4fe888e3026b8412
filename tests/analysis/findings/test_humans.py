"""The human baseline on a table worked out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.findings.humans import (
    accuracy,
    agreement,
    agreement_by_kind,
    baseline,
    disputed,
    known_truth,
    side_by_side,
)
from analysis.findings.not_inferior import not_inferior
from analysis.statistics.significance import Verdict
from analysis.tables import arms as tables
from tests.analysis.test_report import CTC, RIGHT, markdown, results, rows_of, run


def readers(**by_reader: dict[str, str]) -> pd.DataFrame:
    """The long table that a run logs: a row a reader and image."""
    rows = [
        {"data_digest": "d", "reader": reader, "filename": filename, "reading": text}
        for reader, by_name in by_reader.items()
        for filename, text in by_name.items()
    ]
    return pd.DataFrame(rows, columns=["data_digest", "reader", "filename", "reading"])


# Image  human1  human2  output1   alike  output1 = human1, = human2, = either
# a      12      12      12        yes    yes  yes  yes
# b      3.5     35      35        no     no   yes  yes
# c      -4      4       -4        no     yes  no   yes
# d      700     700     70        yes    no   no   no
# e      1       7       9         no     no   no   no
# f      07      07      07        yes    yes  yes  yes
# g      8       (none)  8         only human1 read it: it counts nowhere
# h      (none)  6       6         only human2 read it: it counts nowhere
#                                  3/6    3/6  3/6  4/6;  on the 3 alike (a, d, f) 2/3
TABLE = readers(
    human1={"a": "12", "b": "3.5", "c": "-4", "d": "700", "e": "1", "f": "07", "g": "8"},
    human2={"a": "12", "b": "35", "c": "4", "d": "700", "e": "7", "f": "07", "h": "6"},
    output1={"a": "12", "b": "35", "c": "-4", "d": "70", "e": "9", "f": "07", "g": "8", "h": "6"},
)


def test_images_that_only_one_person_read_are_left_out():
    assert sorted(side_by_side(TABLE).index) == ["a", "b", "c", "d", "e", "f"]


def test_agreement_is_the_share_read_alike_with_its_wilson_interval():
    found = agreement(side_by_side(TABLE))
    assert found.estimate == 0.5
    # Wilson at p = 1/2: 1/2 -+ z / (2 sqrt(n + z^2)) with n = 6, z = 1.959964.
    half = 1.959964 / (2 * math.sqrt(6 + 1.959964**2))
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-6)


@pytest.mark.parametrize(
    "table",
    [
        readers(),
        readers(human1={"a": "1"}),
        readers(output1={"a": "1"}, output2={"a": "1"}),
        readers(human1={"a": "1"}, human2={"b": "1"}),
    ],
    ids=["nobody", "one person", "models only", "different images"],
)
def test_without_two_people_on_an_image_there_is_no_baseline(table):
    assert side_by_side(table).empty


def test_agreement_by_what_is_written():
    # a 12 alike; b 3.5 / 35 not; c -4 / 4 not; d 700 alike; e 1 / 7 not; f 07 alike.
    table = agreement_by_kind(side_by_side(TABLE)).set_index("kind")
    assert table[["images", "alike"]].to_dict("index") == {
        "digits only": {"images": 4, "alike": 3},
        "with '.'": {"images": 1, "alike": 0},
        "with '-'": {"images": 1, "alike": 0},
        "1 character": {"images": 1, "alike": 0},
        "2 characters": {"images": 3, "alike": 2},
        "3 characters": {"images": 2, "alike": 1},
    }
    assert (table["low"] < table["estimate"] + 1e-9).all()


def test_every_sign_that_somebody_read_is_a_kind_of_its_own():
    table = readers(
        human1={"a": "12,5", "b": "1/2", "c": "3%", "d": "7"},
        human2={"a": "125", "b": "1/2", "c": "3", "d": "7"},
    )
    found = agreement_by_kind(side_by_side(table)).set_index("kind")
    assert found.loc["digits only", "images"] == 1
    signs = {kind: row["alike"] for kind, row in found.iterrows() if kind.startswith("with")}
    assert signs == {"with '%'": 0, "with ','": 0, "with '/'": 1}


# --- beside the arms


# Image  human1  human2  output1  run 0  run 1  clean  label of an identical labelled image
# h1     1       1       1        1      7      no     1
# h2     22      22      2        22     22     yes
# h3     3.3     3.3     3.3      3.3    33     yes
# h4     4       9       9        4      9      yes    9
PEOPLE = {
    "human1": {"h1": "1", "h2": "22", "h3": "3.3", "h4": "4"},
    "human2": {"h1": "1", "h2": "22", "h3": "3.3", "h4": "9"},
    "output1": {"h1": "1", "h2": "2", "h3": "3.3", "h4": "9"},
}
ARM = [["1", "22", "3.3", "4"], ["7", "22", "33", "9"]]
TRUTH = {"h1": "1", "h4": "9"}


def beside(people=PEOPLE, arm=ARM, told=True):
    """Two seeds of one arm that read the images of the people."""
    runs = []
    for seed, read in enumerate(arm):
        row, predictions = run(CTC, seed, RIGHT, val__exact_match=0.5)
        human = [
            {
                "run_id": row["run_id"], "split": "human", "filename": name, "reading": text,
                "truth": TRUTH.get(name, "") if told else "", "confidence": 0.9,
                # Group 0 is t1's, which is labelled 12.
                "group": 0 if name == "h1" else 100 + i, "clean": name != "h1",
            }
            for i, (name, text) in enumerate(zip(people["human1"], read, strict=True))
        ]  # fmt: skip
        runs.append((row, [*predictions, *human]))
    built = results(runs, people=people)
    (section,) = tables.sections(built)
    return baseline(section, built), built


def test_every_reader_is_held_against_people_and_truth():
    base, _ = beside()
    table = accuracy(base).set_index(["kind", "against", "leak"])
    assert not {("person", "agreed"), ("person", "either")} & set(table.index.droplevel("leak"))
    found = table["estimate"].to_dict
    human1 = table[table["reader"] == "human1"]["estimate"]
    assert human1.to_dict() == {
        ("person", "human2", "all"): 3 / 4,
        ("person", "human2", "leak-free"): 2 / 3,
        ("person", "human2", "leaked"): 1,
        ("person", "truth", "all"): 1 / 2,
        ("person", "truth", "leak-free"): 0,
        ("person", "truth", "leaked"): 1,
    }
    output = table[table["reader"] == "output1"]["estimate"].to_dict()
    assert output["output", "human1", "all"] == 2 / 4
    assert output["output", "agreed", "all"] == pytest.approx(2 / 3)
    assert output["output", "truth", "all"] == 1
    arm = {key: value for key, value in found().items() if key[0] == "arm"}
    # Both runs: human1 4/4 and 1/4, where they agree 3/3 and 1/3, either 4/4 and 2/4.
    assert arm["arm", "human1", "all"] == 5 / 8
    assert arm["arm", "agreed", "all"] == pytest.approx(4 / 6)
    assert arm["arm", "either", "leak-free"] == 5 / 6
    # On h4 alone: 4 and 9. Of h1 the arm has learnt the label.
    assert arm["arm", "truth", "leak-free"] == 1 / 2
    assert not {("arm", "truth", "all"), ("arm", "truth", "leaked")} & arm.keys()
    assert (table["low"] <= table["estimate"]).all()
    assert (table["high"] >= table["estimate"]).all()


def test_a_folder_of_older_runs_knows_the_truth_of_images_it_has_labels_of():
    _, built = beside(told=False)
    assert known_truth(built, "d1").to_dict() == {"h1": "12"}
    _, built = beside()
    assert known_truth(built, "d1").to_dict() == TRUTH
    assert known_truth(built, "another").empty


def many(arm_reads):
    """200 leak-free images that the people agree on but for the first ten; one run."""
    names = [f"i{n:03}" for n in range(200)]
    people = {
        "human1": dict.fromkeys(names, "1"),
        "human2": {name: "7" if n < 10 else "1" for n, name in enumerate(names)},
    }
    return beside(people, [[arm_reads(n) for n in range(200)]])


@pytest.mark.slow
def test_an_arm_that_reads_what_a_person_reads_is_not_inferior_to_that_person():
    base, _ = many(lambda _: "1")  # as human1
    like_one, like_two = not_inferior(base, margin=0.03)
    # Judged by human2 the arm is right wherever human1 is: no difference, and within 3 points.
    assert (like_one.person, like_one.judge, like_one.images) == ("human1", "human2", 200)
    assert like_one.difference.estimate == 0
    assert like_one.shown
    assert like_one.judgement.verdict == Verdict.EQUIVALENT
    # Judged by human1 it is right in all, human2 in 190.
    assert like_two.difference.estimate == pytest.approx(10 / 200)
    assert (like_two.judgement.verdict, like_two.judgement.direction) == (Verdict.SHOWN, 1)
    assert not not_inferior(base, margin=0.001)[0].shown


@pytest.mark.slow
def test_an_arm_that_misreads_is_not_shown_to_be_as_good():
    base, _ = many(lambda n: "1" if n < 170 else "5")
    for one in not_inferior(base, margin=0.01):
        assert not one.shown
        assert one.judgement.direction == -1
        assert one.p_adjusted >= one.p


def test_the_images_that_people_read_differently():
    base, _ = beside()
    table = disputed(base)
    assert list(table.index) == ["h4"]
    (row,) = table.to_dict("records")
    label = row.popitem()
    assert row == {"human1": "4", "human2": "9", "output1": "9", "truth": "9"}
    assert label == ("ctc columns small_cnn none", "4")


def test_people_who_agree_on_everything_leave_no_image_to_show():
    base, built = beside(PEOPLE | {"human2": PEOPLE["human1"]})
    table = disputed(base)
    assert len(table) == 0
    assert "truth" in table
    assert "### Beside the people" in markdown(built)


def test_an_arm_is_held_against_labels_where_training_has_no_copy():
    _, built = beside()
    rows = rows_of(markdown(built), "reader")
    # h4 alone is labelled and leak-free: one run of two reads it as its label.
    (truth,) = (row[5] for row in rows if row[0].startswith("ctc") and len(row) == 7)
    assert truth == "50.0"


def test_without_people_there_is_no_baseline():
    built = results([run(CTC, 0, RIGHT, val__exact_match=0.5)], people={})
    assert baseline(tables.sections(built)[0], built) is None
