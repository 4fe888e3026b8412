"""What a setting is worth: which arms stand beside which, on readings worked out by hand."""

from itertools import permutations

import pytest

from analysis.findings.changes import changes
from analysis.report import comparisons, markdown, read_chapters
from analysis.sections.changes import rows_drawn
from analysis.statistics.comparison import compare
from analysis.statistics.contest import contest
from analysis.statistics.significance import holm
from analysis.tables.arms import sections
from tests.analysis.test_report import (
    CE,
    CE_0,
    CTC,
    CTC_0,
    CTC_1,
    RIGHT,
    TEST,
    results,
    rows_of,
    run,
    scores,
)

# Exact match on the five leak-free images: RIGHT 5/5, CTC_0 4/5, CTC_1 3/5, CE_0 2/5.


def made(settings, read, val=0.5, seed=0):
    return run(settings, seed, read, **scores(val, 0.5, 0.5, 0.5, 1))


def table(runs):
    """setting, changed to, in place of, of the arm, seeds, gain; a row a change."""
    report = markdown(results(runs))
    return [row[:6] for row in rows_of(report, "setting")] if "### One setting" in report else []


AUGMENTED = CTC | {"augmentation.name": "affine", "augmentation.degrees": "10.0"}


def test_a_setting_stands_beside_what_most_arms_have():
    runs = [
        made(CTC, CTC_0),
        made(CTC | {"backbone": "crnn"}, CTC_1, val=0.9),
        made(AUGMENTED, RIGHT, val=0.9),
    ]
    assert table(runs) == [
        # 3/5 - 4/5 and 5/5 - 4/5, the settings in the order of the alphabet where as much is moved.
        ["augmentation", "affine", "none", "ctc columns small_cnn none", "1", "+20.0"],
        ["backbone", "crnn", "small_cnn", "ctc columns small_cnn none", "1", "-20.0"],
    ]
    assert table(runs[::-1]) == table(runs)


def test_of_values_as_common_the_one_that_validates_best_is_beside():
    runs = [made(CTC, RIGHT, val=0.4), made(AUGMENTED, CTC_0, val=0.6)]
    # What reads the test part better is not asked.
    assert table(runs) == [["augmentation", "none", "affine", "ctc columns affine", "1", "+20.0"]]
    runs = [made(CTC, RIGHT, val=0.6), made(AUGMENTED, CTC_0, val=0.4)]
    assert table(runs) == [["augmentation", "affine", "none", "ctc columns none", "1", "-20.0"]]


def test_what_the_arms_of_another_loss_have_is_not_asked():
    with_ce = [made(CE | {"backbone": b}, CE_0) for b in ("crnn", "resnet18")]
    with_ce += [made(CE | {"backbone": "crnn", "epochs": "9"}, CE_0)]
    of_ctc = [made(CTC, CTC_0, val=0.9), made(CTC | {"backbone": "crnn"}, CTC_1)]
    beside = [row[1:3] for row in table([*with_ce, *of_ctc]) if row[3].startswith("ctc")]
    assert beside == [["crnn", "small_cnn"]]


def test_what_moves_reading_furthest_comes_first():
    runs = [
        made(CTC, RIGHT),
        made(AUGMENTED, CTC_0),
        made(CTC | {"backbone": "crnn"}, CE_0),
        made(CTC | {"epochs": "40"}, CTC_1),
    ]
    assert [row[0] for row in table(runs)] == ["backbone", "epochs", "augmentation"]


def test_what_belongs_together_is_one_setting():
    slots, queries = CE, CE | {"decoder": "queries", "hidden": "64"}
    sgd = {"optimizer.name": "sgd", "optimizer.max_lr": "0.1", "optimizer.momentum": "0.9"}
    adam = {"optimizer.name": "adam", "optimizer.max_lr": "0.003"}
    runs = [
        made(slots | sgd, CE_0),
        made(queries | sgd, CTC_0),
        made(slots | adam, RIGHT),
        made(slots | sgd | {"optimizer.max_lr": "0.2"}, CTC_1),
    ]
    assert sorted(row[:3] for row in table(runs)) == [
        ["decoder", "queries hidden=64", "slots hidden=128"],
        ["optimizer", "adam max_lr=0.003", "sgd max_lr=0.1"],
        ["optimizer", "max_lr=0.2", "max_lr=0.1"],
    ]


def test_too_few_time_steps_for_some_labels_are_one_setting_with_leave_to_have_them():
    wide = {"image.height": "32", "image.width": "60", "width_stride": "4"}
    narrow = wide | {"width_stride": "8", "loss_options.allow_infeasible": "yes"}
    runs = [made(CTC | wide, CTC_0, val=0.9), made(CTC | narrow, CTC_1), made(CE | wide, CE_0)]
    (row,) = table(runs)
    assert row[:3] == ["width_stride", "8 allow_infeasible=yes", "4 allow_infeasible=no"]
    assert row[-1] == "-20.0"
    assert "stands under `width_stride`" in markdown(results(runs))


@pytest.mark.parametrize(
    "other",
    [
        AUGMENTED | {"backbone": "crnn"},  # two settings
        CTC | {"loss": "another"},  # the loss, which the whole report is about
        CTC | {"train_images": "50"},  # has a chapter of its own
    ],
    ids=("two settings", "loss", "images"),
)
def test_what_differs_in_something_else_is_no_change(other):
    assert table([made(CTC, CTC_0), made(other, CTC_1)]) == []


def test_seeds_are_paired_and_several_starts_are_one_setting():
    def before(seed):
        row, read = run(CTC, seed, RIGHT, digest="d0", **scores(1, 1, 1, 0, 1))
        return row | {"tags.run_hash": f"start{seed}"}, read

    plain = [made(CTC, CTC_0, seed=0), made(CTC, CTC_1, seed=1), made(CTC, CE_0, seed=2)]
    after = [made(CTC | {"start": f"start{seed}"}, RIGHT, seed=seed, val=0.1) for seed in (0, 1)]
    # Over the seeds that both have: (1/5 + 2/5) / 2; the third seed of one of them is left out.
    assert table([before(0), before(1), *plain, *after]) == [
        ["start", "cells columns", "nothing", "ctc columns", "2", "+30.0"]
    ]


def test_runs_from_before_there_was_a_setting_are_without_it():
    runs = [made(CTC, CTC_0, val=0.9), made(CTC | {"ema": "0.999"}, RIGHT)]
    assert table(runs) == [["ema", "0.999", "without", "ctc columns", "1", "+20.0"]]


def test_all_changes_of_a_section_are_corrected_together_and_apart_from_the_losses():
    many = {f"m{i}": ("12", i, True) for i in range(60)}
    worse = ["12"] * 50 + ["1"] * 10

    def of(settings, read):
        return run(settings, 0, read, images=many, **scores(0.5, 0.5, 0.5, 0.5, 1))

    found = results(
        [
            of(CTC, ["12"] * 60),
            of(CE, ["12"] * 59 + ["1"]),
            of(AUGMENTED, worse),
            of(CTC | {"backbone": "crnn"}, ["12"] * 58 + ["1"] * 2),
        ]
    )
    (section,) = sections(found)
    among = contest(section, found.predictions)
    made_here = changes(section, among)
    alone = [compare(among, *c.pair.arms) for c in made_here]
    assert [c.pair.p_adjusted for c in made_here] == holm([one.p for one in alone])
    # McNemar: ten against none, twice two to the minus ten, times the two comparisons.
    assert made_here[0].pair.p_adjusted == pytest.approx(2 * 2 / 2**10)
    every = comparisons(read_chapters(found))
    assert list(every["setting"]) == ["loss", "augmentation", "backbone"]
    assert list(every["family"]) == [1, 2, 2]
    assert list(every["headline"]) == [True, False, False]
    report = markdown(found)
    assert "**A difference is shown for 1 of 2**" in report
    assert [row[8] for row in rows_of(report, "setting")] == ["shown: less", "not shown"]


@pytest.mark.parametrize("setting", ["test_fraction", "folds", "label_noise"])
def test_what_changes_the_test_part_is_no_setting_of_an_arm(setting):
    few = dict(list(TEST.items())[:3])
    other = run(CTC | {setting: "2"}, 0, RIGHT[:3], images=few, **scores(0.5, 0.5, 0.5, 0.5, 1))
    assert table([made(CTC | {setting: "1"}, CTC_0), other]) == []


def test_an_arm_without_validation_is_beside_only_what_is_rarer():
    runs = [
        made(CTC, CTC_0, val=None),
        made(CTC | {"backbone": "crnn"}, CTC_1, val=0.2),
        made(CTC | {"backbone": "resnet18"}, RIGHT, val=0.4),
    ]
    for order in permutations(runs):
        assert {row[2] for row in table(order)} == {"resnet18"}


def test_of_values_as_common_the_one_with_more_seeds_is_beside():
    crnn = CTC | {"backbone": "crnn"}
    runs = [made(CTC, CTC_0, val=0.9), made(crnn, CTC_1, val=0.1, seed=0)]
    runs.append(made(crnn, CTC_1, val=0.1, seed=1))
    assert [row[1:3] for row in table(runs)] == [["small_cnn", "crnn"]]


def test_values_that_only_one_of_them_has_are_told():
    sheared = AUGMENTED | {"augmentation.shear": "5"}
    runs = [made(AUGMENTED, CTC_0, val=0.9), made(sheared, CTC_1)]
    assert [row[1:3] for row in table(runs)] == [["shear=5", "without"]]
    scaled = {"augmentation.scale": "[0.9, 1.1]"}
    runs = [made(sheared | scaled, CTC_0, val=0.9), made(CTC | scaled, CTC_1)]
    (drawn,) = rows_drawn(*read_chapters(results(runs))).to_dict("records")
    assert (drawn["first"], drawn["second"]) == ("ctc, augmentation: none", "affine")
    runs[1] = made(sheared | {"augmentation.scale": "[0.8, 1.2]"}, CTC_1)
    assert [row[1:3] for row in table(runs)] == [["scale=[0.8,1.2]", "scale=[0.9,1.1]"]]


def test_in_a_figure_no_two_rows_have_one_name():
    grid = [
        made(CTC | {"backbone": b, "augmentation.name": a}, CTC_0)
        for b in ("small_cnn", "crnn")
        for a in ("none", "affine")
    ]
    rows = rows_drawn(*read_chapters(results(grid)))
    assert len(rows) == 4
    assert not rows.duplicated(["first", "second"]).any()


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_figure_says_what_holds_for_one_seed_alone(seeds):
    both = [(CTC, CTC_0), (CTC | {"backbone": "crnn"}, CTC_1), (CE, CE_0)]
    runs = [made(arm, read, seed=seed) for arm, read in both for seed in range(seeds)]
    rows = rows_drawn(*read_chapters(results(runs)))
    assert list(rows["one_seed"]) == [seeds == 1]
    # Under the figure of the losses and under that of the changed setting.
    assert markdown(results(runs)).count("Squares: of one seed") == (2 if seeds == 1 else 0)


def test_the_folds_of_a_seed_are_one_reading():
    halves = {"0": dict(list(TEST.items())[:3]), "1": dict(list(TEST.items())[3:])}

    def folds(settings, read):
        by_name = dict(zip(TEST, read, strict=True))
        return [
            run(
                settings | {"fold": fold},
                0,
                [by_name[name] for name in images],
                split="kfold",
                images=images,
                **scores(0.5, 0.5, 0.5, 0.5, 1),
            )
            for fold, images in halves.items()
        ]

    runs = [*folds(CTC, CTC_0), *folds(CTC | {"backbone": "crnn"}, CTC_1)]
    ((setting, *_, seeds, gain),) = table(runs)
    # 4/5 and 3/5 of the leak-free images, whichever of the two is beside.
    assert (setting, seeds, abs(float(gain))) == ("backbone", "1", 20)
