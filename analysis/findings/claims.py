"""What the published repository says of itself, and what can be recomputed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import pandas as pd

from analysis.findings import humans
from analysis.findings.humans import Baseline
from analysis.statistics.comparison import CROSS_ENTROPY, CTC, Comparison
from analysis.statistics.intervals import Interval
from analysis.statistics.significance import holm
from analysis.tables.arms import Section, arms
from analysis.tables.load import Results

# The published figures: accuracy and human agreement as they are written, in percent, and the lead
# of cross-entropy + stop over CTC ("10%+"), as a share of the images.
CLAIMED_ACCURACY, CLAIMED_AGREEMENT, CLAIMED_LEAD = "94.66", "93", 0.10

# What the published figures may be shares of: its own lists of images, and a training epoch of 234
# batches of 32.
PUBLISHED_COUNTS = {
    "the images that people read": 522,
    "the dev list": 1875,
    "the training list": 5622,
    "an epoch of 234 batches of 32": 7488,
    "all labelled images": 7497,
}


@dataclass(frozen=True)
class Audit:
    """Each published figure beside what can be recomputed.

    accuracy, agreement: as by `granularity`. people: how far the people agree, None where there are
    no readings. agreement_chance: the exact p-value against "they agree on the claimed share".
    outputs: as by `outputs`. lead: as by `lead`.
    """

    accuracy: pd.DataFrame
    agreement: pd.DataFrame
    people: Interval | None
    outputs: pd.DataFrame
    lead: pd.DataFrame


def audit(section: Section, results: Results, pairs: list[Comparison]) -> Audit:
    """All of it for one section; `pairs` are its comparisons."""
    base = humans.baseline(section, results)
    return Audit(
        accuracy=granularity(CLAIMED_ACCURACY),
        agreement=granularity(CLAIMED_AGREEMENT),
        people=humans.agreement(base.images) if base else None,
        outputs=outputs(base),
        lead=lead(section, pairs),
    )


def granularity(figure: str, counts: Mapping[str, int] = PUBLISHED_COUNTS) -> pd.DataFrame:
    """Which whole numbers of right readings can give a figure in percent, as it is written.

    A row a count: of (its name), images, then the least and the most right readings that give the
    figure `rounded` (half up) and `truncated` to its decimals, as `rounded_low`, `rounded_high`,
    `truncated_low`, `truncated_high`, missing where none does; `below` and `above`, the nearest
    percentages there are (at most and at least the figure), as written to the same decimals and
    rounded.
    """
    claimed = Fraction(figure)
    step = Fraction(1, 10 ** len(figure.partition(".")[2]))
    decimals = len(figure.partition(".")[2])
    rows: list[dict[str, object]] = []
    for name, images in counts.items():
        row: dict[str, object] = {"of": name, "images": images}
        # Half-open: from the least value that is written so to the least that no longer is.
        for how, least in (("rounded", claimed - step / 2), ("truncated", claimed)):
            low = -((-least * images) // 100)
            high = -((-(least + step) * images) // 100) - 1
            row[f"{how}_low"], row[f"{how}_high"] = (low, high) if low <= high else (None, None)
        under = claimed * images // 100
        over = -((-claimed * images) // 100)
        for side, right in (("below", under), ("above", over)):
            row[side] = f"{float(100 * Fraction(right, images)):.{decimals}f}"
        rows.append(row)
    whole = [f"{how}_{end}" for how in ("rounded", "truncated") for end in ("low", "high")]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def outputs(base: Baseline | None) -> pd.DataFrame:
    """The published readings in `humans.accuracy`; empty without any.

    Beside the columns there: `right`, how many, and `claimed`, whether the claimed accuracy lies in
    the interval. The published model learnt from the leaked images.
    """
    if base is None:
        return pd.DataFrame()
    table = humans.accuracy(base)
    table = table[table["kind"] == "output"].reset_index(drop=True)
    claimed = float(CLAIMED_ACCURACY) / 100
    return table.assign(
        right=(table["estimate"] * table["images"]).round().astype(int),
        claimed=(table["low"] <= claimed) & (claimed <= table["high"]),
    )


def lead(section: Section, pairs: list[Comparison]) -> pd.DataFrame:
    """Every pair of `ctc` and `ce_stop`: does cross-entropy + stop lead by what is claimed?

    Columns: ce_stop, ctc (labels), seeds, images, one_seed, estimate, low, high (ce_stop minus
    ctc), p (against "ce_stop leads by the claimed points or more"), p_adjusted (Holm),
    ruled_out (p_adjusted below 5%), ctc_accuracy (leak-free test, mean over seeds), and what
    ce_stop would have to read: needed_points with the lead in points, needed_relative with it as a
    tenth of CTC's accuracy, which may be more than all.
    """
    accuracy = arms(section).set_index("arm")["test_clean"]
    rows = []
    for pair in pairs:
        if set(pair.losses) != {CTC, CROSS_ENTROPY}:
            continue
        turned = pair if pair.losses[0] == CROSS_ENTROPY else pair.turned()
        d, of_ctc = turned.difference, float(accuracy[turned.arms[1]])
        rows.append(
            {
                "ce_stop": turned.first,
                "ctc": turned.second,
                "seeds": turned.seeds,
                "images": turned.images,
                "one_seed": turned.one_seed,
                "estimate": d.estimate,
                "low": d.low,
                "high": d.high,
                "p": d.p_below(CLAIMED_LEAD),
                "ctc_accuracy": of_ctc,
                "needed_points": of_ctc + CLAIMED_LEAD,
                "needed_relative": of_ctc * (1 + CLAIMED_LEAD),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    table["p_adjusted"] = holm(list(table["p"]))
    table["ruled_out"] = table["p_adjusted"] < 0.05
    return table
