"""What a format is worth to the readers that come with the suite, and what it costs in time.

It is given to the images whose labels fit it alone, as one gives it to the cells of a column:

    .venv/bin/python -m experiments.deploy.reading.format_gain --data folder --format number
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from analysis.record import SETTINGS, read_object
from analysis.statistics.intervals import paired_difference
from experiments.data.images import Images
from experiments.data.splits import make_split
from experiments.deploy.model import Trained, load_model
from experiments.deploy.reading.formats import in_format, parse_format
from experiments.options import OUT, Out
from experiments.readers import reader_folder, reader_names
from experiments.settings.config import run_config
from experiments.training.epochs import labelled
from experiments.training.inference import score
from experiments.training.learnt import refuse_learnt
from experiments.training.run import load_data
from losses.best_first import Grammar

_HEAD = "| reader | part | format | right without, with | of | points (95%) | changed | time |"


def main(
    data: Annotated[Path, typer.Option(help="The data set that the readers were trained on.")],
    text_format: Annotated[list[str], typer.Option("--format", help="As of predict.")],
    out: Out = OUT,
) -> None:
    """A row for each reader, part and format; `time` is that with a format over that without."""
    torch.set_num_threads(1)
    print(_HEAD)
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name in reader_names():
        trained = load_model(reader_folder(name))
        config = run_config(read_object(reader_folder(name) / SETTINGS), {})
        images = load_data(config, data, out)
        split = make_split(images, config)
        refuse_learnt(name, images, split)
        clean = tuple(i for i in split.test if i in split.clean)
        for part, at in (("validation", split.val), ("leak-free dev", clean)):
            for text in text_format:
                grammar = parse_format(text, trained.objective.charset)
                fitting = tuple(i for i in at if grammar.fits(images.rows[i].label or ""))
                print(f"| {name} | {part} | {text} | {_gain(trained, grammar, images, fitting)} |")


def _gain(trained: Trained, grammar: Grammar, images: Images, at: tuple[int, ...]) -> str:
    pixels, labels = labelled(images, at)
    began = time.perf_counter()
    scores = [s.cpu() for s in score(trained.model, pixels)]
    free = [r for s in scores for r in trained.objective.decode(s)]
    alone = time.perf_counter() - began
    began = time.perf_counter()
    held = [r for s in scores for r in in_format(trained.objective, s, grammar)]
    more = time.perf_counter() - began
    was, now = (
        np.array([[reading.text == label for reading, label in zip(row, labels, strict=True)]])
        for row in (free, held)
    )
    gain = paired_difference(now, was, np.array([images.groups[i] for i in at]))
    low, mid, high = (100 * x for x in (gain.low, gain.estimate, gain.high))
    changed = sum(a.text != b.text for a, b in zip(held, free, strict=True))
    return (
        f"{was.sum()}, {now.sum()} | {len(at)} | {mid:+.1f} ({low:+.1f} to {high:+.1f}) "
        f"| {changed} | {(alone + more) / alone:.2f}"
    )


if __name__ == "__main__":
    typer.run(main)
