"""The comparison as Markdown and CSV."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from analysis import humans, tables
from analysis.averaging import averaged
from analysis.claims import CLAIMED_ACCURACY, CLAIMED_AGREEMENT, CLAIMED_LEAD
from analysis.load import Results, load
from analysis.page import replace_file
from analysis.stats import Interval
from analysis.tables import Comparison, Section

# With as many, simulated intervals cover the truth about as often as they say.
_ENOUGH_SEEDS = 8


class Written(NamedTuple):
    """The files of a report, and its answer for each data set and split."""

    files: list[Path]
    answers: list[str]


def write_report(out: Path, folder: Path) -> Written:
    """Write report.md and runs.csv of the store below `out`. Raises NoRunsError."""
    results = load(out)
    folder.mkdir(parents=True, exist_ok=True)
    report, runs = folder / "report.md", folder / "runs.csv"
    replace_file(report, markdown(results))
    replace_file(runs, results.runs.drop(columns="folder").to_csv())
    answers = [
        f"{section.dataset}, {section.split} split: "
        + answer(section, tables.comparisons(section, results.predictions))
        for section in tables.sections(results)
    ]
    return Written([report, runs], [text.replace("**", "") for text in answers])


def markdown(results: Results) -> str:
    """The whole report; a section a data set and split."""
    lines = ["# Which head reads handwritten numbers better?", ""]
    for section in tables.sections(results):
        lines += _section(section, results)
    if len(results.unfinished):
        lines += ["## Runs that do not count", ""]
        lines += [
            f"- {row['tags.mlflow.runName']} ({row['run_id']}): {row['status']}"
            for _, row in results.unfinished.iterrows()
        ]
        lines += [""]
    return "\n".join(lines)


def _section(section: Section, results: Results) -> list[str]:
    predictions = results.predictions[results.predictions["run_id"].isin(section.runs.index)]
    pairs = tables.comparisons(section, predictions)
    lines = [f"## {section.dataset}, {section.split} split", ""]
    lines += [answer(section, pairs), ""]
    lines += _arms(section, predictions)
    if pairs:
        lines += [
            "### The same arm but for the loss",
            "",
            "Difference in exact match on the leak-free test images, in points, with its 95% "
            "interval (paired bootstrap over seeds and groups of identical images). "
            + _caution(pairs),
            "",
            *_grid(
                ["first", "second", "seeds", "images", "first - second", "95% interval", "shown?"],
                [_comparison_row(pair) for pair in pairs],
            ),
        ]
    lines += _averaging(section, results)
    lines += _people(section, results, predictions)
    lines += _provenance(section)
    return lines


def answer(section: Section, pairs: list[Comparison]) -> str:
    """One sentence: of the pairs that differ in the loss alone, the one that validates best."""
    if (best := tables.best_by_validation(section, pairs)) is None:
        return (
            "There is nothing to compare yet: no two arms that differ in the loss alone have a "
            "seed and a leak-free test image in common."
        )
    return _sentence(best)


def _sentence(compared: Comparison) -> str:
    if compared.difference.estimate < 0:
        compared = compared.turned()
    d = compared.difference
    first, second = f"**{compared.first}**", f"**{compared.second}**"
    seeds = "1 seed" if compared.seeds == 1 else f"{compared.seeds} seeds"
    if compared.seeds < _ENOUGH_SEEDS:
        seeds = f"{seeds} only, and it holds for these"
    basis = (
        f"{_signed(d.estimate)} points (95% interval {_points(d)}; {seeds}, {compared.images} "
        "leak-free test images, the pair chosen by validation)"
    )
    if _shown(d):
        text = f"{first} reads more cells right than {second}: {basis}."
    else:
        seen = 50 * (d.high - d.low)
        text = (
            f"No difference is shown between {first} and {second}: {basis}; one of less than "
            f"about {seen:.1f} points could not have been seen."
        )
    if d.low > -CLAIMED_LEAD and d.high < CLAIMED_LEAD:
        text += f" A lead of {100 * CLAIMED_LEAD:.0f} points either way is ruled out for these two."
    return text


def _arms(section: Section, predictions: pd.DataFrame) -> list[str]:
    table = tables.arms(section)
    test = predictions[predictions["split"] == "test"]
    images = test.drop_duplicates("filename")
    heads = ["arm", "seeds", "val", "test", "leak-free test", "CER", "train seconds"]
    rows = []
    for _, arm in table.iterrows():
        clean = "test" if section.split == "clean" else "test_clean"
        rows.append(
            [
                arm["label"],
                str(arm["seeds"]),
                _mean(arm, "val"),
                _mean(arm, "test"),
                _mean(arm, clean),
                _mean(arm, "cer"),
                f"{arm['seconds']:.0f}",
            ]
        )
    return [
        "### Arms",
        "",
        "Exact match in percent, every character counted; mean over seeds, and their standard "
        f"deviation where there are several. Test: {len(images)} images, {images['clean'].sum()} "
        "of them without an identical image in training. Epochs are chosen by `val`; the table is "
        "ordered by it.",
        "",
        *_grid(heads, rows),
    ]


def _averaging(section: Section, results: Results) -> list[str]:
    if not (found := averaged(section, results)):
        return []
    scores = ["val", "leak-free test", "agreed"]
    costs = ["training", "reading", "parameters"]
    rows = [
        [
            *(one.what, one.beside, *map(_percent, (one.val, one.clean, one.agreed))),
            *(_signed(one.difference.estimate), _points(one.difference)),
            "yes" if _shown(one.difference) else "no",
            *(f"{times:.1f}x" for times in (one.training, one.reading, one.parameters)),
        ]
        for one in found
    ]
    return [
        "### Averaging",
        "",
        "Averaged weights (`ema`) beside the same arm without; runs that read together, or several "
        "views of an image, beside the best member by `val`. Exact match in percent (`val` of an "
        "ensemble: on images that no member learnt from); the gain in points on the leak-free test "
        "images with its 95% interval, for an ensemble of these very runs; the cost as a multiple. "
        "Which runs read together was not chosen here.",
        "",
        *_grid(["averaged", "beside", *scores, "gain", "95% interval", "shown?", *costs], rows),
    ]


def _people(section: Section, results: Results, predictions: pd.DataFrame) -> list[str]:
    readers = results.readers[results.readers["data_digest"] == section.digest]
    readings = humans.side_by_side(readers)
    if readings.empty:
        return ["### People", "", "This data set has no images that two people read.", ""]
    agree = humans.agreement(readings)
    seen = predictions[predictions["split"] == "human"]
    leak_free = set(seen.loc[seen["clean"], "filename"])
    columns = ["human1", "human2", "agreed", "either"]
    rows = [
        [name, *(_percent(scores[c]) for c in columns), _percent(clean["agreed"])]
        for name in sorted(set(readings.columns) - set(humans.PEOPLE))
        for scores in [humans.score(readings, name)]
        for clean in [humans.score(readings[readings.index.isin(leak_free)], name)]
    ]
    for _, arm in tables.arms(section).iterrows():
        rows.append([arm["label"], *(_mean(arm, c) for c in [*columns, "agreed_clean"])])
    return [
        "### Beside the people",
        "",
        f"Two people read {len(readings)} images and agree on {100 * agree.estimate:.2f}% of them "
        f"(95% interval {100 * agree.low:.1f} to {100 * agree.high:.1f}). Published: "
        f"{CLAIMED_AGREEMENT}% agreement and {CLAIMED_ACCURACY}% accuracy of "
        "cross-entropy + stop. Exact match with each person, where both agree, and with either. "
        "`output1` and `output2` are another model's readings: in the published data those of the "
        "published model. The last column leaves out agreed images that also stand among the "
        "training images.",
        "",
        *_grid(["reader", *columns, "agreed, leak-free"], rows),
    ]


def _provenance(section: Section) -> list[str]:
    runs = section.runs
    machines = ", ".join(sorted(set(runs["tags.machine"])))
    versions = ", ".join(sorted(set(runs["tags.torch"])))
    return [
        f"Data digest `{section.digest}`; {len(runs)} runs (runs.csv); torch {versions}; "
        f"{machines}.",
        "",
    ]


def _caution(pairs: list[Comparison]) -> str:
    """A bootstrap of a few seeds knows too little of how much seeds differ."""
    many = f"None of the {len(pairs)} is corrected for their number. " if len(pairs) > 1 else ""
    if min(pair.seeds for pair in pairs) >= _ENOUGH_SEEDS:
        return many
    return many + (
        f"With fewer than {_ENOUGH_SEEDS} seeds these intervals are too narrow: they hold for the "
        "seeds that were run, and a `yes` says little about others."
    )


def _comparison_row(pair: Comparison) -> list[str]:
    d = pair.difference
    return [
        pair.first,
        pair.second,
        str(pair.seeds),
        str(pair.images),
        _signed(d.estimate),
        _points(d),
        "yes" if _shown(d) else "no",
    ]


def _shown(difference: Interval) -> bool:
    return difference.low > 0 or difference.high < 0


def _points(interval: Interval) -> str:
    return f"{_signed(interval.low)} to {_signed(interval.high)}"


def _signed(difference: float) -> str:
    """In points; adding 0 takes the sign from a zero."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"


def _percent(value: float) -> str:
    return "" if pd.isna(value) else f"{100 * value:.1f}"


def _mean(arm: pd.Series, name: str) -> str:
    mean, spread = _percent(arm[name]), _percent(arm[f"{name}_sd"])
    return f"{mean} ± {spread}" if spread else mean


def _grid(heads: list[str], rows: list[list[str]]) -> list[str]:
    rule = ["---"] + ["---:"] * (len(heads) - 1)
    return [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)] + [""]
