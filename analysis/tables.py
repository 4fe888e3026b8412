"""From runs to the tables of the report: arms and paired comparisons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.load import Results
from analysis.stats import Interval, paired_difference

# What names an arm at sight; other settings are added where arms differ in them.
_NAMED = ["config.loss", "config.decoder", "config.backbone", "config.augmentation"]
# What may differ between two arms that are compared for their loss: it comes with the loss.
_OF_THE_LOSS = ("config.loss", "config.decoder", "config.hidden")


@dataclass(frozen=True)
class Section:
    """The runs of one data set and split, which can be compared with each other.

    runs: with the columns `arm` (everything but the seed), `twin` (everything but seed and loss)
        and `label`, the arm's name for people.
    """

    dataset: str
    digest: str
    split: str
    runs: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Two arms on the same images with the same seeds; `difference` is first minus second.

    arms: what identifies the two; first and second are their labels.
    """

    arms: tuple[str, str]
    first: str
    second: str
    seeds: int
    images: int
    difference: Interval

    def turned(self) -> Comparison:
        """The same with first and second exchanged."""
        d = self.difference
        return replace(
            self,
            arms=self.arms[::-1],
            first=self.second,
            second=self.first,
            difference=Interval(-d.estimate, -d.high, -d.low),
        )


def sections(results: Results) -> list[Section]:
    """One for each data digest and split, in the order of their first runs."""
    found = []
    for (digest, split), judged in results.runs.groupby(
        ["tags.data_digest", "tags.split"], sort=False
    ):
        # Runs of an older recipe were trained in another way under the same settings.
        runs = judged[judged["config.recipe"] == judged["config.recipe"].max()]
        dataset = runs["tags.dataset"].iloc[-1]
        config = [c for c in runs.columns if c.startswith("config.") and c != "config.seed"]
        apart = [c for c in config if c not in _OF_THE_LOSS and "loss_options" not in c]
        named = runs.assign(
            arm=_join(runs[config]), twin=_join(runs[apart]), label=_labels(runs, config)
        )
        # The same arm and seed made twice, in a run that was restored say, would count twice.
        latest = named.drop_duplicates(["arm", "config.seed"], keep="last")
        found.append(Section(str(dataset), str(digest), str(split), latest))
    return found


def arms(section: Section) -> pd.DataFrame:
    """A row an arm, the best by validation first: mean and spread over its seeds.

    Columns: label, loss, seeds, then for each metric NAME and NAME_sd (nan for one seed).
    """
    metrics = {
        "val": "metrics.val.exact_match",
        "test": "metrics.test.exact_match",
        "test_clean": "metrics.test_clean.exact_match",
        "cer": "metrics.test.cer",
        **{n: f"metrics.{n}.exact_match" for n in ("human1", "human2", "agreed", "either")},
        "agreed_clean": "metrics.agreed_clean.exact_match",
        "seconds": "metrics.train.seconds",
    }
    rows = []
    for arm, runs in section.runs.groupby("arm", sort=False):
        row: dict[str, object] = {
            "arm": arm,
            "label": runs["label"].iloc[0],
            "loss": runs["config.loss"].iloc[0],
            "seeds": len(runs),
        }
        for name, column in metrics.items():
            values = runs[column] if column in runs else pd.Series([float("nan")])
            row[name], row[f"{name}_sd"] = values.mean(), values.std()
        rows.append(row)
    return pd.DataFrame(rows).sort_values("val", ascending=False, ignore_index=True)


def comparisons(section: Section, predictions: pd.DataFrame) -> list[Comparison]:
    """Every two arms that differ in the loss alone, and what comes with it."""
    found = []
    for _, twins in section.runs.groupby("twin", sort=False):
        losses = {str(arm): str(rows["config.loss"].iloc[0]) for arm, rows in twins.groupby("arm")}
        for a, b in combinations(sorted(losses, key=lambda arm: (losses[arm], arm)), 2):
            if losses[a] != losses[b]:
                compared = compare(section, predictions, a, b)
                if compared is not None:
                    found.append(compared)
    return found


def best_by_validation(section: Section, pairs: list[Comparison]) -> Comparison | None:
    """The pair that reads the validation part best (mean of its two arms); None without pairs."""
    scores = arms(section).set_index("arm")["val"]
    return max(pairs, key=lambda pair: scores[list(pair.arms)].mean(), default=None)


def compare(
    section: Section, predictions: pd.DataFrame, first: str, second: str
) -> Comparison | None:
    """Two arms on the leak-free test images, over the seeds both have; None where there is none."""
    a, b = (
        section.runs[section.runs["arm"] == arm].reset_index().set_index("config.seed")
        for arm in (first, second)
    )
    seeds = sorted(set(a.index) & set(b.index))
    if not seeds:
        return None
    of_a, of_b = (list(arm.loc[seeds, "run_id"]) for arm in (a, b))
    right, groups = _right(predictions, of_a + of_b)
    if not len(groups):
        return None
    right_a, right_b = right[: len(seeds)], right[len(seeds) :]
    # The generator is fixed: the report of the same runs says the same.
    interval = paired_difference(right_a, right_b, groups, np.random.default_rng(0))
    labels = a["label"].iloc[0], b["label"].iloc[0]
    return Comparison((first, second), *labels, len(seeds), len(groups), interval)


def _right(
    predictions: pd.DataFrame, run_ids: list[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int_]]:
    """(runs, images) right or wrong on the leak-free test images, and their groups."""
    test = predictions[(predictions["split"] == "test") & predictions["clean"]]
    test = test[test["run_id"].isin(run_ids)]
    if test.empty:
        return np.zeros((len(run_ids), 0), dtype=bool), np.zeros(0, dtype=int)
    right = (test["truth"] == test["reading"]).groupby([test["filename"], test["run_id"]]).first()
    table = right.unstack("run_id")
    if table.isna().any(axis=None):
        raise ValueError("runs of one data set and split were judged on different images")
    groups = test.drop_duplicates("filename").set_index("filename").loc[table.index, "group"]
    return table[run_ids].to_numpy(dtype=bool).T, groups.to_numpy(dtype=int)


def _join(columns: pd.DataFrame) -> pd.Series:
    return columns.fillna("").astype(str).agg("\x1f".join, axis=1)


def _labels(runs: pd.DataFrame, config: list[str]) -> pd.Series:
    """loss decoder backbone augmentation, and what else tells apart runs of the same four."""
    labels = runs[_NAMED].agg(" ".join, axis=1)
    extra = [c for c in config if c not in _NAMED]
    for _, same in runs.groupby(labels):
        for column in extra:
            # Of two optimisers, say, each has settings that the other has not.
            values = same[column].fillna("")
            if values.nunique() > 1:
                key = column.rpartition(".")[2]
                labels[same.index] += values.map(lambda v, key=key: f" {key}={v}" if v else "")
    return labels
