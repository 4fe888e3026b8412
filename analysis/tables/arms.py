"""From runs to arms: which runs can be compared, and the table of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pandas as pd

from analysis.tables.load import Results
from analysis.tables.searches import found_by_search
from analysis.tables.settings import settings
from analysis.tables.warm_starts import join, pretraining

# What names an arm at sight; other settings are added where arms differ in them.
_NAMED = ["config.loss", "config.decoder", "config.backbone", "config.augmentation.name"]
# What distinguishes the runs of one arm; the folds of one seed are its test part together.
OF_A_RUN = ("config.seed", "config.fold")
# What may differ between two arms that are compared for their loss: it comes with the loss.
_OF_THE_LOSS = ("config.loss", "config.decoder", "config.hidden")

# What may differ between arms that are compared for how many images they learnt from: with fewer
# images an epoch has fewer steps.
_OF_SIZE = ("config.train_images", "config.epochs")


@dataclass(frozen=True)
class Section:
    """The runs of one data set and split, which can be compared with each other.

    runs: with the columns `arm` (everything but seed and fold), `twin` (the same but for the loss),
        `sized` (the same but for the number of training images and the epochs), `label`, the arm's
        name for people, and a column for each setting (see `analysis.tables.settings`).
    """

    dataset: str
    digest: str
    split: str
    runs: pd.DataFrame


def sections(results: Results) -> list[Section]:
    """One for each data digest and split, in the order of their first runs.

    Last come those that hold nothing but runs that others start from.
    """
    found = []
    columns = [c for c in results.runs.columns if c.startswith("config.")]
    config = [c for c in columns if c not in (*OF_A_RUN, "config.start")]
    apart = [c for c in config if c not in _OF_THE_LOSS and "loss_options" not in c]
    before = pretraining(results.runs, config, apart)
    for (digest, split), judged in results.runs.groupby(
        ["tags.data_digest", "tags.split"], sort=False
    ):
        # Runs of an older recipe were trained in another way under the same settings.
        runs = judged[judged["config.recipe"] == judged["config.recipe"].max()]
        # Runs of an older recipe knew no folds.
        runs = runs.assign(**{c: runs[c].fillna("0") if c in runs else "0" for c in OF_A_RUN})
        dataset = runs["tags.dataset"].mode().iloc[0]  # a folder may have been renamed
        tuned = found_by_search(results.searches, runs)
        start = before.loc[runs.index]
        named = runs.assign(
            arm=join(runs[config].assign(start=start["arm"])),
            twin=join(runs[apart].assign(start=start["twin"])),
            sized=join(runs[[c for c in config if c not in _OF_SIZE]].assign(start=start["arm"])),
            label=_labels(runs, config, tuned) + start["label"].map(lambda s: s and f" start={s}"),
            **settings(runs[config], start["arm"]),
        )
        # What two arms started from can differ in more than its name says.
        shared = named.groupby("label")["arm"].transform("nunique") > 1
        marks = named["arm"].map(lambda text: f" {hashlib.sha256(text.encode()).hexdigest()[:4]}")
        named["label"] += marks.where(shared, "")
        # The same arm and seed made twice, in a run that was restored say, would count twice.
        latest = named.drop_duplicates(["arm", *OF_A_RUN], keep="last")
        found.append(Section(str(dataset), str(digest), str(split), latest))
    starts = set(results.runs.get("config.start", pd.Series([""])))
    hashes = [set(s.runs.get("tags.run_hash", pd.Series(["no start"]))) for s in found]
    order = sorted(range(len(found)), key=lambda i: hashes[i] <= starts)
    return [found[i] for i in order]


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
            "seeds": runs["config.seed"].nunique(),
        }
        for name, column in metrics.items():
            values = pd.Series([float("nan")])
            if column in runs:
                values = runs.groupby("config.seed")[column].mean()
            row[name], row[f"{name}_sd"] = values.mean(), values.std()
        rows.append(row)
    return pd.DataFrame(rows).sort_values("val", ascending=False, kind="stable", ignore_index=True)


def _labels(runs: pd.DataFrame, config: list[str], tuned: pd.Series) -> pd.Series:
    """loss decoder backbone augmentation, and what else distinguishes runs of the same four.

    tuned: the sampler that found a run's settings, which say little by themselves; else empty.
    """
    labels = runs[_NAMED].agg(" ".join, axis=1)
    # In an order of their own: that of the columns is the first run's.
    extra = sorted((c for c in config if c not in _NAMED), key=lambda c: c.removesuffix(".name"))
    for _, same in runs[tuned == ""].groupby(labels):
        for column in extra:
            # Of two optimisers, say, each has settings that the other has not.
            values = same[column].fillna("")
            if values.nunique() > 1:
                # `optimizer=sgd`, and of what else it has `max_lr=0.1`.
                key = column.removesuffix(".name").rpartition(".")[2]
                labels[same.index] += values.map(lambda v, key=key: f" {key}={v}" if v else "")
    return labels + tuned.map(lambda sampler: sampler and f" tuned-by-{sampler}")
