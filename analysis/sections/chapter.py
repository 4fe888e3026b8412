"""One data set and split of the report: what all of its topics are written from."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import pandas as pd
from matplotlib.figure import Figure

from analysis.findings import humans
from analysis.findings.changes import Change, changes
from analysis.findings.claims import Audit, audit
from analysis.findings.humans import Baseline
from analysis.page import style
from analysis.page.arm_names import LINES, Look, looks, short_names
from analysis.page.page import Chart
from analysis.spreadsheets import as_csv
from analysis.statistics import comparison as paired
from analysis.statistics.comparison import Comparison
from analysis.statistics.contest import contest
from analysis.statistics.named import Named
from analysis.statistics.named import named as named_before
from analysis.tables import arms as tables
from analysis.tables.arms import Section
from analysis.tables.load import Results

# As many arms or pairs are drawn where each has a row of its own.
ROWS = 14

# (data digest, part, file name) -> a PNG, or None where the image is not at hand.
PictureOf = Callable[[str, str, str], bytes | None]


@dataclass(frozen=True)
class Chapter:
    """What is reported of one data set and split.

    section: its runs. predictions: theirs, with `arm` and `seed`. arms: a row an arm, the best by
        validation first. pairs: arms that differ in the loss alone; changes: in another setting
        alone. headline: the pair the answer is about. named: the comparison that was named before
        the runs. people: the images that two people read; accuracy: all readers of these. audit:
        the published claims. names: label -> short name; left_out: what those leave out. looks: of
        labels.
    drawn: the labels of arms that figures show, the headline's first.
    prefix: of the names of its figures. picture_of: the images, for pictures of mistakes.
    """

    section: Section
    results: Results
    predictions: pd.DataFrame
    arms: pd.DataFrame
    pairs: list[Comparison]
    changes: list[Change]
    headline: Comparison | None
    named: Named | None
    people: Baseline | None
    accuracy: pd.DataFrame
    audit: Audit
    names: dict[str, str]
    left_out: str
    looks: dict[str, Look]
    drawn: list[str]
    prefix: str
    picture_of: PictureOf | None

    @property
    def test(self) -> pd.DataFrame:
        """Readings of the leak-free test images."""
        return self.predictions[(self.predictions["split"] == "test") & self.predictions["clean"]]

    def chart(
        self, figure: Callable[[], Figure], data: pd.DataFrame, name: str, alt: str, caption: str
    ) -> Chart:
        """A figure of this chapter, drawn once and not before it is wanted; data: what it shows."""
        draw = cache(lambda: style.render(figure()))
        return Chart(f"{self.prefix}{name}", draw, alt, caption, as_csv(data))


def chapter(
    results: Results,
    section: Section,
    number: int,
    picture_of: PictureOf | None = None,
) -> Chapter:
    """The tables of a section; number: from 0, its place in the report; picture_of: see Chapter."""
    named = named_before(section, results)
    among = contest(section, results.predictions)
    pairs = paired.comparisons(section, among, named)
    runs = section.runs
    predictions = results.predictions[results.predictions["run_id"].isin(runs.index)]
    predictions = predictions.assign(
        arm=predictions["run_id"].map(runs["label"]).astype(str),
        seed=predictions["run_id"].map(runs["config.seed"]).astype(str),
        fold=predictions["run_id"].map(runs["config.fold"]).astype(str),
    )
    arms = tables.arms(section)
    headline = paired.headline(section, pairs, named)
    people = humans.baseline(section, results)
    labels = list(arms["label"])
    first = [headline.first, headline.second] if headline else []
    drawn = _drawn(arms, first)
    names, left_out = short_names(labels)
    return Chapter(
        section=section,
        results=results,
        predictions=predictions,
        arms=arms,
        pairs=pairs,
        changes=changes(section, among),
        headline=headline,
        named=named,
        people=people,
        accuracy=humans.accuracy(people) if people else pd.DataFrame(),
        audit=audit(section, results, pairs),
        names=names,
        left_out=left_out,
        looks=looks([*drawn, *labels]),
        drawn=drawn,
        prefix="" if number == 0 else re.sub(r"\W+", "-", f"{number + 1} {section.split} "),
        picture_of=picture_of,
    )


def _drawn(arms: pd.DataFrame, first: list[str]) -> list[str]:
    """The headline's arms, then the best by validation of every other kind, then the best."""
    kinds = arms.assign(kind=arms["label"].map(lambda label: " ".join(label.split(" ")[:2])))
    of_first = set(kinds.loc[kinds["label"].isin(first), "kind"])
    others = kinds[~kinds["kind"].isin(of_first)].drop_duplicates("kind")
    ordered = [*first, *others["label"], *arms["label"]]
    return list(dict.fromkeys(ordered))[:LINES]
