"""The figure of the front page: cross-entropy + stop beside CTC in each setting that was tried.

    .venv/bin/python -m tests.analysis.lead

writes analysis/reference/lead.csv and lead.png from what each run read right, by the kept tables,
and prints the table of RESULTS.md.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from analysis.page.figures import differences
from analysis.page.style import render
from analysis.statistics.comparison import compare, corrected
from analysis.statistics.intervals import paired_difference
from analysis.statistics.significance import ALPHA
from tests.analysis.test_reference import CLEAN, ROOT, ids
from tests.analysis.test_reference_settings import made

REFERENCE = ROOT / "analysis/reference"
# The lead of cross-entropy + stop that the published repository tells of.
CLAIMED = 0.1
SEEDS = {1: "one seed", 3: "three seeds", 10: "ten seeds"}


class Pair(NamedTuple):
    """Two arms of a preset, and what either is called."""

    preset: str
    ce_stop: str
    ctc: str
    first: str
    second: str


PAIRS = [
    Pair("longer", "twice the epochs", "twice the epochs", "50 epochs", "50 epochs"),
    Pair("rates", "half the rate", "half the rate", "half the rate", "half the rate"),
    Pair("rates", "twice the rate", "twice the rate", "twice the rate", "twice the rate"),
    Pair("parts", "small_cnn", "small_cnn", "small_cnn", "small_cnn"),
    Pair("parts", "mobilenet_v3_small", "mobilenet_v3_small", "mobilenet", "mobilenet"),
    Pair("parts", "affine", "affine", "less augmentation", "less augmentation"),
    Pair("parts", "no augmentation", "no augmentation", "no augmentation", "no augmentation"),
    Pair("parts", "AdamW to 0.003", "AdamW to 0.003", "AdamW for Muon", "AdamW for Muon"),
    Pair("parts", "slots", "as it is", "slots", ""),
    Pair("claim", "attention LSTM", "as it is", "attention LSTM", ""),
    Pair("claim", "latent LSTM, filled behind the stop", "as it is", "published decoder", ""),
    Pair(
        *("claim", "latent LSTM, filled behind the stop, 7 time steps", "7 time steps"),
        *("published decoder, 7 columns", "7 time steps"),
    ),
    Pair(
        *("seed_112", "the published recipe", "the published recipe"),
        *("published recipe, ResNet18", "the same recipe"),
    ),
    Pair("claim", "as it is", "7 time steps", "30 columns", "7 time steps"),
    Pair("claim", "7 time steps", "7 time steps", "7 columns", "7 time steps"),
]


def planned() -> dict[str, object]:
    """The row of the planned comparison, which is tested by itself."""
    right = [CLEAN[ids(loss)].to_numpy(dtype=bool).T for loss in ("ce_stop", "ctc")]
    found = paired_difference(*right, CLEAN["group"].to_numpy())
    p = found.p_different()
    return _row("as planned", "as planned", len(right[0]), found.estimate, found.low, found.high, p)


def leads() -> pd.DataFrame:
    """A row a pair, cross-entropy + stop minus CTC; p corrected for all but the planned one."""
    pairs = [
        pair
        for pair in PAIRS
        if {f"ce_stop | {pair.ce_stop}", f"ctc | {pair.ctc}"} <= set(made(pair.preset)[0]["arm"])
    ]
    compared = [
        compare(made(pair.preset)[1], f"ce_stop | {pair.ce_stop}", f"ctc | {pair.ctc}")
        for pair in pairs
    ]
    found = zip(pairs, corrected([one for one in compared if one is not None]), strict=True)
    rows = [
        _row(
            *(pair.first, pair.second, one.seeds, one.difference.estimate),
            *(one.difference.low, one.difference.high, one.p_adjusted),
        )
        for pair, one in found
    ]
    return pd.DataFrame([planned(), *rows])


def _row(
    first: str, second: str, seeds: int, estimate: float, low: float, high: float, p: float
) -> dict[str, object]:
    return {
        "first": ", ".join(filter(None, ["ce_stop", first])),
        "second": ", ".join(filter(None, ["ctc", second])),
        "seeds": seeds,
        **{"estimate": estimate, "low": low, "high": high},
        **{"p": p, "shown": p < ALPHA},
    }


def cells(lead: pd.Series) -> list[str]:
    """A row as RESULTS.md has it: the two arms, seeds, the difference in points, p."""
    ends = (f"{100 * lead[name] + 0.0:+.1f}" for name in ("estimate", "low", "high"))
    p = "< 0.001" if lead["p"] < 0.001 else f"{lead['p']:.3f}"
    p = p if lead["p"] < 0.1 else f"{lead['p']:.2f}"
    return [lead["first"], lead["second"], str(lead["seeds"]), "{} ({} to {})".format(*ends), p]


def main() -> None:
    """Write them anew."""
    table = leads()
    table.round(5).to_csv(REFERENCE / "lead.csv", index=False)
    named = table.assign(
        second=table["second"] + ", " + table["seeds"].map(SEEDS), one_seed=table["seeds"] == 1
    )
    (REFERENCE / "lead.png").write_bytes(render(differences(named, CLAIMED)).png)
    for _, lead in table.iterrows():
        print(f"| {' | '.join(cells(lead))} |")


if __name__ == "__main__":
    main()
