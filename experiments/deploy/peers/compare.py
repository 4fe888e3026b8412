"""What peers read right of the same cells, and how long they take, beside our readers.

How a peer gets its images is chosen on training images, as our readers' settings were; the test
part is read once. Times are from the image file to its text, on one thread, and taken in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice, product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps

from analysis.record import SETTINGS, read_object
from analysis.statistics.intervals import Interval, mean_share
from experiments.data.decode import open_rgb
from experiments.data.images import Images
from experiments.data.splits import make_split
from experiments.deploy.peers.engines import ENGINES, Engine
from experiments.deploy.reading.onnx_reader import ONNX, OnnxReader
from experiments.deploy.reading.predict import predict
from experiments.errors import UserError
from experiments.readers import reader_folder, reader_names
from experiments.settings.config import run_config
from experiments.training.learnt import refuse_learnt
from experiments.training.run import load_data

_ROUNDS = 5
_MANY = 32
# Training images on which a peer's way to look is chosen.
_CHOOSING = 100


def _larger(image: Image.Image) -> Image.Image:
    return image.resize((3 * image.width, 3 * image.height), Image.Resampling.BICUBIC)


def _with_margin(image: Image.Image) -> Image.Image:
    """Paper around it, as bright as most of the image."""
    paper = tuple(int(x) for x in np.median(np.asarray(image).reshape(-1, 3), axis=0))
    return ImageOps.expand(image, image.height // 3, paper)


def _without_edge(image: Image.Image) -> Image.Image:
    """Lines of the table stand there, which some read as characters."""
    return ImageOps.crop(image, image.height // 11)


# Of images, their texts.
Read = Callable[[Sequence[Path]], list[str]]
PREPARATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "three times as large": _larger,
    "three times as large, full contrast": lambda image: ImageOps.autocontrast(_larger(image)),
    "three times as large, with a margin": lambda image: _with_margin(_larger(image)),
    "three times as large, without its edge": lambda image: _larger(_without_edge(image)),
    "three times as large, a margin for its edge": lambda image: _with_margin(
        _larger(_without_edge(image))
    ),
}


class Compared(NamedTuple):
    """A reader. alone, many: milliseconds for one image and for _MANY, in every round.

    how: how it gets its images, and how it was asked to look at them.
    """

    name: str
    share: Interval
    alone: list[float]
    many: list[float]
    how: str


def compare(data: Path, out: Path) -> tuple[list[Compared], list[str]]:
    """Our readers and all peers that are there; and why another is not. Raises UserError."""
    torch.set_num_threads(1)
    config = run_config(read_object(reader_folder(reader_names()[0]) / SETTINGS), {})
    images = load_data(config, data, out)
    split = make_split(images, config)
    for name in reader_names():
        refuse_learnt(name, images, split)
    test = tuple(i for i in split.test if i in split.clean)
    choosing = split.train[:: max(1, len(split.train) // _CHOOSING)][:_CHOOSING]
    readers: dict[str, tuple[Read, str]] = {}
    for name in reader_names():
        readers[f"`{name}` (ONNX)"] = _ours(reader_folder(name) / ONNX), ""
    absent = []
    for engine in ENGINES:
        try:
            peer = engine()
        except (ImportError, UserError) as error:
            absent.append(f"{engine.__name__}: {error}")
            continue
        readers[peer.name] = _best_of(peer, images, choosing)
    groups = np.array([images.groups[i] for i in test])
    shares = {
        name: mean_share(_right(read, images, test)[None], groups)
        for name, (read, _) in readers.items()
    }
    files = [images.rows[i].path for i in test]
    alone, many = (_in_turn(readers, list(islice(cycle(files), count))) for count in (1, _MANY))
    found = [
        Compared(name, shares[name], alone[name], many[name], how)
        for name, (_, how) in readers.items()
    ]
    return found, absent


def as_table(found: list[Compared], absent: list[str]) -> str:
    """As Markdown; times also as multiples of the first reader's, round by round."""
    lines = [
        f"| reader | exact match, % (95% interval) | ms, 1 image | ms, {_MANY} images | times the "
        f"first's: 1, {_MANY} | how it gets an image |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in found:
        middle, low, high = (100 * x for x in (one.share.estimate, one.share.low, one.share.high))
        times = [statistics.median(taken) for taken in (one.alone, one.many)]
        ratios = [
            statistics.median(a / b for a, b in zip(mine, firsts, strict=True))
            for mine, firsts in ((one.alone, found[0].alone), (one.many, found[0].many))
        ]
        lines.append(
            f"| {one.name} | {middle:.1f} ({low:.1f} to {high:.1f}) | {times[0]:.1f} | "
            f"{times[1]:.0f} | {ratios[0]:.1f}, {ratios[1]:.1f} | {one.how} |"
        )
    return "\n".join([*lines, *(f"\nnot there: {why}" for why in absent)])


def _ours(file: Path) -> Read:
    reader = OnnxReader(file, threads=1)
    return lambda files: [row.value for row in predict(reader, files)]


def _best_of(peer: Engine, images: Images, choosing: tuple[int, ...]) -> tuple[Read, str]:
    """The peer as it reads most of the training images right, and how that is."""
    ways = list(product(PREPARATIONS, peer.modes))
    best = max(ways, key=lambda way: _right(_look(peer, *way), images, choosing).sum())
    return _look(peer, *best), ", ".join(filter(None, best))


def _look(peer: Engine, preparation: str, mode: str) -> Read:
    prepare = PREPARATIONS[preparation]
    return lambda files: peer.read([prepare(open_rgb(file)) for file in files], mode)


def _right(read: Read, images: Images, at: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    texts = read([images.rows[i].path for i in at])
    return np.array([text == images.rows[i].label for text, i in zip(texts, at, strict=True)])


def _in_turn(readers: dict[str, tuple[Read, str]], files: Sequence[Path]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in readers}
    for round_ in range(_ROUNDS + 1):
        for name, (read, _) in readers.items():
            began = time.perf_counter()
            read(files)
            if round_:  # the first finds memory and chooses kernels
                times[name].append(1000 * (time.perf_counter() - began))
    return times
