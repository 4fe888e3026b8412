"""A trained model as a folder for use elsewhere: safetensors and JSON, and ONNX beside them."""

from __future__ import annotations

import csv
import inspect
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from analysis.record import PREDICTIONS, SETTINGS, WEIGHTS, read_object
from experiments.data.images import Images
from experiments.data.splits import Split, make_split
from experiments.deploy.export.int8 import Tried, write_int8
from experiments.deploy.export.measure import Table, measure
from experiments.deploy.export.onnx_file import difference_to_torch, noise, write_onnx
from experiments.deploy.export.part import Part
from experiments.deploy.model import Trained, load_model
from experiments.deploy.reading.onnx_reader import ONNX
from experiments.errors import UserError
from experiments.files import whole_folder
from experiments.readers import CARD
from experiments.settings.config import run_config
from experiments.training.learnt import leaks, read_learnt
from experiments.training.run import load_data

INT8 = "model.int8.onnx"
# Sums in another order.
_MOST = 1e-4


class Exported(NamedTuple):
    """What came of an export.

    difference: of the ONNX scores to torch's, over the largest score. integers, table: of the file
    with integers and of all forms beside each other, where there was data to measure them on.
    """

    difference: float
    integers: list[Tried]
    table: Table | None

    def text(self) -> str:
        """What int8 was chosen by and the table, as Markdown; empty without data."""
        if self.table is None:
            return ""
        tried = "; ".join(f"{kind.name} {right:.1%}" for kind, right in self.integers)
        return (
            f"{self.table.text()}\n\n"
            "The test part without images that training also has; one thread, in turn; medians and "
            f"quartiles. As integers in `{INT8}`: {self.integers[-1].kind.name} (right on the "
            f"validation part, which chose it: {tried})."
        )


def export(artifacts: Path, folder: Path, data: Path | None, out: Path) -> Exported:
    """Make the folder from a finished run's artifacts.

    data: the data set that the run was trained on; with it a file with integers is written as well,
        and all forms are measured. out: where the data set is decoded to.
    Raises UserError where there is such a folder, where ONNX does not say the same, or for another
    data set.
    """
    with whole_folder(folder) as making:
        trained = load_model(artifacts)
        parts = None if data is None else _parts(artifacts, data, out)
        for name in (SETTINGS, WEIGHTS):
            shutil.copyfile(artifacts / name, making / name)
        outputs = write_onnx(trained, making / ONNX)
        difference = max(
            difference_to_torch(trained, making / ONNX, noise(trained, count)) for count in (1, 3)
        )
        if not difference <= _MOST:
            raise UserError(
                f"{artifacts}: its ONNX model differs from torch by {difference:.1g}; use the "
                "safetensors"
            )
        exported = Exported(difference, [], None)
        if parts is not None:
            tried = write_int8(trained, parts.training, parts.validation, making / INT8)
            forms = {"ONNX": making / ONNX, "ONNX, int8": making / INT8}
            table = measure(trained, making / WEIGHTS, forms, parts.test, parts.groups)
            exported = Exported(difference, tried, table)
        text = _readme(trained, outputs, exported.text())
        (making / "README.md").write_text(text, encoding="utf-8")
    return exported


class _Parts(NamedTuple):
    """Of the run's own split. groups: of the test images, by identical ones."""

    training: npt.NDArray[np.uint8]
    validation: Part
    test: Part
    groups: list[int]


def _parts(artifacts: Path, data: Path, out: Path) -> _Parts:
    config = run_config(read_object(artifacts / SETTINGS), {})
    images = load_data(config, data, out)
    split = make_split(images, config)
    if not _same_data(artifacts, images, split):
        raise UserError(
            f"{data}: is not what this run was trained on, so its test part may have been learnt; "
            "set DATA (--data) to that data set as it was"
        )
    test = tuple(i for i in split.test if i in split.clean)
    if not (test and split.val):
        raise UserError(f"{data}: no leak-free test image or no validation part to measure on")
    return _Parts(
        Part.of(images, split.train).pixels,
        Part.of(images, split.val),
        Part.of(images, test),
        [images.groups[i] for i in test],
    )


def _same_data(artifacts: Path, images: Images, split: Split) -> bool:
    """Whether the run was tested on the test part of these images, with these labels.

    A reader that comes with the suite may be measured on whatever images it has not learnt from:
    of the published data there are copies with fewer rows.
    """
    if (artifacts / CARD).is_file():
        seen = read_learnt(artifacts)
        return seen is not None and not leaks(seen, images, split)
    with (artifacts / PREDICTIONS).open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    labels = {images.rows[i].filename: images.rows[i].label for i in split.test}
    return {row["filename"]: row["truth"] for row in rows} == labels


def _readme(trained: Trained, outputs: list[str], measured: str) -> str:
    size, objective = trained.size, trained.objective
    charset = objective.charset
    grey = ", grey (0.299 R + 0.587 G + 0.114 B)" if size.channels == 1 else ""
    pad = f", {size.pad} rows of black above and below" if size.pad else ""
    described = {
        "steps": "(N, steps, classes), the scores of each step",
        "lengths": "(N, lengths), the scores of a text's length, from 1 character on",
    }
    lines = "\n".join(
        f"- `{name}`: float32 {described[name]}, not normalised"
        for name in outputs
        if name in described
    )
    if measured:
        measured = f"""
## What the forms read right, weigh and take

`{INT8}` is the same model with sums of 8-bit integers, the same input and the same outputs.

{measured}
"""
    return f"""# A reader of short handwritten numbers

`{WEIGHTS}` and `{SETTINGS}` are the trained model of one run; `{ONNX}` is the same in
ONNX and was held against torch when this folder was made.

## Input

`images`: float32 (N, {size.channels}, {size.height}, {size.width}) in 0..1, any N. An image file
becomes one by: upright by its EXIF tag, what is transparent on white, RGB{grey}{pad},
stretched to {size.width}x{size.height} pixels (Pillow's BILINEAR), divided by 255.

## Output

- `classes`: int64 (N, steps), what is read: the class of a character, from the left, or -1
- `characters`: float32 (N, steps), the probability of each such character
- `confidence`: float32 (N,), the probability of the whole text
{lines}

Of {objective.num_classes} classes the first {len(charset)} are the characters `{charset}` in this
order; what stands behind them is no character.

## How scores become a text and its confidence

{inspect.getdoc(type(objective))}

{inspect.getdoc(type(objective).spell)}
{measured}"""
