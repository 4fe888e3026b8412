"""Which comparison was named before the runs, and what that changes in the report."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from analysis.report import build, comparisons, read_chapters
from analysis.statistics.comparison import comparisons as compared
from analysis.statistics.contest import contest
from analysis.statistics.looks import levels
from analysis.statistics.named import named
from analysis.tables import arms as tables
from analysis.tables.primaries import Primary
from tests.analysis.test_report import CE, CTC, MANY, results, run, scores

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def hours(n):
    return T0 + timedelta(hours=n)


def primary(at=-1, first=(CTC, "20"), second=(CE, "20"), looks=(2,), margin=0.01, preset="mine"):
    """One that names these two arms, by the hash of one of their runs."""
    a, b = (f"{settings['loss']}-{epochs}-0" for settings, epochs in (first, second))
    return Primary(preset, hours(at), (a,), (b, "0" * 16), margin, looks)


def built(*presets, seeds=2, wrong=12):
    """Two losses, each at 20 and 40 epochs; ctc misreads some images that ce_stop reads.

    At 40 epochs validation is better. Each run ends at hour 1; presets: their primaries.
    """
    truths = [truth for truth, _, _ in MANY.values()]
    runs = []
    for seed in range(seeds):
        for settings in (CTC, CE):
            for epochs, val in (("20", 0.5), ("40", 0.9)):
                read = list(truths)
                if settings is CTC:
                    read[:wrong] = ["wrong"] * wrong
                made = run(settings | {"epochs": epochs}, seed, read, images=MANY,
                           **scores(val, 1, 1, 0, 1))  # fmt: skip
                made[0]["tags.run_hash"] = f"{settings['loss']}-{epochs}-{seed}"
                made[0]["end_time"] = pd.Timestamp(hours(1))
                runs.append(made)
    found = results(runs)
    found.primaries.extend(list(one) for one in presets)
    return found


def of(found):
    (section,) = tables.sections(found)
    return section, named(section, found)


def pairs(found):
    section, own = of(found)
    return compared(section, contest(section, found.predictions), own)


def test_what_was_named_in_time_is_the_answer_and_stands_by_itself():
    found = built([primary()])
    alone = [pair for pair in pairs(found) if pair.level is not None]
    family = [pair for pair in pairs(found) if pair.level is None]
    assert len(alone) == len(family) == 1
    assert {"epochs=20" in alone[0].first, "epochs=20" in alone[0].second} == {True}
    assert alone[0].level == pytest.approx(0.05)
    assert alone[0].p_adjusted == alone[0].p
    assert [pair.family for pair in (*alone, *family)] == [1, 1]
    page = build(found, read_chapters(found)).markdown()
    assert "by itself at 5%" in page
    assert "the pair named before the runs" in page
    assert (
        "**Planned?** Yes: the preset `mine` named it on 2026-03-01 11:00 UTC, before any run of "
        "the two had finished, to be judged at 2 seeds. It is tested by itself"
    ) in page
    assert "(planned) |" in page
    rows = comparisons(read_chapters(found))
    assert rows["planned"].tolist() == rows["headline"].tolist()
    assert rows["planned"].sum() == 1


@pytest.mark.parametrize("folds", [2, 3])
def test_folds_are_looked_at_when_all_of_them_are_there(folds):
    """Each that is added would be another chance."""
    found = built([primary()])
    found.runs["tags.split"] = "kfold"
    found.runs["config.folds"] = "3"
    # The two seeds become two folds of one; they read other images.
    found.runs["config.fold"] = found.runs["config.seed"]
    found.runs["config.seed"] = "0"
    kept = found.predictions["run_id"].map(found.runs["config.fold"]).astype(int)
    half = found.predictions.groupby("run_id", observed=True).cumcount() % 2
    found = replace(found, predictions=found.predictions[kept == half])
    found.runs["config.folds"] = "2" if folds == 2 else "3"
    found.primaries[0] = [replace(found.primaries[0][0], looks=(1,))]
    alone = [pair for pair in pairs(found) if pair.level is not None]
    page = build(found, read_chapters(found)).markdown()
    if folds == 2:
        assert [pair.lacking for pair in alone] == [0]
        assert "It is tested by itself" in page
    else:
        assert alone == []
        assert "As 1 fold of it are not there yet, it is one of the family" in page


def test_a_pair_that_was_named_is_the_answer_though_its_arms_are_no_twins():
    """As where each starts from a reader of its own."""
    found = built([primary(second=(CE, "40"))])
    (alone,) = (pair for pair in pairs(found) if pair.level is not None)
    assert ["epochs=20" in alone.first, "epochs=40" in alone.first] != [
        "epochs=20" in alone.second,
        "epochs=40" in alone.second,
    ]
    page = build(found, read_chapters(found)).markdown()
    assert "the pair named before the runs" in page
    assert "**Planned?** Yes" in page


def test_where_the_named_pair_cannot_be_compared_nothing_else_is_called_planned():
    found = built([primary(second=(CE, "40"))])
    # Of cross-entropy's 40 epochs other seeds than of CTC's 20.
    other = found.runs.index[(found.runs["config.epochs"] == "40")]
    found.runs.loc[other, "config.seed"] = ["7", "7", "8", "8"]
    page = build(found, read_chapters(found)).markdown()
    assert "the pair named before the runs" not in page
    assert "**Planned?** No: the preset `mine` named two others in time" in page


def test_a_run_that_was_made_again_had_finished_before_all_the_same():
    """What it read was seen before the comparison was named."""
    found = built([primary(at=0)])
    assert of(found)[1].in_time
    again = {
        "run_id": "first",
        "status": "FINISHED, but made again since",
        "tags.run_hash": "ctc-20-0",
        "tags.data_digest": "d1",
        "end_time": pd.Timestamp(hours(-1)),
    }
    late = replace(found, unfinished=pd.DataFrame([again | {"tags.mlflow.runName": "ctc"}]))
    assert not of(late)[1].in_time
    text = {way: build(one, read_chapters(one)).markdown() for way, one in enumerate((found, late))}
    assert "**Looked at**: 8 runs" in text[0]
    assert "**Looked at**: 9 runs" in text[1]
    # One that never ended had shown nothing.
    began = pd.DataFrame([again | {"status": "KILLED"}])
    assert of(replace(found, unfinished=began))[1].in_time


@pytest.mark.slow
def test_without_one_the_answer_is_chosen_by_validation_inside_the_family():
    found = built()
    assert of(found)[1] is None
    assert [(pair.level, pair.family) for pair in pairs(found)] == [(None, 2), (None, 2)]
    page = build(found, read_chapters(found)).markdown()
    assert "**Planned?** No comparison was named before the runs" in page
    assert "after correction for 2 comparisons" in page
    assert "(planned)" not in page


@pytest.mark.slow
def test_what_was_named_after_a_run_had_finished_is_none():
    found = built([primary(at=2)])
    assert [(pair.level, pair.family) for pair in pairs(found)] == [(None, 2), (None, 2)]
    page = build(found, read_chapters(found)).markdown()
    assert "**Planned?** No: the preset `mine` named" in page
    assert "2026-03-01 14:00 UTC, when a run of theirs had finished" in page


def test_one_that_is_changed_after_a_run_counts_as_it_was_and_says_so():
    other = primary(at=3, first=(CTC, "40"), second=(CE, "40"))
    _, own = of(built([primary(), other]))
    assert (own.primary.at, own.in_time) == (hours(-1), True)
    assert own.changed == (hours(3),)
    found = built([primary(), other])
    page = build(found, read_chapters(found)).markdown()
    assert "On 2026-03-01 15:00 UTC the preset named it otherwise" in page


def test_one_that_is_changed_before_any_run_counts_as_it_is():
    other = primary(at=0, first=(CTC, "40"), second=(CE, "40"))
    _, own = of(built([primary(), other]))
    assert (own.primary.at, own.in_time, own.changed) == (hours(0), True, ())


def test_of_two_presets_the_first_counts_unless_it_was_late():
    second = primary(at=0, first=(CTC, "40"), second=(CE, "40"), preset="other")
    assert of(built([primary()], [second]))[1].primary.preset == "mine"
    late = primary(at=2)
    assert of(built([late], [second]))[1].primary.preset == "other"


def test_arms_that_were_not_run_are_not_named():
    gone = primary(first=(CTC, "99"))
    assert of(built([gone]))[1] is None


@pytest.mark.parametrize(("looks", "at"), [((2, 5), 0), ((2, 4, 5), 0), ((1, 2), 1)])
def test_a_look_of_several_asks_for_a_smaller_p(looks, at):
    (alone,) = [pair for pair in pairs(built([primary(looks=looks)])) if pair.level is not None]
    assert alone.level == pytest.approx(levels(looks, 0.05)[at])


@pytest.mark.slow
def test_an_early_look_shows_less_than_a_last_one():
    # p lies between the level of the first of two looks and 5%.
    early = built([primary(looks=(2, 5))], wrong=8)
    last = built([primary(looks=(2,))], wrong=8)
    for found, verdict in ((early, "not shown"), (last, "shown")):
        (alone,) = [pair for pair in pairs(found) if pair.level is not None]
        assert levels((2, 5), 0.05)[0] < alone.p < 0.05
        assert alone.judgement.verdict == verdict
    page = build(early, read_chapters(early)).markdown()
    assert "This is look 1 of 2." in page
    assert "p has to be below 0.079% at this one" in page
    assert "which knows of this one look only, leaves zero out" in page


@pytest.mark.slow
def test_more_seeds_than_planned_put_it_into_the_family():
    found = built([primary(looks=(2,))], seeds=3)
    assert [(pair.level, pair.family) for pair in pairs(found)] == [(None, 2), (None, 2)]
    page = build(found, read_chapters(found)).markdown()
    assert "to be judged at 2 seeds. With 3 seeds it is one of the family" in page


def test_its_margin_is_that_of_the_report():
    assert {pair.judgement.margin for pair in pairs(built([primary(margin=0.03)]))} == {0.03}
    assert {pair.judgement.margin for pair in pairs(built([primary(at=2, margin=0.03)]))} == {0.01}


@pytest.mark.slow
def test_looks_at_the_test_part_are_counted():
    found = built()
    page = build(found, read_chapters(found)).markdown()
    assert "8 runs read the test part of this data set, and 0 reports were written" in page
