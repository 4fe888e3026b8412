"""What an exported model reads right, weighs and takes, beside the same model under torch.

Everything is read on one thread, and in turn: a machine that is busy for a while is so for all.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from analysis.statistics.intervals import Difference, Interval, paired_difference, share
from experiments.deploy.export.int8 import MOST_LOST
from experiments.deploy.export.part import Part
from experiments.deploy.reading.onnx_reader import OnnxReader
from experiments.deploy.reading.predict import ImageReader

_ROUNDS = 15
# Images at once, as the table has them.
_COUNTS = (1, 32)


class Measured(NamedTuple):
    """One form of a model.

    right: (N,) of the test images. milliseconds: for each of _COUNTS, in every round.
    """

    name: str
    size: int
    right: npt.NDArray[np.bool_]
    milliseconds: dict[int, list[float]]


class Table(NamedTuple):
    """The forms of a model, torch's first, and the groups (N,) of identical test images."""

    forms: list[Measured]
    groups: npt.NDArray[np.int_]

    def too_bad(self) -> list[str]:
        """The forms that lose more than MOST_LOST of the test part against torch."""
        return [
            form.name for form in self.forms[1:] if self._against_torch(form).estimate < -MOST_LOST
        ]

    def _against_torch(self, form: Measured) -> Difference:
        return paired_difference(form.right[None], self.forms[0].right[None], self.groups)

    def text(self) -> str:
        """As Markdown."""
        first, *others = self.forms
        heads = ["", "exact match, % (95% interval)", "points beside torch", "file, MB"]
        heads += [f"ms, {n} image{'s' if n > 1 else ''}" for n in _COUNTS]
        rows = [_row(first, "")]
        rows += [_row(form, _interval(self._against_torch(form), "+.1f")) for form in others]
        rule = ["---", *["---:"] * (len(heads) - 1)]
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, rule, *rows))


def measure(
    torch_reader: ImageReader, weights: Path, files: dict[str, Path], test: Part, groups: list[int]
) -> Table:
    """Read the test part with each form, and take the time of some of it.

    torch_reader, weights: the model under torch and its file. files: the others, by their names.
    groups: for each test image that of the images identical to it.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        readers: dict[str, ImageReader] = {"torch": torch_reader}
        readers |= {name: OnnxReader(file, threads=1) for name, file in files.items()}
        right = {name: test.right(reader) for name, reader in readers.items()}
        times = _in_turn(readers, test.pixels)
    finally:
        torch.set_num_threads(threads)
    sizes = {name: file.stat().st_size for name, file in {"torch": weights, **files}.items()}
    forms = [Measured(name, sizes[name], right[name], times[name]) for name in readers]
    return Table(forms, np.array(groups))


def _in_turn(
    readers: dict[str, ImageReader], pixels: npt.NDArray[np.uint8]
) -> dict[str, dict[int, list[float]]]:
    times: dict[str, dict[int, list[float]]] = {
        name: {count: [] for count in _COUNTS} for name in readers
    }
    for round_ in range(_ROUNDS + 1):
        for name, reader in readers.items():
            for count, taken in times[name].items():
                # As many images, however few the test part has.
                images = np.resize(pixels, (count, *pixels.shape[1:]))
                began = time.perf_counter()
                reader.read(images)
                if round_:  # the first finds memory and chooses kernels
                    taken.append(1000 * (time.perf_counter() - began))
    return times


def _row(form: Measured, difference: str) -> list[str]:
    found = share(int(form.right.sum()), len(form.right))
    spreads = [_quartiles(form.milliseconds[count]) for count in _COUNTS]
    return [form.name, _interval(found, ".1f"), difference, f"{form.size / 1e6:.2f}", *spreads]


def _interval(found: Interval, how: str) -> str:
    middle, low, high = (f"{100 * x:{how}}" for x in (found.estimate, found.low, found.high))
    return f"{middle} ({low} to {high})"


def _quartiles(times: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(times, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"
