"""The human baseline: how far two people agree, and how models and published outputs compare."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.record import PEOPLE
from analysis.statistics.intervals import (
    Interval,
    mean_share,
    share,
)
from analysis.statistics.seed_spread import SeedSpread, squares, together
from analysis.statistics.variances import by_group
from analysis.tables.arms import Section
from analysis.tables.load import Results

# What a reading may be compared with.
AGAINST = (*PEOPLE, "agreed", "either", "truth")


@dataclass(frozen=True)
class Reader:
    """Somebody or something that read the images of the people.

    kind: person, output (published readings) or arm. texts: (runs, images); a person and an output
    have one run. An output that lacks an image has an empty text there.
    """

    name: str
    kind: str
    texts: npt.NDArray[np.object_]


@dataclass(frozen=True)
class Baseline:
    """The images that both people read, with everything known of them.

    images: a row an image, indexed by file name: human1, human2, group (identical pixels), clean
        (no identical image among those learnt from), truth (empty where it is not known).
    readers: people, published outputs, arms.
    """

    images: pd.DataFrame
    readers: list[Reader]


def side_by_side(readers: pd.DataFrame) -> pd.DataFrame:
    """One data set's readings, a column a reader, for the images that both people read."""
    table = readers.pivot(index="filename", columns="reader", values="reading")
    if not set(PEOPLE) <= set(table.columns):
        return table.iloc[:0]
    return table.dropna(subset=list(PEOPLE))


def agreement(readings: pd.DataFrame) -> Interval:
    """The share of images that both people read alike."""
    return share(int((readings["human1"] == readings["human2"]).sum()), len(readings))


def agreement_by_kind(readings: pd.DataFrame) -> pd.DataFrame:
    """The same by what is written there: kind, images, alike, estimate, low, high.

    An image has a '.', '-' or another sign where either person read one, so that it may be of
    several kinds; its length is that of the longer reading.
    """
    both = readings["human1"] + readings["human2"]
    length = readings[list(PEOPLE)].apply(lambda texts: texts.str.len()).max(axis=1)
    signs = sorted({*".-", *"".join(both)} - set(string.digits), key=lambda c: (c not in ".-", c))
    kinds = {
        "digits only": both.str.fullmatch("[0-9]*"),
        **{f"with '{sign}'": both.str.contains(sign, regex=False) for sign in signs},
    }
    counts = sorted(length.unique())
    kinds |= {f"{n} character{'s' if n != 1 else ''}": length == n for n in counts}
    rows = []
    for kind, chosen in kinds.items():
        if chosen.any():
            found = agreement(readings[chosen])
            alike = int((readings.loc[chosen, "human1"] == readings.loc[chosen, "human2"]).sum())
            rows.append((kind, int(chosen.sum()), alike, found.estimate, found.low, found.high))
    return pd.DataFrame(rows, columns=["kind", "images", "alike", "estimate", "low", "high"])


def known_truth(results: Results, digest: str) -> pd.Series:
    """The labels of images that people read, by file name: those of identical labelled images.

    Older runs logged no labels of these images. Of them the labels of validation and test images
    serve, so that some are missing. Conflicting labels are none.
    """
    runs = results.runs.index[results.runs["tags.data_digest"] == digest]
    read = results.predictions[results.predictions["run_id"].isin(runs)]
    if "changed" in read:
        noisy = set(read.loc[read["changed"], "run_id"])
        read = read[~read["run_id"].isin(noisy)]
    labelled = read[read["truth"] != ""]
    if (labelled["split"] == "human").any():
        labelled = labelled[labelled["split"] == "human"]
    labels = labelled[["group", "truth"]].drop_duplicates()
    labels = labels.drop_duplicates("group", keep=False)
    of_group = dict(zip(labels["group"], labels["truth"], strict=True))
    images = read[read["split"] == "human"].drop_duplicates("filename")
    known = images["group"].map(of_group).set_axis(images["filename"])
    return known.dropna()


def baseline(section: Section, results: Results) -> Baseline | None:
    """All who read the images of this data set's people; None where no two people read any."""
    readings = side_by_side(results.readers[results.readers["data_digest"] == section.digest])
    predictions = results.predictions
    read = predictions[predictions["run_id"].isin(section.runs.index)]
    read = read[(read["split"] == "human") & read["filename"].isin(readings.index)]
    if readings.empty or read.empty:
        return None
    by_image = read.groupby("filename")
    images = readings.loc[readings.index.isin(read["filename"]), list(PEOPLE)]
    images = images.assign(
        group=by_image["group"].first(),
        clean=by_image["clean"].all(),
        truth=known_truth(results, section.digest).reindex(images.index).fillna(""),
    )
    others = sorted(set(readings.columns) - set(PEOPLE))
    readings = readings.loc[images.index].fillna("")
    readers = [
        Reader(name, kind, readings[[name]].to_numpy(dtype=object).T)
        for kind, names in (("person", PEOPLE), ("output", others))
        for name in names
    ]
    table = read.pivot(index="filename", columns="run_id", values="reading").loc[images.index]
    for label, runs in section.runs.groupby("label", sort=False):
        made = [run_id for run_id in runs.index if run_id in table]
        if made and not table[made].isna().any(axis=None):
            readers.append(Reader(str(label), "arm", table[made].to_numpy(dtype=object).T))
    return Baseline(images, readers)


def accuracy(base: Baseline) -> pd.DataFrame:
    """Exact match of every reader against each person, where they agree, either, and the truth.

    Columns: reader, kind, runs, against (see AGAINST), leak (all, leak-free or leaked images),
    images, estimate, low, high (over runs and images). No person against themselves. The truth is
    known of images that are also labelled: most of them an arm has learnt from, and an arm is held
    against the truth on leak-free images alone.
    """
    images = base.images
    parts = {
        "all": images["clean"] | True,
        "leak-free": images["clean"],
        "leaked": ~images["clean"],
    }
    seeds = seed_spread(base)
    rows = []
    for reader in base.readers:
        for against, right, counts in _judged(images, reader):
            for leak, part in parts.items():
                chosen = (counts & part).to_numpy(dtype=bool)
                learnt = reader.kind == "arm" and against == "truth" and leak != "leak-free"
                if chosen.any() and not learnt:
                    groups = images["group"].to_numpy(int)[chosen]
                    found = mean_share(right[:, chosen], groups, seeds)
                    about = (reader.name, reader.kind, len(right), against, leak)
                    ends = (found.estimate, found.low, found.high)
                    rows.append((*about, int(chosen.sum()), *ends))
    heads = ["reader", "kind", "runs", "against", "leak", "images", "estimate", "low", "high"]
    return pd.DataFrame(rows, columns=heads)


def seed_spread(base: Baseline) -> SeedSpread:
    """How far seeds move an arm's share of what the first person read, over all arms."""
    reference = base.images["human1"].to_numpy(dtype=object)
    groups = base.images["group"].to_numpy(dtype=int)
    found = []
    for reader in base.readers:
        sums, sizes = by_group((reader.texts == reference).astype(float), groups)
        found.append(squares(sums / sizes.mean()).spread)
    return together(found)


def _judged(
    images: pd.DataFrame, reader: Reader
) -> Iterator[tuple[str, npt.NDArray[np.bool_], pd.Series]]:
    """What to hold a reader against, its readings right or wrong, the images that count."""
    alike = images["human1"] == images["human2"]
    first, second = (reader.texts == images[name].to_numpy(dtype=object) for name in PEOPLE)
    everything = pd.Series(True, index=images.index)
    if reader.name != "human1":
        yield "human1", first, everything
    if reader.name != "human2":
        yield "human2", second, everything
    if reader.kind != "person":
        yield "agreed", first, alike
        yield "either", first | second, everything
    yield "truth", reader.texts == images["truth"].to_numpy(dtype=object), images["truth"] != ""


def disputed(base: Baseline) -> pd.DataFrame:
    """The images that people read differently: a row an image, a column a reader, by file name.

    First human1, human2, the published outputs, truth (empty where it is not known); then for every
    arm what most of its runs read, the least text of those that are as frequent.
    """
    apart = (base.images["human1"] != base.images["human2"]).to_numpy(dtype=bool)
    columns = {
        reader.name: [min(pd.Series(texts).mode()) for texts in reader.texts[:, apart].T]
        for reader in base.readers
    }
    table = pd.DataFrame(columns, index=base.images.index[apart])
    given = [reader.name for reader in base.readers if reader.kind != "arm"]
    table.insert(len(given), "truth", base.images["truth"][apart])
    return table
