"""What corrections are worth: a simulated person, who knows every label, answers a review.

    .venv/bin/python -m experiments.deploy.review.corrections FOLDER

writes corrections.csv and corrections.png there. Each reader that comes with the suite reads the
training part of the embedded strings. The person looks at some of the readings, the least sure
ones, as `review` asks about them, or as many at random, and puts right what was misread. The reader
is then trained on what the review saved, as the preset `fine_tuning` does with as many images: the
random ones are the very images of that preset, and validation and test part are its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import typer
from matplotlib.figure import Figure

from analysis.page.arm_names import looks
from analysis.page.style import legend, logarithmic, panels, render, style
from analysis.statistics.intervals import paired_difference
from analysis.tables.artifacts import images_in, predictions_of
from experiments.data.cells import Row, read_cells
from experiments.data.images import Images
from experiments.data.splits import Split, make_split
from experiments.data.synthetic.writing import ensure_folder
from experiments.deploy.reading.predict import open_reader, predict
from experiments.deploy.review.doubtful import Doubtful, rejected
from experiments.deploy.review.labels import Labelled
from experiments.options import OUT, Out
from experiments.readers import reader_folder, reader_of_start
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.settings.presets import load_preset
from experiments.training.run import data_folder, load_data, run

_IMAGES = "cell_images/training_set"
# A difference, and the ends of its interval.
_ENDS = ("", "_low", "_high")


class Pool(NamedTuple):
    """What one reader read, before anybody corrected it.

    asked: its readings of all training images, the least sure first.
    right: of each test image whether it was read right.
    """

    images: Images
    split: Split
    asked: list[Doubtful]
    right: list[bool]

    def truth(self) -> dict[Path, str]:
        """The label of each image."""
        return {row.path: row.label or "" for row in self.images.rows}

    def misread(self, shown: Iterable[Doubtful]) -> int:
        """How many of these the person has to correct; the others are confirmed."""
        truth = self.truth()
        return sum(one.value != truth[one.image] for one in shown)


def read_pool(config: RunConfig, reader: str, data: Path, out: Path) -> Pool:
    """What the reader makes of a data set that it has not seen."""
    images = load_data(config, data, out)
    split = make_split(images, config.model_copy(update={"train_images": 0}))
    opened = open_reader(reader_folder(reader))
    asked = rejected(opened, [images.rows[i].path for i in split.train], None, [])
    test = [images.rows[i] for i in split.test]
    readings = predict(opened, [row.path for row in test])
    right = [one.value == row.label for one, row in zip(readings, test, strict=True)]
    return Pool(images, split, asked, right)


def least_sure(pool: Pool, config: RunConfig) -> list[Doubtful]:
    """What `review` asks about first."""
    return pool.asked[: config.train_images]


def at_random(pool: Pool, config: RunConfig) -> list[Doubtful]:
    """The images that a run with `train_images` has, in the order of a review."""
    chosen = {pool.images.rows[i].path for i in make_split(pool.images, config).train}
    return [one for one in pool.asked if one.image in chosen]


CHOICES: dict[str, Callable[[Pool, RunConfig], list[Doubtful]]] = {
    "at random": at_random,
    "the least sure": least_sure,
}


def reviewed(pool: Pool, shown: Sequence[Doubtful], charset: str, folder: Path) -> Path:
    """A data set of what the person answered, beside the pool's validation and test part.

    The review's own folder has no lists: its test part would be cut from the few images.
    """
    answers = folder.with_name(f"{folder.name}-review")
    answers.parent.mkdir(parents=True, exist_ok=True)
    labelled, truth = Labelled(answers, [one.image for one in shown]), pool.truth()
    for number, one in enumerate(shown):
        if labelled.values.get(number) != truth[one.image]:
            labelled.label(number, truth[one.image])

    def write(making: Path) -> None:
        held = {"val": pool.split.val, "dev": pool.split.test}
        parts: dict[str, Sequence[Row]] = {
            "train": read_cells(answers, charset).rows,
            **{part: [pool.images.rows[i] for i in at] for part, at in held.items()},
        }
        (making / _IMAGES).mkdir(parents=True)
        (making / "crnn_labels").mkdir()
        values = ["filename;value"]
        for part, rows in parts.items():
            for row in rows:
                shutil.copyfile(row.path, making / _IMAGES / row.filename)
                values.append(f"{row.filename};{row.label}")
            names = "".join(f"{row.filename}\n" for row in rows)
            (making / f"crnn_labels/{part}.txt").write_text(names, encoding="utf-8")
        (making / f"{_IMAGES}_values.txt").write_text("\n".join(values) + "\n", encoding="utf-8")

    return ensure_folder(folder, write)


def right_after(config: RunConfig, data: Path, pool: Pool, out: Path) -> list[bool]:
    """Train on the reviewed images; of each of the pool's test images whether it is read right."""
    artifacts = Tracker(out).artifacts(run(config, data, out))
    assert artifacts is not None
    read = predictions_of(artifacts, images_in)
    test = read[read["split"] == "test"].set_index("filename")
    names = [pool.images.rows[i].filename for i in pool.split.test]
    return list((test["reading"] == test["truth"]).loc[names])


def measure(configs: Iterable[RunConfig], data: Path, out: Path) -> pd.DataFrame:
    """A row a reader, number of images and choice.

    corrected: how many of the images had been misread. right, of: of the test images. gained: over
    the reader as it was; ahead: of as many at random; both in 0..1 with their paired interval.
    """
    rows = []
    pools: dict[str, Pool] = {}
    for config in configs:
        reader = reader_of_start(config.start)
        if reader is None:
            continue
        if reader not in pools:
            pools[reader] = read_pool(config, reader, data, out)
        pool = pools[reader]
        groups = np.array([pool.images.groups[i] for i in pool.split.test])
        found: dict[str, list[bool]] = {}
        for choice, choose in CHOICES.items():
            shown = choose(pool, config)
            name = f"{reader}-{len(shown)}-{choice.replace(' ', '-')}"
            own = reviewed(pool, shown, config.charset, out / "corrections" / name)
            right = found.setdefault(choice, right_after(config, own, pool, out))
            rows.append(
                {
                    **{"reader": reader, "choice": choice, "images": len(shown)},
                    **{"corrected": pool.misread(shown), "right": sum(right), "of": len(right)},
                    "right_before": sum(pool.right),
                    **_against("gained", right, pool.right, groups),
                    **_against("ahead", right, found["at random"], groups),
                }
            )
            print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    return pd.DataFrame(rows)


def _against(
    name: str, right: list[bool], before: list[bool], groups: np.ndarray
) -> dict[str, float]:
    found = paired_difference(np.array([right]), np.array([before]), groups)
    ends = zip(_ENDS, (found.estimate, found.low, found.high), strict=True)
    return {f"{name}{end}": round(value, 5) for end, value in ends}


def drawn(table: pd.DataFrame) -> Figure:
    """What was gained against how many labels were corrected, of how many that were looked at."""
    readers = list(dict.fromkeys(table["reader"]))
    look_of = looks(list(dict.fromkeys(table["choice"])))
    with style():
        figure, axes = panels(len(readers), 5.2)
        for axis, reader in zip(axes, readers, strict=True):
            for choice, look in look_of.items():
                own = table[(table["reader"] == reader) & (table["choice"] == choice)]
                gained, low, high = (100 * own[f"gained{end}"] for end in _ENDS)
                axis.errorbar(
                    own["corrected"], gained, [gained - low, high - gained], label=choice,
                    color=look.colour, marker=look.marker, markersize=8, linewidth=2, capsize=3,
                    dashes=look.dashes or (None, None),
                )  # fmt: skip
                for at, points, images in zip(own["corrected"], gained, own["images"], strict=True):
                    axis.annotate(
                        f"of {images:,}", (at, points), (-6, 6), textcoords="offset points",
                        color=look.colour, fontsize=12, ha="right",
                    )  # fmt: skip
            logarithmic(axis, table["corrected"], 8)
            axis.set_xlim(left=table["corrected"].min() / 3)  # room for the leftmost words
            axis.set(title=reader, xlabel="labels corrected")
        axes[0].set(ylabel="exact match gained, points")
        legend(figure, axes[0])
    return figure


def main(folder: Path, out: Out = OUT) -> None:
    """Print a line a run; those that OUT holds are not made again."""
    torch.set_num_threads(1)
    table = measure(load_preset("fine_tuning").expand(), data_folder(None, out), out)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "corrections.csv", index=False)
    (folder / "corrections.png").write_bytes(render(drawn(table)).png)


if __name__ == "__main__":
    typer.run(main)
