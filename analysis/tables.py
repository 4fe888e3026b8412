"""From runs to the tables of the report: arms and paired comparisons."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from analysis.load import Results
from analysis.pretraining import join, pretraining
from analysis.significance import (
    ALPHA,
    Judgement,
    exact_mcnemar,
    holm,
    judge,
    probability_of_improvement,
)
from analysis.stats import MARGIN, Difference, Interval, paired_difference

# What names an arm at sight; other settings are added where arms differ in them.
_NAMED = ["config.loss", "config.decoder", "config.backbone", "config.augmentation"]
# What tells apart the runs of one arm; the folds of one seed are its test part together.
OF_A_RUN = ("config.seed", "config.fold")
# The two losses that the question is about, and the published claim; others are read beside them.
CTC, CROSS_ENTROPY = "ctc", "ce_stop"
# What may differ between two arms that are compared for their loss: it comes with the loss.
_OF_THE_LOSS = ("config.loss", "config.decoder", "config.hidden")


@dataclass(frozen=True)
class Section:
    """The runs of one data set and split, which can be compared with each other.

    runs: with the columns `arm` (everything but seed and fold), `twin` (the same but for the loss),
        `plain` (the same but for the averaging of weights) and `label`, the arm's name for people.
    """

    dataset: str
    digest: str
    split: str
    runs: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """Two arms on the same images with the same seeds; `difference` is first minus second.

    arms: what identifies the two; first and second are their labels, losses their losses.
    run_ids: the runs behind it, of the first and of the second.
    seeds, images: how many of each.
    difference: its `one_seed` tells that all below holds for that seed alone.
    p: against "no difference". Of the seeds and images as samples; with one seed exact (McNemar).
        By itself it holds for a pair that was chosen without looking at the test part.
    p_exact: the same for the seeds that were run and no others; with one seed it is `p`.
    p_equivalent: against "a difference of the margin or more".
    improvement: how likely a run of the first is above one of the second; None with one seed.
    family: how many comparisons were corrected together.
    p_adjusted, p_equivalent_adjusted: corrected for the family (Holm).
    visible: the smallest true difference that would have been shown with a power of 80%, at the 5%
        of the family divided by its size; None where not even 100 points would.
    judgement: what all this lets one say.
    """

    arms: tuple[str, str]
    first: str
    second: str
    losses: tuple[str, str]
    run_ids: tuple[tuple[str, ...], tuple[str, ...]]
    seeds: int
    images: int
    difference: Difference
    p: float
    p_exact: float
    p_equivalent: float
    improvement: Interval | None
    family: int
    p_adjusted: float
    p_equivalent_adjusted: float
    visible: float | None
    judgement: Judgement

    @property
    def one_seed(self) -> bool:
        """Whether it holds for one seed alone."""
        return self.difference.one_seed

    def turned(self) -> Comparison:
        """The same with first and second exchanged."""
        chance = self.improvement
        return replace(
            self,
            arms=self.arms[::-1],
            first=self.second,
            second=self.first,
            losses=self.losses[::-1],
            run_ids=self.run_ids[::-1],
            difference=self.difference.turned(),
            improvement=chance and Interval(1 - chance.estimate, 1 - chance.high, 1 - chance.low),
            judgement=replace(self.judgement, direction=-self.judgement.direction),
        )


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
        runs = runs.assign(**{c: runs.get(c, "0") for c in OF_A_RUN})
        dataset = runs["tags.dataset"].iloc[-1]
        start = before.loc[runs.index]
        named = runs.assign(
            arm=join(runs[config].assign(start=start["arm"])),
            twin=join(runs[apart].assign(start=start["twin"])),
            plain=join(runs[[c for c in config if c != "config.ema"]].assign(start=start["arm"])),
            label=_labels(runs, config) + start["label"].map(lambda s: s and f" start={s}"),
        )
        # What two arms started from can differ in more than its name tells.
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
    return pd.DataFrame(rows).sort_values("val", ascending=False, ignore_index=True)


def comparisons(
    section: Section, predictions: pd.DataFrame, margin: float = MARGIN
) -> list[Comparison]:
    """Every two arms that differ in the loss alone, and what comes with it: one family.

    margin: what is called equivalent may differ by less than this share of the images.
    """
    found = []
    for _, twins in section.runs.groupby("twin", sort=False):
        losses = {str(arm): str(rows["config.loss"].iloc[0]) for arm, rows in twins.groupby("arm")}
        for a, b in combinations(sorted(losses, key=lambda arm: (losses[arm], arm)), 2):
            if losses[a] != losses[b]:
                compared = compare(section, predictions, a, b, margin)
                if compared is not None:
                    found.append(compared)
    return corrected(found)


def corrected(family: list[Comparison]) -> list[Comparison]:
    """The same comparisons, their p-values, judgements and `visible` corrected for their number.

    Those for a difference and those for equivalence are corrected apart from each other.
    """
    of_difference = holm([pair.p for pair in family])
    of_equivalence = holm([pair.p_equivalent for pair in family])
    return [
        replace(
            pair,
            family=len(family),
            p_adjusted=p,
            p_equivalent_adjusted=q,
            visible=pair.difference.smallest_visible(ALPHA / len(family)),
            judgement=judge(pair.difference, p, q, pair.judgement.margin),
        )
        for pair, p, q in zip(family, of_difference, of_equivalence, strict=True)
    ]


def best_by_validation(section: Section, pairs: list[Comparison]) -> Comparison | None:
    """Of the pairs of `ctc` and `ce_stop` the one that reads the validation part best.

    By the mean of its two arms; None without such a pair. Mixtures of the two losses are no answer
    to which of them to train with.
    """
    scores = arms(section).set_index("arm")["val"]
    plain = [pair for pair in pairs if set(pair.losses) == {CTC, CROSS_ENTROPY}]
    return max(plain, key=lambda pair: scores[list(pair.arms)].mean(), default=None)


def compare(
    section: Section, predictions: pd.DataFrame, first: str, second: str, margin: float = MARGIN
) -> Comparison | None:
    """Two arms on the leak-free test images, over the seeds both have; None where there is none.

    A family of its own: `corrected` corrects several of them together.
    """
    made = section.runs.reset_index().set_index(["arm", *OF_A_RUN])["run_id"]
    a, b = (dict(made.loc[arm]) for arm in (first, second))
    seeds = sorted({seed for seed, _ in a.keys() & b.keys()})
    # Every seed must have read the same images: of the folds those that all have.
    folds = {fold for _, fold in a} & {fold for _, fold in b}
    folds = {f for f in folds if all((s, f) in a and (s, f) in b for s in seeds)}
    if not seeds or not folds:
        return None
    readers = [{made_by[seed, fold] for fold in folds} for made_by in (a, b) for seed in seeds]
    right_of, groups = right(predictions, readers)
    if not len(groups):
        return None
    right_a, right_b = right_of[: len(seeds)], right_of[len(seeds) :]
    difference = paired_difference(right_a, right_b, groups)
    exact = exact_mcnemar(right_a, right_b, groups)
    p = exact if difference.one_seed else difference.p_different()
    equivalent = difference.p_equivalent(margin)
    improvement = None
    if not difference.one_seed:
        improvement = probability_of_improvement(
            *(list(r.mean(axis=1)) for r in (right_a, right_b))
        )
    known = section.runs.drop_duplicates("arm").set_index("arm")
    run_ids = [tuple(sorted(set[str]().union(*half))) for half in _halves(readers)]
    return Comparison(
        arms=(first, second),
        first=str(known["label"][first]),
        second=str(known["label"][second]),
        losses=(str(known["config.loss"][first]), str(known["config.loss"][second])),
        run_ids=(run_ids[0], run_ids[1]),
        seeds=len(seeds),
        images=len(groups),
        difference=difference,
        p=p,
        p_exact=exact,
        p_equivalent=equivalent,
        improvement=improvement,
        family=1,
        p_adjusted=p,
        p_equivalent_adjusted=equivalent,
        visible=difference.smallest_visible(ALPHA),
        judgement=judge(difference, p, equivalent, margin),
    )


def _halves(readers: list[set[str]]) -> tuple[list[set[str]], list[set[str]]]:
    return readers[: len(readers) // 2], readers[len(readers) // 2 :]


def right(
    predictions: pd.DataFrame, readers: list[set[str]]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int_]]:
    """(readers, images) right or wrong on the leak-free test images, and their groups.

    readers: the runs that together read each image once: one run, or those of all folds.
    """
    number = {run_id: i for i, run_ids in enumerate(readers) for run_id in run_ids}
    test = predictions[(predictions["split"] == "test") & predictions["clean"]]
    test = test[test["run_id"].isin(number.keys())]
    if test.empty:
        return np.zeros((len(readers), 0), dtype=bool), np.zeros(0, dtype=int)
    reader = test["run_id"].map(number)
    right = (test["truth"] == test["reading"]).groupby([test["filename"], reader]).first()
    table = right.unstack()
    if table.isna().any(axis=None):
        raise ValueError("runs of one data set and split were judged on different images")
    groups = test.drop_duplicates("filename").set_index("filename").loc[table.index, "group"]
    return table.to_numpy(dtype=bool).T, groups.to_numpy(dtype=int)


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
