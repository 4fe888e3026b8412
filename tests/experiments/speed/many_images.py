"""How long reading a data set and training on it take, and how much memory, with many images.

    .venv/bin/python -m tests.experiments.speed.many_images FOLDER

writes many_images.csv and many_images.png there: for the first arm of `speedrun`, on one thread, on
embedded strings of which nearly all train.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import torch
import typer

from analysis.page.style import style
from experiments.data.synthetic.strings import ensure_strings
from experiments.settings.presets import load_preset
from experiments.speed.bench import training_steps
from experiments.speed.profile import peak_memory
from experiments.training.run import load_data

SIZES = (1_000, 10_000, 100_000)
_STEPS = 50


def measure(images: int, parent: Path) -> dict[str, float]:
    """Of a process that reads the images, and trains some steps on them; seconds and MiB."""
    torch.set_num_threads(1)
    data = ensure_strings(parent, counts={"train": images, "val": images // 100, "dev": 60})
    config = load_preset("speedrun").expand([0])[0]
    taken: dict[str, float] = {"images": images}
    for what in ("reading, first", "reading, again"):
        began = time.monotonic()
        loaded = load_data(config, data, parent, judges=False)
        taken[what] = time.monotonic() - began
    take = training_steps(config, loaded)
    for _ in range(5):
        take()
    began = time.monotonic()
    for _ in range(_STEPS):
        take()
    step = (time.monotonic() - began) / _STEPS
    taken["an epoch of training"] = step * images / config.batch_size
    taken["peak memory, MiB"] = peak_memory()
    return taken


def draw(table: pd.DataFrame, file: Path) -> None:
    """Seconds against the images, on logarithmic axes beside a straight line, and memory."""
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
        for name in ("an epoch of training", "reading, first", "reading, again"):
            left.plot(table.images, table[name], marker="o", label=name)
        first = table.iloc[0]
        straight = first["an epoch of training"] * table.images / first.images
        left.plot(table.images, straight, color="grey", linestyle=":", label="straight")
        left.set(xscale="log", yscale="log", xlabel="training images", ylabel="seconds")
        left.legend(title="")
        right.plot(table.images, table["peak memory, MiB"], marker="o")
        right.set(
            xlabel="training images", ylabel="peak memory, MiB", xlim=(0, None), ylim=(0, None)
        )
        figure.savefig(file, dpi=80)
        plt.close(figure)


def main(folder: Path) -> None:
    """Print a line a size; each has a process of its own, whose memory is its own."""
    rows = []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as parent:
        for images in SIZES:
            with multiprocessing.get_context("spawn").Pool(1) as process:
                rows.append(process.apply(measure, (images, Path(parent))))
            print(", ".join(f"{key} {value:.2f}" for key, value in rows[-1].items()), flush=True)
    table = pd.DataFrame(rows).round(3)
    table.to_csv(folder / "many_images.csv", index=False)
    draw(table, folder / "many_images.png")


if __name__ == "__main__":
    typer.run(main)
