"""What each run got right, an image a row: for others to compute with, without image or label."""

from __future__ import annotations

import pandas as pd

from analysis.record import PEOPLE
from analysis.tables.load import Results

_IMAGE = ["data_digest", "split", "filename", "group", "clean"]


def right_or_wrong(results: Results) -> pd.DataFrame:
    """A column a run or ensemble, under its run id: 1 where it read the image right, else 0.

    The rows are the images of test parts, and, with the split `agreed`, those that two people read
    alike; right is what the label says, or these people. Missing where the run did not read the
    image. group, clean: as in Results for runs without changed labels, if there are any, except
    that people's images have no label to be leaked by: they are clean where training has no
    identical image. A column more for each published output, under its name, on the images that two
    people read alike.
    """
    made = [table for table in (results.runs, results.ensembles) if not table.empty]
    digests = pd.concat([table["tags.data_digest"] for table in made]).rename("data_digest")
    read = results.predictions.join(digests, on="run_id")
    tested = read[read["split"] == "test"]
    people = _agreed(results.readers)
    met = read[read["split"] == "human"].drop(columns="truth")
    agreed = met.merge(people, on=["data_digest", "filename"]).assign(split="agreed")
    both = pd.concat([tested, agreed])
    both["right"] = (both["reading"] == both["truth"]).astype(int)
    both["clean"] = both["clean"].astype(int)
    # Changed labels conflict with those of copies: what they leave clean is no matter of the image.
    changed = both.groupby("run_id", observed=True)["changed"].transform("any")
    about = both.loc[changed.sort_values(kind="stable").index].drop_duplicates(_IMAGE[:3])[_IMAGE]
    wide = both.pivot(index=_IMAGE[:3], columns="run_id", values="right").astype("Int64")
    order = [run_id for run_id in digests.index if run_id in wide]
    found = about.merge(wide[order].reset_index().rename_axis(columns=None), on=_IMAGE[:3])
    found = found.sort_values(_IMAGE, ignore_index=True)
    return found.merge(_published(results.readers, people), how="left", on=_IMAGE[:3])


def _published(readers: pd.DataFrame, agreed: pd.DataFrame) -> pd.DataFrame:
    """The first columns of an image, and 1 or 0 for each reader that is neither of the people."""
    read = readers[~readers["reader"].isin(PEOPLE)].merge(agreed, on=["data_digest", "filename"])
    read["right"] = (read["reading"] == read["truth"]).astype("Int64")
    wide = read.assign(split="agreed").pivot(index=_IMAGE[:3], columns="reader", values="right")
    return wide.reset_index().rename_axis(columns=None)


def _agreed(readers: pd.DataFrame) -> pd.DataFrame:
    """data_digest, filename, truth of the images that both people read, and read alike."""
    if readers.empty:
        return pd.DataFrame(columns=["data_digest", "filename", "truth"], dtype=object)
    by_reader = readers.pivot(
        index=["data_digest", "filename"], columns="reader", values="reading"
    ).reindex(columns=list(PEOPLE))
    alike = by_reader[by_reader[PEOPLE[0]] == by_reader[PEOPLE[1]]]
    return alike[PEOPLE[0]].rename("truth").reset_index()
