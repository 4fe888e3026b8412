"""The report: one set of tables as a page, as Markdown, as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis.files import write_whole
from analysis.findings.shares import by_arm
from analysis.page.page import Page, plain
from analysis.sections import writers
from analysis.sections.chapter import Chapter, PictureOf, chapter
from analysis.sections.glossary import write_glossary
from analysis.sections.provenance import run_page, write_uncounted
from analysis.sections.verdict import answer, write_arms
from analysis.sections.versions import name_of, write_versions
from analysis.spreadsheets import as_csv
from analysis.statistics.significance import ALPHA
from analysis.tables import arms as tables
from analysis.tables.artifacts import Complete
from analysis.tables.load import Results, as_written, load
from analysis.tables.right_or_wrong import right_or_wrong

_TITLE = "Which head reads handwritten numbers better?"
_QUESTION = (
    "Should a reader of short handwritten numbers be trained with CTC, or with cross-entropy at "
    "every character and a stop?"
)

# What MLflow's own page of a run begins with: no table's cell holds a text of several lines.
_DESCRIPTION = ["tags.mlflow.note.content"]


class Written(NamedTuple):
    """The files of a report, its figures apart, its answer for each data set and split, and a page.

    summary: in Markdown, the answers with their tables of arms alone.
    arms: as of `arms`, with the runs of each.
    """

    files: list[Path]
    figures: list[Path]
    answers: list[str]
    summary: str
    arms: pd.DataFrame


def write_report(
    out: Path,
    folder: Path,
    picture_of: PictureOf | None = None,
    complete: Complete = as_written,
) -> Written:
    """Write report.html, report.md, figures/ and four CSVs of the store at `out`.

    picture_of: the images of the data sets, for pictures of mistakes.
    complete: as for `load`.
    Raises NoRunsError.
    """
    results = load(out, complete)
    chapters = read_chapters(results, picture_of)
    made, *rest = build(results, chapters).write(folder, "report")
    page, figures = rest[0], rest[1:]
    csvs = csv_files(results, chapters)
    for name, text in csvs.items():
        write_whole(folder / name, text)
    answers = [f"{name_of(c, chapters)}: {answer(c)}".replace("**", "") for c in chapters]
    files = [page, made, *(folder / name for name in csvs)]
    return Written(files, figures, answers, _summary(chapters), arms(chapters))


def read_chapters(results: Results, picture_of: PictureOf | None = None) -> list[Chapter]:
    """The tables of each data set and split; picture_of as in `write_report`."""
    return [
        chapter(results, section, number, picture_of)
        for number, section in enumerate(tables.sections(results))
    ]


def build(results: Results, chapters: list[Chapter]) -> Page:
    """The whole page; a chapter a data set and split."""
    page = Page(_TITLE)
    page.text(_QUESTION)
    for one in chapters:
        page.text(_heading(one, chapters))
        write_versions(page, one, chapters)
        for write in writers().values():
            write(page, one)
    write_glossary(page)
    write_uncounted(page, results, [one.section for one in chapters])
    return page


def _summary(chapters: list[Chapter]) -> str:
    page = Page(_TITLE)
    for one in chapters:
        page.text(_heading(one, chapters))
        page.text(answer(one))
        write_arms(page, one)
    return page.markdown()


def _heading(one: Chapter, chapters: list[Chapter]) -> str:
    return f"## {plain(name_of(one, chapters))}"


def markdown(results: Results) -> str:
    """The whole report as Markdown."""
    return build(results, read_chapters(results)).markdown()


def csv_files(results: Results, chapters: list[Chapter]) -> dict[str, str]:
    """What the tables for other programs hold, by their file names; no cell is a formula."""
    runs = results.runs.drop(columns=["folder", *_DESCRIPTION], errors="ignore")
    pages = [run_page(run, str(run_id)) for run_id, run in results.runs.iterrows()]
    return {
        "runs.csv": as_csv(runs.assign(page=pages).reset_index()),
        "arms.csv": as_csv(arms(chapters).assign(runs=lambda table: table["runs"].map(" ".join))),
        "comparisons.csv": as_csv(comparisons(chapters)),
        "right.csv": as_csv(right_or_wrong(results)),
    }


def arms(chapters: list[Chapter]) -> pd.DataFrame:
    """A row an arm of each data set and split; shares in 0..1.

    images: leak-free test images. exact_match, low, high: what it reads right of these, with the
    95% interval over seeds and images. NAME, NAME_sd: means over seeds, and their spread.
    runs: its run ids.
    """
    found = []
    for one in chapters:
        table = one.arms.rename(columns={"label": "name"}).set_index("name")
        table = table.join(by_arm(one.test).rename(columns={"estimate": "exact_match"}))
        runs = one.section.runs.groupby("label").groups
        table["runs"] = [list(map(str, runs[name])) for name in table.index]
        of = {"dataset": one.section.dataset, "data_digest": one.section.digest}
        table = table.drop(columns="arm").reset_index().assign(**of, split=one.section.split)
        found.append(table)
    first = ["dataset", "data_digest", "split", "name", "loss", "seeds"]
    first += ["images", "exact_match", "low", "high"]
    whole = pd.concat(found, ignore_index=True)
    return whole[[*first, *(c for c in whole.columns if c not in first)]]


def comparisons(chapters: list[Chapter]) -> pd.DataFrame:
    """A row a pair of arms, differences in 0..1, with the runs on either side.

    setting: what the two differ in; the loss comes with what belongs to it. folds: how many of them
        stand for seeds; 1 where none do.
    """
    rows = [
        (
            setting,
            *(one.section.dataset, one.section.digest, one.section.split, pair is one.headline),
            *(pair.first, pair.second, *pair.losses),
            *(pair.seeds, pair.difference.folds, pair.images),
            *(pair.difference.estimate, pair.difference.low, pair.difference.high),
            *(pair.level is not None, pair.level or ALPHA),
            *(pair.p, pair.p_exact, pair.p_equivalent, pair.family),
            *(pair.p_adjusted, pair.p_equivalent_adjusted, pair.visible),
            *(str(pair.judgement.verdict), pair.judgement.direction, pair.judgement.margin),
            *(" ".join(ids) for ids in pair.run_ids),
        )
        for one in chapters
        for setting, pair in [
            *(("loss", pair) for pair in one.pairs),
            *((change.setting, change.pair) for change in one.changes),
        ]
    ]
    heads = (
        "setting dataset data_digest split headline first second first_loss second_loss seeds "
        "folds images difference low high planned level p p_exact p_equivalent family p_adjusted "
        "p_equivalent_adjusted visible judgement direction margin first_runs second_runs"
    )
    return pd.DataFrame(rows, columns=heads.split())
