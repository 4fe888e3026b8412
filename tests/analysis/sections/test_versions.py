"""Data sets of one name, such as before and after a label was corrected, by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from analysis.report import markdown, read_chapters
from analysis.sections.versions import name_of
from tests.analysis.test_report import (
    RIGHT,
    TEST,
    report_of_four_runs,
    results,
    rows_of,
    two_runs,
)

BEFORE = pd.Timestamp("2026-03-01 09:30", tz="UTC")
# t4 is corrected, t6 is no longer in the test part, and t7 is new.
CORRECTED = {name: about for name, about in TEST.items() if name != "t6"}
CORRECTED |= {"t4": ("35", 3, True), "t7": ("8", 6, True)}


def versions(images, read):
    """Two runs on the data as they were, then two on these, a day apart each."""
    found = results(two_runs(RIGHT, RIGHT) + two_runs(read, read, digest="d2", images=images))
    days = pd.to_timedelta(range(4), unit="D")
    return replace(found, runs=found.runs.assign(start_time=BEFORE + days))


def headings(report):
    return re.findall("^## (cells.*)$", report, re.MULTILINE)


def test_two_versions_of_a_data_set_have_a_name_each_and_say_what_changed():
    found = versions(CORRECTED, [*RIGHT[:5], "8"])
    report = markdown(found)
    names = [
        "cells, published split (data d1, 2026-03-01)",
        "cells, published split (data d2, 2026-03-03)",
    ]
    assert headings(report) == names
    chapters = read_chapters(found)
    assert [name_of(chapter, chapters) for chapter in chapters] == names
    first, second = report.split("\n## ")[1:3]
    assert "Version 1 of 2" in first
    assert "2 runs from 2026-03-01 09:30 to 2026-03-02 09:30 UTC" in first
    assert "What changed" not in first
    assert "since the version before (`d1` from 2026-03-01 09:30" in second
    # t1 to t5 are in both; t1 also was validated on.
    assert "of 5 labelled images that runs of both were validated or tested on, 1 has" in second
    assert rows_of(second, "image")[0] == ["`t4`", "`3.5`", "`35`"]


def test_where_no_label_that_was_judged_by_changed_it_says_so():
    report = markdown(versions(TEST, RIGHT))
    assert len(set(headings(report))) == 2
    assert "is not among the labels of 6 labelled images" in report


def test_labels_changed_on_purpose_are_no_correction():
    found = versions(CORRECTED, [*RIGHT[:5], "8"])
    noise = found.predictions["filename"] == "t4"
    noisy = found.predictions.assign(changed=noise)
    assert "is not among the labels of 4 labelled" in markdown(replace(found, predictions=noisy))


def test_one_version_goes_by_its_name_alone():
    report = report_of_four_runs()
    assert headings(report) == ["cells, published split"]
    assert "Version" not in report
