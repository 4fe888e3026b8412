"""Where each loss fails: the planned pair by what is written on a cell.

    .venv/bin/python -m tests.analysis.slices DATA OUT

writes analysis/reference/slices.csv and wrong.csv, for which it needs the labels of the published
cells (DATA, as `make data` fetches them) and the readings of the folds (OUT of that ablation), and
prints the table of RESULTS.md. Nothing of it was planned.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings.errors import adjacent_repeats, wrong_values
from analysis.record import PREDICTIONS, artifacts_of
from analysis.statistics.intervals import paired_difference
from experiments.data.cells import read_cells
from experiments.settings.config import RunConfig
from tests.analysis import test_folds as folds
from tests.analysis import test_reference as reference

REFERENCE = reference.ROOT / "analysis/reference"
_REPEATS = ("none adjacent", "one", "two and more")
KINDS = {
    "characters": lambda text: (
        "1 to 4" if len(text) < 5 else "5" if len(text) < 6 else "6 and more"
    ),
    "repeated characters": lambda text: _REPEATS[min(adjacent_repeats(text), 2)],
    "point and sign": lambda text: {
        (0, 0): "neither",
        (1, 0): "point",
        (0, 1): "sign",
        (1, 1): "both",
    }["." in text, "-" in text],
}


def of_dev() -> tuple[pd.DataFrame, list[np.ndarray], None]:
    """The leak-free dev images, and what the ten seeds of either loss read right of them."""
    images = reference.CLEAN
    right = [images[reference.ids(loss)].to_numpy(dtype=bool).T for loss in reference.LOSSES]
    return images, right, None


def of_folds() -> tuple[pd.DataFrame, list[np.ndarray], np.ndarray]:
    """All labelled images that judge, what each seed's ten runs read right, and their folds."""
    images = folds.JUDGES
    by_seed = [[folds.ids(loss, seed) for seed in folds.SEEDS] for loss in folds.LOSSES]
    right = [
        np.stack([images[runs].max(axis=1).to_numpy(dtype=bool) for runs in of_loss])
        for of_loss in by_seed
    ]
    fold = images[by_seed[0][0]].notna().to_numpy().argmax(axis=1)
    return images, right, fold


def slices(data: Path) -> pd.DataFrame:
    """A row a set of images and kind of label: images, share of either loss, CTC's lead."""
    cells = read_cells(data, RunConfig.model_fields["charset"].default)
    labels = {one.filename: one.label for one in cells.rows if one.label is not None}
    rows = []
    for name, (images, (ctc, ce_stop), fold) in (("dev", of_dev()), ("folds", of_folds())):
        texts = images["filename"].map(labels)
        for kind, value_of in KINDS.items():
            values = texts.map(value_of).to_numpy()
            for value in sorted(set(values)):
                at = values == value
                groups = images["group"].to_numpy()[at]
                of_slice = None if fold is None else fold[at]
                lead = paired_difference(ctc[:, at], ce_stop[:, at], groups, folds=of_slice)
                shares = (float(right[:, at].mean()) for right in (ctc, ce_stop))
                rows.append(
                    (name, kind, value, int(at.sum()), *shares, lead.estimate, lead.low, lead.high)
                )
    columns = ["images_of", "kind", "label", "images", *reference.LOSSES, "lead", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def table(found: pd.DataFrame) -> list[str]:
    """The rows of RESULTS.md."""
    wide = {key: rows.set_index("images_of") for key, rows in found.groupby(["kind", "label"])}
    lines = []
    for (kind, label), rows in wide.items():
        cells = []
        for name in ("dev", "folds"):
            one = rows.loc[name]
            ends = (f"{100 * one[end] + 0.0:+.1f}" for end in ("lead", "low", "high"))
            shares = (f"{100 * one[loss]:.1f}" for loss in reference.LOSSES)
            cells += [f"{one['images']:,}", *shares, "{} ({} to {})".format(*ends)]
        lines.append(f"| {kind}: {label} | {' | '.join(cells)} |")
    return lines


def wrong(out: Path) -> pd.DataFrame:
    """A row a loss: the readings of the folds, how many are wrong, and in what."""
    rows = []
    for loss in reference.LOSSES:
        runs = [run for seed in folds.SEEDS for run in folds.ids(loss, seed)]
        tables = (
            pd.read_csv(artifacts_of(out, run) / PREDICTIONS, dtype=str, keep_default_na=False)
            for run in runs
        )
        read = pd.concat(tables)
        read = read[(read["split"] == "test") & read["filename"].isin(folds.JUDGES["filename"])]
        found = wrong_values(read)
        rows.append(
            {"loss": loss, "readings": len(read)}
            | {kind: getattr(found, kind) for kind in ("wrong", "separator", "sign", "tenfold")}
        )
    return pd.DataFrame(rows)


if __name__ == "__main__":
    made = slices(Path(sys.argv[1]))
    made.round(5).to_csv(REFERENCE / "slices.csv", index=False)
    wrong(Path(sys.argv[2])).to_csv(REFERENCE / "wrong.csv", index=False)
    print("\n".join(table(made)))
