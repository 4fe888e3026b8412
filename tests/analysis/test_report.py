"""The report on six test images and five that people read, every number worked out by hand."""

from __future__ import annotations

from functools import cache
from itertools import product

import pandas as pd
import pytest

from analysis.report import arms, comparisons, csv_files, markdown, read_chapters
from analysis.statistics import comparison as paired
from analysis.statistics.contest import contest
from analysis.tables import arms as tables
from analysis.tables.load import NoRunsError, Results, load

# The test images: truth, group of identical pixels, and whether training has no identical image.
# t3 is a copy of t2; t6 also stands in the training list.
TEST = {
    "t1": ("12", 0, True),
    "t2": ("7", 1, True),
    "t3": ("7", 1, True),
    "t4": ("3.5", 3, True),
    "t5": ("100", 4, True),
    "t6": ("44", 5, False),
}
RIGHT = [truth for truth, _, _ in TEST.values()]

# What the runs read. Exact match on the 6 test images, on the 5 leak-free ones (t6 left out), and
# edits over the 2 + 1 + 1 + 3 + 3 + 2 = 12 characters of the test part:
#              t1    t2   t3   t4     t5     t6     test   leak-free   CER
CTC_0 = ["12", "7", "7", "3.5", "10", "44"]  #      5/6    4/5         1/12
CTC_1 = ["12", "7", "7", "35", "10", "44"]  #       4/6    3/5         2/12
CE_0 = ["12", "1", "1", "35", "100", "44"]  #       3/6    2/5         3/12
CE_1 = ["12", "1", "1", "3.5", "100", "4"]  #       3/6    3/5         3/12

# The images that people read; h5 only human1, so it counts nowhere. h1 also stands in training.
#        human1  human2  alike   output1   ctc 0  ctc 1  ce 0   ce 1
# h1     1       1       yes     1         1      1      1      7
# h2     22      22      yes     2         22     22     2      22
# h3     3.3     3.3     yes     3.3       3.3    33     3.3    3.3
# h4     4       9       no      9         4      9      7      4
# h5     5       -       -       5
# as human1                      2/4       4/4    2/4    2/4    3/4
# as human2                      3/4       3/4    3/4    2/4    2/4
# where they agree (h1 to h3)    2/3       3/3    2/3    2/3    2/3
# as either                      3/4       4/4    3/4    2/4    3/4
# agreed and leak-free (h2, h3)            2/2    1/2    1/2    2/2
PEOPLE = {
    "human1": {"h1": "1", "h2": "22", "h3": "3.3", "h4": "4", "h5": "5"},
    "human2": {"h1": "1", "h2": "22", "h3": "3.3", "h4": "9"},
    "output1": {"h1": "1", "h2": "2", "h3": "3.3", "h4": "9", "h5": "5"},
}

CTC = {"loss": "ctc", "decoder": "columns", "hidden": "96", "loss_options.allow_infeasible": "no"}
CE = {"loss": "ce_stop", "decoder": "slots", "hidden": "128", "loss_options.length_weight": "1.0"}
CTC_LABEL, CE_LABEL = "ctc columns small_cnn none", "ce_stop slots small_cnn none"
# As the report calls them: all arms share the rest.
CTC_NAME, CE_NAME = "ctc columns", "ce_stop slots"


def run(settings, seed, read, *, digest="d1", split="published", images=TEST, human=(), **metrics):
    """One finished run: its row of `runs` and its rows of `predictions`."""
    run_id = "-".join([*settings.values(), str(seed), digest, split])
    common = {
        "backbone": "small_cnn",
        "augmentation.name": "none",
        "epochs": "20",
        "recipe": "1",
        "fold": "0",
        "seed": str(seed),
    }
    row = {
        "run_id": run_id,
        "tags.dataset": "cells",
        "tags.data_digest": digest,
        "tags.split": split,
        "tags.machine": "abacus, 1 threads",
        "tags.torch": "9.9",
        "experiment_id": "7",
        "folder": "nowhere",
        **{f"config.{key}": value for key, value in (common | settings).items()},
        **{
            f"metrics.{name.replace('__', '.')}": float(value)
            for name, value in metrics.items()
            if value is not None
        },
    }
    predictions = [
        {
            "run_id": run_id,
            "split": "test",
            "filename": filename,
            "truth": truth,
            "reading": reading,
            "confidence": 0.9,
            "label_loss": 0.1,
            "group": group,
            "clean": clean,
            "part": "dev",
            "changed": False,
        }
        for (filename, (truth, group, clean)), reading in zip(images.items(), read, strict=True)
    ]
    about = {"split": "human", "truth": "", "confidence": 0.9, "part": "human", "changed": False}
    predictions += [
        {"run_id": run_id, "filename": f"h{i}", "reading": text, "group": 100 + i, "clean": i > 1}
        | about
        for i, text in enumerate(human, 1)
    ]
    # A validation image under a test image's name: only the test part is to be judged.
    example = ("run_id", run_id), ("filename", "t1"), ("truth", "12"), ("group", 0)
    unread = {"split": "val", "reading": "wrong", "confidence": 0.9, "clean": False}
    return row, [*predictions, dict(example) | unread | {"part": "train", "changed": False}]


def results(runs, people=PEOPLE, unfinished=()):
    rows, predictions = zip(*runs, strict=True)
    digests = sorted({row["tags.data_digest"] for row in rows})
    readers = [
        {"data_digest": digest, "reader": reader, "filename": filename, "reading": reading}
        for digest in digests
        for reader, by_name in people.items()
        for filename, reading in by_name.items()
    ]
    return Results(
        runs=pd.DataFrame(rows).set_index("run_id"),
        predictions=pd.DataFrame([p for some in predictions for p in some]).assign(
            changed=lambda table: table["changed"].eq(True),
            # As they are loaded: in the order in which the runs began.
            run_id=lambda table: pd.Categorical(table["run_id"], [row["run_id"] for row in rows]),
        ),
        readers=pd.DataFrame(readers, columns=["data_digest", "reader", "filename", "reading"]),
        unfinished=pd.DataFrame(unfinished, columns=["run_id", "tags.mlflow.runName", "status"]),
    )


def scores(val, test, clean, cer, seconds):
    """The metrics of a run by the names that it logs."""
    return {
        "val__exact_match": val,
        "test__exact_match": test,
        "test_clean__exact_match": clean,
        "test__cer": cer,
        "train__seconds": seconds,
    }


def beside_people(human1, human2, agreed, either, agreed_clean):
    shares = locals()
    return {f"{name}__exact_match": share for name, share in shares.items()}


def four_runs():
    """Two losses by two seeds: the tables above as the runs log them."""
    ctc_0 = scores(1, 5 / 6, 4 / 5, 1 / 12, 100) | beside_people(1, 3 / 4, 1, 1, 1)
    ctc_1 = scores(1 / 2, 4 / 6, 3 / 5, 2 / 12, 110)
    ctc_1 |= beside_people(2 / 4, 3 / 4, 2 / 3, 3 / 4, 1 / 2)
    ce_0 = scores(1 / 2, 3 / 6, 2 / 5, 3 / 12, 80)
    ce_0 |= beside_people(2 / 4, 2 / 4, 2 / 3, 2 / 4, 1 / 2)
    ce_1 = scores(1 / 2, 3 / 6, 3 / 5, 3 / 12, 90) | beside_people(3 / 4, 2 / 4, 2 / 3, 3 / 4, 1)
    return [
        run(CE, 0, CE_0, human=["1", "2", "3.3", "7"], **ce_0),
        run(CTC, 0, CTC_0, human=["1", "22", "3.3", "4"], **ctc_0),
        run(CE, 1, CE_1, human=["7", "22", "3.3", "4"], **ce_1),
        run(CTC, 1, CTC_1, human=["1", "22", "33", "9"], **ctc_1),
    ]


@cache
def report_of_four_runs():
    return markdown(results(four_runs()))


def rows_of(report, first_head):
    """The body of the table whose first head this is, a list of cells a row."""
    lines = report.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_head} |"))
    body = []
    for line in lines[at + 2 :]:
        if not line.startswith("|"):
            break
        body.append([cell.strip() for cell in line.strip("|").split("|")])
    return body


# --- the golden report


def test_arms_by_hand():
    # The best on validation first. Means and standard deviations (n - 1) of two values a and b
    # are (a + b) / 2 and |a - b| / sqrt(2):
    #   ctc  val 1, 1/2 -> 75.0 and 35.4; test 5/6, 4/6 -> 75.0 and 11.8;
    #        leak-free 4/5, 3/5 -> 70.0 and 14.1; CER 1/12, 2/12 -> 12.5 and 5.9; 105 s
    #   ce   val 1/2, 1/2; test 3/6, 3/6; leak-free 2/5, 3/5 -> 50.0 and 14.1; CER 3/12 twice; 85 s
    report = report_of_four_runs()
    assert (
        "| arm | seeds | val | test | leak-free test | CER | train seconds |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        f"| {CTC_NAME} | 2 | 75.0 ± 35.4 | 75.0 ± 11.8 | 70.0 ± 14.1 | 12.5 ± 5.9 | 105 |\n"
        f"| {CE_NAME} | 2 | 50.0 ± 0.0 | 50.0 ± 0.0 | 50.0 ± 14.1 | 25.0 ± 0.0 | 85 |\n"
    ) in report
    assert "Test: 6 images, 5 of them leak-free: without an identical image in training," in report


def test_arms_are_a_table_for_other_programs():
    found = results(four_runs())
    chapters = read_chapters(found)
    table = arms(chapters)
    assert list(table["loss"]) == ["ctc", "ce_stop"]
    assert list(table["seeds"]) == [2, 2]
    assert list(table["exact_match"]) == pytest.approx([0.7, 0.5])
    assert list(table["test_clean"]) == pytest.approx([0.7, 0.5])
    assert list(table["test_clean_sd"]) == pytest.approx([0.1 * 2**0.5] * 2)
    assert list(table["images"]) == [5, 5]
    assert ((table["low"] < table["exact_match"]) & (table["exact_match"] < table["high"])).all()
    of_ctc = found.runs.index[found.runs["config.loss"] == "ctc"]
    assert table["runs"][0] == list(of_ctc)
    rows = csv_files(found, chapters)["arms.csv"].splitlines()
    assert len(rows) == 3
    assert " ".join(of_ctc) in rows[1]


def test_the_metrics_above_are_those_of_the_readings():
    # Guards the hand-made table itself: what the runs log belongs to what they read.
    for row, predictions in four_runs():
        test = [p for p in predictions if p["split"] == "test"]
        hits = [p["truth"] == p["reading"] for p in test]
        clean = [hit for hit, p in zip(hits, test, strict=True) if p["clean"]]
        assert row["metrics.test.exact_match"] == pytest.approx(sum(hits) / 6)
        assert row["metrics.test_clean.exact_match"] == pytest.approx(sum(clean) / 5)


def test_the_paired_difference_by_hand():
    # ce - ctc on the leak-free images:
    #             t1   t2   t3   t4   t5
    #   seed 0    0    -1   -1   -1   +1     -2/5
    #   seed 1    0    -1   -1   +1   +1      0
    # Over both: -2/10, or -20.0 points. t2 and t3 are one group. The interval of so few is wider
    # than all there is; the sentence names the better one first, which turns it. For these seeds
    # the groups' sums are 0, -4, 0, +2: of their signs' four combinations all are as far from zero
    # as -2, so that the exact p is 1, and no other may be smaller.
    report = report_of_four_runs()
    assert (
        "| first | second | seeds | images | first - second | 95% interval | p | judgement | would "
        "show |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        f"| {CE_NAME} | {CTC_NAME} | 2 | 5 | -20.0 | -100.0 to +100.0 | 1.00 | not shown |  |\n\n"
    ) in report
    assert (
        f"\nNo difference is shown between **{CTC_NAME}** and **{CE_NAME}**: +20.0 points (95% "
        "interval -100.0 to +100.0; p = 1.00; 2 seeds, 5 leak-free test images, the pair chosen by "
        "validation).\n"
    ) in report


def test_the_people_by_hand():
    # They agree on h1, h2 and h3 of four: 75%. Wilson with z^2 = 3.8415 and n = 4:
    #   centre (0.75 + 3.8415 / 8) / (1 + 3.8415 / 4) = 1.23018 / 1.96036 = 0.6275
    #   half   1.95996 sqrt(0.1875 / 4 + 3.8415 / 64) / 1.96036 = 0.3269
    report = report_of_four_runs()
    assert (
        "Two people read 4 images and agree on 75.00% of them (95% interval 30.1 to 95.4)."
    ) in report
    # ctc  human1 4/4, 2/4; human2 3/4, 3/4; agreed 3/3, 2/3; either 4/4, 3/4; leak-free 2/2, 1/2
    # ce   human1 2/4, 3/4; human2 2/4, 2/4; agreed 2/3, 2/3; either 2/4, 3/4; leak-free 1/2, 2/2
    assert (
        "| reader | human1 | human2 | agreed | either | truth | agreed, leak-free (95%) |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    ) in report
    # output1 agrees on one of the two agreed leak-free images.
    table = {row[0]: row[1:] for row in rows_of(report, "reader") if len(row) == 7}
    assert table["human1"] == ["", "75.0", "", "", "", ""]
    assert table["output1"][:4] == ["50.0", "75.0", "66.7", "75.0"]
    assert table[CTC_NAME][:4] == ["75.0", "75.0", "83.3", "87.5"]
    assert table[CE_NAME][:4] == ["62.5", "50.0", "66.7", "62.5"]
    assert [table[r][5].split(" ")[0] for r in ("output1", CTC_NAME, CE_NAME)] == [
        *("50.0", "75.0", "75.0")
    ]


def test_where_it_comes_from():
    report = report_of_four_runs()
    assert "Data digest `d1`; 4 runs (runs.csv); torch 9.9; abacus, 1 threads." in report
    assert report.count("\n## ") == 1
    assert "\n## cells, published split\n" in report
    assert "Runs that do not count" not in report
    for row, _ in four_runs():
        assert f"`#/experiments/7/runs/{row['run_id']}`" in report


def test_the_same_runs_in_any_order_give_the_same_report():
    assert markdown(results(four_runs()[::-1])) == report_of_four_runs()


# --- verdicts


# Sixty test images: enough to show something.
MANY = {f"m{i}": ("12", i, True) for i in range(60)}


def two_runs(first, second, **changes):
    """One seed of each loss with these readings, their other numbers without interest."""
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    return [run(CTC, 0, first, **numbers, **changes), run(CE, 0, second, **numbers, **changes)]


def test_a_difference_on_every_image_is_shown():
    # With an imagined image for each side the centre is 60/62, the squares off it add up to
    # 60 (2/62)^2 + (2/62)^2 + (122/62)^2 = 3.9355, over 62 x 61 the variance is 0.0010406, and with
    # t(61) = 1.99962 the ends are 0.9677 -+ 0.0645.
    report = markdown(results(two_runs(["12"] * 60, ["-"] * 60, images=MANY)))
    assert rows_of(report, "first") == [
        [
            CE_NAME,
            CTC_NAME,
            "1",
            "60",
            "-100.0",
            "-100.0 to -90.3",
            "< 0.001",
            "shown: second",
            "9.2",
        ]
    ]
    assert (
        f"**{CTC_NAME}** reads more cells right than **{CE_NAME}**: +100.0 points (95% interval "
        "+90.3 to +100.0; p < 0.001; 1 seed, 60 leak-free test images,"
    ) in report
    assert "**It holds for the one seed that was run, and says nothing about others.**" in report
    # The other way round that lead is there.
    turned = markdown(results(two_runs(["-"] * 60, ["12"] * 60, images=MANY)))
    assert f"**{CE_NAME}** reads more cells right than **{CTC_NAME}**: +100.0" in turned
    assert "is ruled out for these two" in report
    assert "is ruled out for these two" not in turned


def test_readings_that_are_the_same_rule_a_large_lead_out():
    report = markdown(results(two_runs(["12"] * 60, ["12"] * 60, images=MANY)))
    assert rows_of(report, "first")[0][7] == "not shown"
    assert "leads by 10 points or more, as published, is ruled out for these two" in report


def test_what_is_read_on_leaked_images_decides_nothing():
    on_leaked = [*RIGHT[:5], "-"]
    report = markdown(results(two_runs(RIGHT, on_leaked)))
    assert rows_of(report, "first")[0][2:4] == ["1", "5"]
    assert float(rows_of(report, "first")[0][4]) == 0


def test_only_seeds_that_both_arms_have_are_paired():
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    runs = [
        run(CTC, 0, RIGHT, **numbers),
        run(CTC, 1, ["-"] * 6, **numbers),
        run(CE, 1, RIGHT, **numbers),
        run(CE, 2, ["-"] * 6, **numbers),
    ]
    row = rows_of(markdown(results(runs)), "first")[0]
    assert (row[2], row[4]) == ("1", "+100.0")  # seed 1 alone: ce_stop right, ctc wrong


def test_arms_without_a_seed_in_common_are_not_paired():
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    report = markdown(results([run(CTC, 0, RIGHT, **numbers), run(CE, 1, RIGHT, **numbers)]))
    assert "There is nothing to compare yet" in report
    assert "| first |" not in report


# --- what is not there


def test_one_seed_has_no_standard_deviation():
    report = markdown(results(four_runs()[:2]))
    assert "±" not in report.replace("± standard", "")
    assert rows_of(report, "arm") == [
        [CTC_NAME, "1", "100.0", "83.3", "80.0", "8.3", "100"],
        [CE_NAME, "1", "50.0", "50.0", "40.0", "25.0", "80"],
    ]


@pytest.mark.parametrize("people", [{}, {"human1": {"h1": "1"}}, {"output1": {"h1": "1"}}])
def test_without_two_people_the_report_says_so(people):
    report = markdown(results(four_runs(), people=people))
    assert "There is no human baseline: this data set has no images that two people" in report
    assert "| reader |" not in report
    assert len(rows_of(report, "arm")) == 2


def test_a_person_who_read_an_empty_cell_as_empty_counts():
    people = {"human1": {"h1": "", "h2": "3"}, "human2": {"h1": "", "h2": "8"}}
    report = markdown(results(four_runs(), people=people))
    assert "Two people read 2 images and agree on 50.00%" in report


def test_a_reader_of_none_of_the_peoples_images_is_no_obstacle():
    people = PEOPLE | {"output1": {"h9": "1"}}
    assert "Two people read 4 images" in markdown(results(four_runs(), people=people))


@pytest.mark.parametrize("split", ["published", "clean"])
def test_a_test_part_without_any_leak_free_image_is_no_obstacle(split):
    # All of it stands in training too: `clean` has no test image left, `published` none to pair.
    leaked = {name: (*about[:2], False) for name, about in TEST.items() if split == "published"}
    test = 1 / 2 if leaked else None
    numbers = scores(1 / 2, test, None, test, 1)
    read = RIGHT[: len(leaked)]
    runs = [run(s, 0, read, split=split, images=leaked, **numbers) for s in (CTC, CE)]
    report = markdown(results(runs))
    shown = "50.0" if leaked else ""
    assert [row[2:5] for row in rows_of(report, "arm")] == [["50.0", shown, ""]] * 2
    assert "| first |" not in report


def test_zero_has_no_sign_of_its_own():
    # ce_stop misreads one image more: the turned interval of its loss begins at nothing.
    report = markdown(results(two_runs(RIGHT, [*RIGHT[:4], "-", RIGHT[5]])))
    assert "No difference is shown" in report
    assert "-0.0" not in report


def test_one_loss_alone_is_not_compared():
    report = markdown(results([r for r in four_runs() if r[0]["config.loss"] == "ctc"]))
    assert "There is nothing to compare yet" in report
    assert "| first |" not in report
    assert [row[0] for row in rows_of(report, "arm")] == [CTC_NAME]


def test_unfinished_runs_are_listed():
    unfinished = [("abc", "ctc-columns-7", "KILLED"), ("def", "ce_stop-slots-7", "FAILED")]
    report = markdown(results(four_runs(), unfinished=unfinished))
    assert report.endswith(
        "## Runs that do not count\n\n- ctc-columns-7 (abc): KILLED\n"
        "- ce_stop-slots-7 (def): FAILED\n"
    )


def test_a_folder_without_a_store_has_no_runs(tmp_path):
    with pytest.raises(NoRunsError, match=f"{tmp_path}: no runs here"):
        load(tmp_path)
    assert not list(tmp_path.iterdir())  # looking makes no store


# --- what must not be mixed


def test_two_data_sets_under_one_name_are_two_sections():
    both = two_runs(RIGHT, ["-"] * 6) + two_runs(["-"] * 6, RIGHT, digest="d2")
    sections = markdown(results(both)).split("\n## ")[1:]
    assert len(sections) == 2
    for section, digest, difference in zip(
        sections, ("d1", "d2"), ("-100.0", "+100.0"), strict=True
    ):
        assert f"Data digest `{digest}`; 2 runs" in section
        assert [row[1] for row in rows_of(section, "arm")] == ["1", "1"]
        assert [row[4] for row in rows_of(section, "first")] == [difference]


def test_the_two_splits_are_two_sections():
    only_clean = {name: about for name, about in TEST.items() if about[2]}
    numbers = scores(1, 3 / 5, 3 / 5, 1 / 12, 1)
    runs = four_runs() + [
        run(settings, 0, RIGHT[:5], split="clean", images=only_clean, **numbers)
        for settings in (CTC, CE)
    ]
    published, clean = markdown(results(runs)).split("\n## ")[1:]
    assert published.startswith("cells, published split\n")
    assert clean.startswith("cells, clean split\n")
    assert "Test: 5 images, 5 of them" in clean
    # All of the clean test part is leak-free, so the two columns are one.
    assert {tuple(row[2:5]) for row in rows_of(clean, "arm")} == {("100.0", "60.0", "60.0")}
    assert len(rows_of(published, "arm")) == 2


def test_arms_that_differ_in_another_setting_are_kept_apart_and_named_by_it():
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    best = scores(1, 1, 1, 0, 1)
    runs = [
        run(CTC, 0, ["12"] * 60, images=MANY, **numbers),
        run(CTC | {"epochs": "40"}, 0, ["12"] * 60, images=MANY, **best),
        run(CE, 0, ["-"] * 60, images=MANY, **numbers),
    ]
    report = markdown(results(runs))
    arms = [row[0] for row in rows_of(report, "arm")]
    # ce_stop was trained in one way only, and needs no more than its name.
    # Of two values as common the first in the alphabet goes without saying, and is told below.
    assert sorted(arms) == sorted([CTC_NAME, f"{CTC_NAME} epochs=40", CE_NAME])
    assert "where a name does not say otherwise `epochs=20`" in report
    assert [row[1] for row in rows_of(report, "arm")] == ["1", "1", "1"]
    # Only the two that differ in the loss alone are a pair...
    assert [row[:2] for row in rows_of(report, "first")] == [[CE_NAME, CTC_NAME]]
    # ... and the answer is about them, not about an arm that was trained twice as long.
    assert f"**{CTC_NAME}** reads more" in report


def test_two_decoders_of_one_loss_are_two_arms_each_compared_with_the_other_loss():
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    latent = CE | {"decoder": "latent_lstm", "hidden": "512"}
    runs = [run(settings, 0, RIGHT, **numbers) for settings in (CTC, CE, latent)]
    pairs = [row[:2] for row in rows_of(markdown(results(runs)), "first")]
    # Never ce_stop with ce_stop: they do not differ in the loss.
    assert sorted(pairs) == [
        ["ce_stop latent_lstm", CTC_NAME],
        [CE_NAME, CTC_NAME],
    ]


def test_an_arm_and_seed_made_twice_counts_once():
    (once, predictions), other = two_runs(RIGHT, RIGHT)
    again = {**once, "run_id": "again", "metrics.test.exact_match": 1.0}
    repeated = again, [{**p, "run_id": "again"} for p in predictions]
    report = markdown(results([(once, predictions), other, repeated]))
    rows = {row[0]: row for row in rows_of(report, "arm")}
    assert rows[CTC_NAME][1] == "1"
    assert rows[CTC_NAME][3] == "100.0"  # the later one


def test_runs_of_one_arm_judged_on_different_images_raise():
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    fewer = {name: about for name, about in TEST.items() if name != "t4"}
    runs = [
        run(CTC, 0, RIGHT, **numbers),
        run(CE, 0, RIGHT, **numbers),
        run(CTC, 1, RIGHT, **numbers),
        run(CE, 1, [t for t, _, _ in fewer.values()], images=fewer, **numbers),
    ]
    with pytest.raises(ValueError, match="judged on different images"):
        markdown(results(runs))


def test_arms_judged_on_different_images_raise():
    # As many images, but not the same: paired image by image this would compare t5 with t9.
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    others = {("t9" if name == "t5" else name): about for name, about in TEST.items()}
    runs = [run(CTC, 0, RIGHT, **numbers), run(CE, 0, RIGHT, images=others, **numbers)]
    with pytest.raises(ValueError, match="judged on different images"):
        markdown(results(runs))


def test_arms_of_different_optimizers_are_kept_apart_and_named_by_them():
    numbers = scores(1 / 2, 1 / 2, 1 / 2, 1 / 2, 1)
    cyclic = {"optimizer.name": "sgd_cyclic", "optimizer.base_lr": "0.001"}
    one_cycle = {"optimizer.name": "adamw_onecycle", "optimizer.warmup": "0.25"}
    runs = [
        run(settings | optimizer, 0, RIGHT, **numbers)
        for settings in (CTC, CE)
        for optimizer in (cyclic, one_cycle)
    ]
    report = markdown(results(runs))
    arms = [row[0] for row in rows_of(report, "arm")]
    assert len(set(arms)) == 4
    assert sum("sgd_cyclic" in arm for arm in arms) == 2
    assert len(rows_of(report, "first")) == 2


# --- the tables by themselves


def test_a_comparison_turned_twice_is_itself():
    built = results(four_runs())
    (section,) = tables.sections(built)
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert pair.turned().turned() == pair
    assert pair.turned().judgement.direction == -pair.judgement.direction
    assert (pair.turned().first, pair.turned().second) == (pair.second, pair.first)
    assert pair.turned().difference.low == -pair.difference.high


def test_the_pair_of_the_answer_is_chosen_by_validation_not_by_test():
    better_on_val, better_on_test = scores(0.9, 0.1, 0.1, 0.5, 1), scores(0.8, 1, 1, 0, 1)
    runs = [
        run(arm | {"epochs": epochs}, 0, RIGHT, **numbers)
        for arm in (CTC, CE)
        for epochs, numbers in (("20", better_on_val), ("40", better_on_test))
    ]
    built = results(runs)
    (section,) = tables.sections(built)
    best = paired.best_by_validation(
        section, paired.comparisons(section, contest(section, built.predictions))
    )
    assert best is not None
    assert (best.first, best.second) == (f"{CE_LABEL} epochs=20", f"{CTC_LABEL} epochs=20")


def test_a_pair_of_one_seed_is_no_answer_beside_one_of_two():
    """It validates best by luck as soon as there are several of them."""
    runs = [
        run(arm | {"epochs": epochs}, seed, RIGHT, **scores(val, 1, 1, 0, 1))
        for arm in (CTC, CE)
        for epochs, val, seeds in (("20", 0.8, 2), ("40", 0.9, 1))
        for seed in range(seeds)
    ]
    text = markdown(results(runs))
    answer = next(line for line in text.splitlines() if "leak-free test images" in line)
    assert "2 seeds" in answer
    assert "chosen by validation among those with the most runs" in answer


def test_a_mixture_of_both_losses_is_never_the_answer():
    hybrid = CE | {"loss": "hybrid"}
    runs = [
        run(arm, 0, RIGHT, **scores(val, 0.5, 0.5, 0.5, 1))
        for arm, val in ((CTC, 0.7), (CE, 0.6), (hybrid, 0.9))
    ]
    built = results(runs)
    (section,) = tables.sections(built)
    pairs = paired.comparisons(section, contest(section, built.predictions))
    assert [pair.family for pair in pairs] == [3, 3, 3]
    assert paired.best_by_validation(section, pairs).losses == ("ce_stop", "ctc")
    assert paired.best_by_validation(section, [p for p in pairs if "hybrid" in p.losses]) is None
    text = markdown(results([runs[0], runs[2]]))
    assert "No pair of CTC and cross-entropy + stop is there to compare" in text
    assert "nothing to compare yet" not in text


def test_the_folds_of_one_seed_are_one_test_part():
    # Each fold reads other images; together they are those of the two runs of one test part.
    halves = {"0": dict(list(TEST.items())[:2]), "1": dict(list(TEST.items())[2:])}
    folds = [
        run(arm | {"fold": fold}, 0, ["wrong" if arm is CTC else t for t, _, _ in images.values()],
            split="kfold", images=images, val__exact_match=1)
        for arm in (CTC, CE)
        for fold, images in halves.items()
    ]  # fmt: skip
    (section,) = tables.sections(results(folds))
    assert list(tables.arms(section)["seeds"]) == [1, 1]
    (pair,) = paired.comparisons(section, contest(section, results(folds).predictions))
    clean = sum(clean for _, _, clean in TEST.values())
    assert (pair.seeds, pair.images, abs(pair.difference.estimate)) == (1, clean, 1)
    # A fold that only one of the arms has read is no part of the comparison.
    (section,) = tables.sections(results(folds[:3]))
    (pair,) = paired.comparisons(section, contest(section, results(folds[:3]).predictions))
    assert pair.images == sum(clean for _, _, clean in halves["0"].values())


def test_folds_stand_for_seeds():
    """The second arm misreads seven, one and none of the eight images of three folds."""
    images = {f"{n}.png": ("12", n, True) for n in range(24)}
    parts = [dict(list(images.items())[8 * k : 8 * k + 8]) for k in range(3)]
    wrong = [7, 1, 0]

    def made(seeds):
        return [
            run(arm | {"fold": str(fold)}, seed,
                ["x" if arm is CE and n < wrong[fold] else "12" for n in range(8)],
                split="kfold", images=part, **scores(1, 1, 1, 0, 1))
            for seed in seeds for arm in (CTC, CE) for fold, part in enumerate(parts)
        ]  # fmt: skip

    built = results(made([0]))
    (section,) = tables.sections(built)
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert (pair.seeds, pair.difference.folds, pair.difference.freedom) == (1, 3, 2)
    assert not pair.one_seed
    assert pair.p > pair.p_exact
    assert pair.components is None
    text = markdown(built)
    assert "1 seed, over 3 folds, 24 leak-free test images" in text
    assert "the one seed that was run" not in text
    assert "with one seed" not in text.lower()
    assert "| seeds | folds | images |" in text
    (row,) = comparisons(read_chapters(built)).to_dict("records")
    assert (row["seeds"], row["folds"], row["images"]) == (1, 3, 24)
    # However many seeds there are: each fold's images are read by trainings on the same others.
    built = results(made([0, 1, 2]))
    (section,) = tables.sections(built)
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert (pair.seeds, pair.difference.folds, pair.difference.freedom) == (3, 3, 2)


def folded(folds, made):
    """Six images dealt into folds; CTC reads all, the other those of all folds but the first."""
    images = {f"{n}.png": ("12", n, True) for n in range(6)}
    parts = [dict(list(images.items())[fold::folds]) for fold in range(folds)]
    return [
        run(arm | {"fold": str(fold), "folds": str(folds)}, seed,
            ["x" if arm is CE and fold == 0 else "12"] * len(parts[fold]),
            split="kfold", images=parts[fold], **scores(1, 1, 1, 0, 1))
        for seed, fold in made for arm in (CTC, CE)
    ]  # fmt: skip


def test_of_seeds_that_have_read_other_folds_the_one_with_the_most_is_compared():
    built = results(folded(3, [(1, 2), (0, 0), (0, 1)]))
    (section,) = tables.sections(built)
    assert contest(section, built.predictions).seeds.families == []
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert (pair.seeds, pair.images, pair.difference.folds, pair.lacking) == (1, 4, 2, 1)
    assert "1 seed, over 2 of 3 folds, 4 leak-free test images" in markdown(built)


def test_a_seed_that_has_read_one_fold_takes_none_from_another():
    """The images of all folds, by the seed that has read them."""
    built = results(folded(3, [(0, 0), (0, 1), (0, 2), (1, 0)]))
    (section,) = tables.sections(built)
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert (pair.seeds, pair.images, pair.difference.folds, pair.lacking) == (1, 6, 3, 0)
    # And as many seeds as have read them all.
    built = results(folded(3, [(seed, fold) for seed in range(2) for fold in range(3)]))
    (section,) = tables.sections(built)
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert (pair.seeds, pair.images, len(pair.run_ids[0])) == (2, 6, 6)


def test_folds_that_are_not_there_yet_are_counted():
    built = results(folded(3, [(0, 0), (0, 2)]))
    (section,) = tables.sections(built)
    (pair,) = paired.comparisons(section, contest(section, built.predictions))
    assert (pair.images, pair.lacking) == (4, 1)
    assert "1 seed, over 2 of 3 folds, 4 leak-free test images" in markdown(built)


def test_a_fold_without_a_name_is_the_only_one():
    """As where one of several runs is of a version that knew no folds."""
    built = results(four_runs())
    built.runs.loc[built.runs.index[0], "config.fold"] = None
    assert markdown(built) == markdown(results(four_runs()))


def test_arms_in_other_numbers_of_folds_are_families_of_their_own():
    """Each has read all images, but in runs that stand for other trainings."""
    built = results([run for n in (2, 3) for run in folded(n, [(0, fold) for fold in range(n)])])
    (section,) = tables.sections(built)
    families = contest(section, built.predictions).seeds.families
    assert sorted(len(set(family.folds)) for family in families) == [2, 3]
    assert [len(family.arms) for family in families] == [2, 2]
    pairs = paired.comparisons(section, contest(section, built.predictions))
    assert sorted(pair.difference.folds for pair in pairs) == [2, 3]


def test_runs_of_an_older_recipe_do_not_compete():
    runs = [
        run(arm | {"recipe": r}, 0, RIGHT, **scores(1, 1, 1, 0, 1))
        for arm in (CTC, CE)
        for r in "12"
    ]
    (section,) = tables.sections(results(runs))
    assert set(section.runs["config.recipe"]) == {"2"}


# --- runs that start from others


def started(settings, seed, before, **metrics):
    """A run with a hash of its own that starts from the run `before`."""
    digest = metrics.pop("digest", "d1")
    row, predictions = run(settings, seed, RIGHT, digest=digest, **metrics)
    own = "-".join([*settings.values(), str(seed), digest, before or ""])
    row |= {"run_id": own, "tags.run_hash": own, "config.start": before or ""}
    return row, [prediction | {"run_id": own} for prediction in predictions]


def pretrained_pairs(seeds=(0, 1), **ce_before):
    """Two losses, each from a run on other data, whose hash is another for every seed."""
    runs = []
    for seed, settings in product(seeds, (CTC, CE)):
        pre = settings | (ce_before if settings is CE else {})
        first = started(pre, seed, None, digest="digits", val__exact_match=1)
        first[0]["tags.dataset"] = "digits"
        second = started(settings, seed, first[0]["run_id"], val__exact_match=0.5)
        runs += [first, second]
    return runs


def test_seeds_of_one_arm_that_start_from_runs_of_their_own_are_one_arm():
    sections = tables.sections(results(pretrained_pairs()))
    # Digits were there first, but nothing is judged by them.
    assert [section.dataset for section in sections] == ["cells", "digits"]
    for section in sections:
        assert tables.arms(section)["seeds"].tolist() == [2, 2]
        assert len(section.runs) == 4


def test_runs_pretrained_each_with_its_own_loss_are_compared_and_never_with_the_first_stage():
    found = results(pretrained_pairs())
    for section in tables.sections(found):
        (pair,) = paired.comparisons(section, contest(section, found.predictions))
        assert {pair.first, pair.second} == set(section.runs["label"])
        assert pair.seeds == 2
        assert set(section.runs["tags.data_digest"]) == {section.digest}


def test_what_was_before_tells_arms_apart_and_names_them():
    pretrained = pretrained_pairs(seeds=(0,))
    plain = started(CE, 0, None, val__exact_match=0.4)
    (section, _) = tables.sections(results([*pretrained, plain]))
    names = {f"{CTC_LABEL} start=digits columns", f"{CE_LABEL} start=digits slots"}
    assert set(section.runs["label"]) == {*names, CE_LABEL}
    # CTC that was pretrained is no twin of cross-entropy that was not.
    (pair,) = paired.comparisons(
        section, contest(section, results([*pretrained, plain]).predictions)
    )
    assert {pair.first, pair.second} == names


def test_pretraining_on_other_terms_than_the_other_loss_is_no_comparison():
    found = results(pretrained_pairs(seeds=(0,), epochs="99"))
    section = tables.sections(found)[0]
    assert paired.comparisons(section, contest(section, found.predictions)) == []


def test_two_arms_whose_pretraining_differs_in_more_than_its_name_have_two_names():
    short = pretrained_pairs(seeds=(0,))
    longer = pretrained_pairs(seeds=(0,), epochs="99")[2:]
    section = tables.sections(results([*short, *longer]))[0]
    names = section.runs.loc[section.runs["config.loss"] == "ce_stop", "label"]
    assert len(set(names)) == 2
    assert all(name.startswith(CE_LABEL) for name in names)


def test_a_chain_is_told_from_its_first_run_on_and_a_deleted_one_by_its_hash():
    first = started(CTC, 0, None, digest="digits")
    second = started(CE, 0, first[0]["run_id"], digest="digits")
    last = started(CE, 0, second[0]["run_id"])
    plain = started(CE, 0, None)
    for row, _ in (first, second):
        row["tags.dataset"] = "digits"
    lost = started(CE | {"decoder": "lost"}, 0, "0123456789abcdef")
    runs = results([first, second, last, plain, lost]).runs
    columns = ["config.loss", "config.decoder"]
    found = tables.pretraining(runs, columns, columns[1:])
    assert found["label"].tolist() == [
        "",
        "digits columns",
        "digits columns > digits slots",
        "",
        "0123456789abcdef",
    ]
    assert found["arm"].nunique() == 4


def test_the_published_claims_are_held_against_the_published_cells_only():
    people = {name: texts for name, texts in PEOPLE.items() if name != "output1"}
    others = markdown(results(two_runs(["12"] * 60, ["-"] * 60, images=MANY), people=people))
    published = markdown(results(two_runs(["12"] * 60, ["-"] * 60, images=MANY)))
    assert "They do not apply" in others
    assert "as published, is ruled out" not in others
    assert "They do not apply" not in published
    assert "as published, is ruled out" in published


def test_the_terms_stand_at_the_end():
    report = report_of_four_runs()
    assert report.index("### Terms") > report.index("### Where the numbers come from")
    assert "- **95% interval**:" in report
