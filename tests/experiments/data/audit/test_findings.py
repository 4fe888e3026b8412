"""The audit of a data set worked out by hand, and what its user gets."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image
from scipy.stats import binomtest

from analysis.page.page import Page
from experiments.data.audit.findings import audit
from experiments.data.audit.page import page, write_json
from experiments.errors import UserError

VALUES = "cell_images/training_set_values.txt"
LABELLED = "cell_images/training_set"
HUMAN = "cell_images/validation_set"


CHARSET, SHAPE = "0123456789.-", (1, 32, 64)


def facts_of(folder, charset=CHARSET):
    return audit(folder, charset, SHAPE, backbones=()).facts


def relabel(folder, **labels):
    """Other labels for these images, by their number: _3="12"."""
    file = folder / VALUES
    rows = [row.split(";") for row in file.read_text().splitlines()]
    new = {f"{number[1:]}.jpg": label for number, label in labels.items()}
    file.write_text("".join(f"{name};{new.get(name, value)}\n" for name, value in rows))


@pytest.fixture
def folder(make_cells):
    """Training images 1 to 8 (7 and 8 are copies of 1 and 2), dev 9 to 12 (12 is a copy of 1),
    human 1 to 4 (4 is a copy of training image 1).
    """
    return make_cells(train=8, dev=4, human=4, duplicates=2, leaked=1, human_leaked=1)


def test_copies_and_leaks_by_hand(folder):
    facts = facts_of(folder)
    assert facts["images"] == 16
    assert facts["parts"] == {"train": 8, "dev": 4, "human": 4}
    # 1, 7, 12 and human 4; 2 and 8.
    assert facts["duplicates"] == {"groups": 2, "images": 6}
    assert facts["leaks"] == [
        {"part": "dev", "of": "train", "images": 1},
        {"part": "human", "of": "labelled", "images": 1},
    ]
    overlap = {(pair["part"], pair["of"]): pair["images"] for pair in facts["overlap"]}
    assert overlap == {
        ("train", "dev"): 2, ("dev", "train"): 1, ("train", "human"): 2,
        ("human", "train"): 1, ("dev", "human"): 1, ("human", "dev"): 1,
    }  # fmt: skip
    assert facts["conflicts"] == []
    assert facts["sizes"] == {"60x34": 16}


def test_a_human_image_that_only_the_dev_list_has_leaks_too(folder):
    shutil.copy(folder / LABELLED / "10.jpg", folder / HUMAN / "2.jpg")
    leaks = {leak["part"]: leak["images"] for leak in facts_of(folder)["leaks"]}
    assert leaks == {"dev": 1, "human": 2}


def test_a_labelled_image_in_no_list_counts_as_labelled(folder):
    with (folder / VALUES).open("a") as values:
        values.write("extra.jpg;7\ngone.jpg;8\n")
    shutil.copy(folder / HUMAN / "1.jpg", folder / LABELLED / "extra.jpg")
    facts = facts_of(folder)
    assert facts["parts"]["unlisted"] == 1
    assert {leak["part"]: leak["images"] for leak in facts["leaks"]} == {"dev": 1, "human": 2}
    assert facts["problems"] == {"absent image": 1}
    assert "gone.jpg" in facts["problem_rows"][0]


def test_conflicts_and_what_they_cost_by_hand(folder):
    relabel(folder, _1="12", _7="12", _12="1.2", _2="5", _8="6")
    facts = facts_of(folder)
    groups = [sorted(image["filename"] for image in group) for group in facts["conflicts"]]
    assert sorted(groups) == [["1.jpg", "12.jpg", "7.jpg"], ["2.jpg", "8.jpg"]]
    cost = facts["conflicts_cost"]
    # Of three labels one is lost, of two one: two of five images; both groups conflict.
    assert (cost["images"], cost["duplicated"], cost["groups"]) == (2, 5, 2)
    assert cost["unreachable"]["estimate"] == pytest.approx(2 / 5)
    wilson = binomtest(2, 2).proportion_ci(method="wilson")
    assert cost["unreachable"]["low"] == pytest.approx(wilson.low * 2 / 5)


def test_without_conflicts_the_cost_may_still_be_above_zero(folder):
    cost = facts_of(folder)["conflicts_cost"]["unreachable"]
    assert cost["estimate"] == 0
    # Two groups of 2.5 images: none of two conflicts, and one of 2.5 images would be lost in each.
    wilson = binomtest(0, 2).proportion_ci(method="wilson")
    assert cost["high"] == pytest.approx(wilson.high / 2.5)


def test_without_copies_nothing_is_said_of_the_labels(make_cells):
    folder = make_cells(duplicates=0, leaked=0, human_leaked=0)
    facts = facts_of(folder)
    assert facts["conflicts_cost"] is None
    assert facts["leaks"] == []
    assert facts["duplicates"] == {"groups": 0, "images": 0}


def test_truth_for_free(folder):
    # Human image 4 is a copy of 1, 7 and 12: all agree. human1 is right, human2 says otherwise.
    relabel(folder, _1="12", _7="12", _12="12")
    (folder / "output/human1.txt").write_text("filename;value\n1.jpg;3\n4.jpg;12\n")
    (folder / "output/human2.txt").write_text("filename;value\n1.jpg;3\n4.jpg;1.2\n")
    known = facts_of(folder)["known_truth"]
    assert (known["images"], known["conflicting"]) == (1, 0)
    assert {r: (s["right"], s["of"]) for r, s in known["readers"].items()} == {
        "human1": (1, 1), "human2": (0, 1), "output1": (0, 1), "output2": (0, 1),
    }  # fmt: skip
    # Where the copies disagree, nobody knows.
    relabel(folder, _7="13")
    known = facts_of(folder)["known_truth"]
    assert (known["images"], known["conflicting"]) == (0, 1)
    assert known["readers"]["human1"] == {"right": 0, "of": 0}


def test_labels_by_hand(folder):
    labels = dict(
        zip(
            (f"_{n}" for n in range(1, 13)),
            ["8-", "12", "1,2", "-", "1.2.3", ".5", "5.", "11", "-7", "1.1", "00", "4"],
            strict=True,
        )
    )
    relabel(folder, **labels)
    facts = facts_of(folder)
    assert facts["outside_charset"] == [{"filename": "3.jpg", "label": "1,2"}]
    assert [label["label"] for label in facts["not_a_number"]] == ["8-", "1,2", "-", "1.2.3"]
    assert facts["labels"]["lengths"] == {"1": 2, "2": 7, "3": 2, "5": 1}
    assert facts["labels"]["repeats"] == 2
    assert facts["labels"]["characters"]["1"] == 7
    assert facts_of(folder, charset="0123456789.-,")["outside_charset"] == []


def test_ctc_needs_a_step_more_between_equal_neighbours(folder):
    relabel(folder, **{f"_{n}": "1" for n in range(1, 10)}, _10="12", _11="11", _12="1221")
    shares = facts_of(folder)["ctc_infeasible"]
    assert [shares[str(steps)] for steps in (1, 2, 3, 4, 5, 64)] == pytest.approx(
        [3 / 12, 2 / 12, 1 / 12, 1 / 12, 0, 0]
    )


@pytest.mark.slow
def test_time_steps_of_backbones_and_strides(folder):
    backbones = ("small_cnn", "resnet18")
    rows = audit(folder, CHARSET, (1, 32, 96), backbones).facts["time_steps"]
    steps = {(row["backbone"], row["width_stride"]): row["steps"] for row in rows}
    assert steps["small_cnn", 4] == 24
    assert {steps["resnet18", stride] for stride in (2, 8, 32)} == {48, 12, 3}
    # Strides that a backbone cannot have are left out, not made up.
    assert ("small_cnn", 32) not in steps


def test_what_is_wrong_is_collected_and_the_rest_goes_on(folder):
    relabel(folder, _2="")
    (folder / LABELLED / "3.jpg").unlink()
    (folder / LABELLED / "4.jpg").write_bytes(b"no image")
    Image.new("RGB", (60, 34), (200, 200, 200)).save(folder / LABELLED / "5.jpg")
    facts = facts_of(folder)
    assert facts["problems"] == {"empty label": 1, "absent image": 1, "unreadable image": 1}
    assert facts["unreadable"] == ["4.jpg"]
    assert facts["no_ink"] == ["5.jpg"]
    assert facts["images"] == 14


def test_a_folder_that_cannot_be_read_at_all_is_the_users_error(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        audit(tmp_path / "nowhere", CHARSET, SHAPE)


def test_the_page_shows_conflicts_with_pictures_and_escapes_what_users_write(folder):
    relabel(folder, _1="<b>|`1", _7="12", _12="12")
    found = audit(folder, CHARSET, SHAPE, backbones=())
    made = page(found)
    html, markdown = made.html(), made.markdown()
    assert html.count("data:image/png;base64,") == 3
    assert "http" not in html
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "1 dev images are identical to train ones" in markdown
    assert isinstance(made, Page)


def test_the_json_replaces_an_audit_and_nothing_else(folder, tmp_path):
    found = audit(folder, CHARSET, SHAPE, backbones=())
    file = tmp_path / "audit.json"
    write_json(found, file)
    write_json(found, file)
    assert json.loads(file.read_text()) == json.loads(json.dumps(found.facts))
    for other in ("my notes", "[1]", "{}"):
        file.write_text(other)
        with pytest.raises(UserError, match="is no audit"):
            write_json(found, file)
        assert file.read_text() == other
    with pytest.raises(UserError, match="no such folder"):
        write_json(found, tmp_path / "none" / "audit.json")
