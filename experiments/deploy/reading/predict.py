"""A finished run reads the user's own images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from analysis.record import confidence_text
from analysis.spreadsheets import no_formula, no_formula_name
from experiments.data.decode import decode
from experiments.deploy.reading.onnx_reader import ONNX, OnnxReader
from experiments.errors import UserError
from experiments.files import whole

# Images that are decoded and read at once.
BATCH = 256


class Size(Protocol):
    """The images that a model takes, in pixels; see experiments.settings.parts.ImageSize."""

    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def channels(self) -> int: ...  # noqa: D102
    @property
    def pad(self) -> int: ...  # noqa: D102


class ImageReader(Protocol):
    """A trained model under torch or onnxruntime."""

    @property
    def size(self) -> Size:
        """What it takes."""

    def read(self, pixels: npt.NDArray[np.uint8]) -> Sequence[tuple[str, float, tuple[float, ...]]]:
        """Of each image (N, C, H, W) the text, its probability and that of each character."""


def open_reader(artifacts: Path, text_format: str | None = None) -> ImageReader:
    """The model of a folder, by ONNX where it is there, else by torch. Raises UserError.

    text_format: what its readings have to fit; see experiments.deploy.reading.formats.parse_format.
    """
    if text_format is None and (artifacts / ONNX).is_file():
        return OnnxReader(artifacts / ONNX)
    from experiments.deploy.model import load_model

    trained = load_model(artifacts)
    if text_format is None:
        return trained
    from experiments.deploy.reading.formats import InFormat, parse_format

    return InFormat(trained, parse_format(text_format, trained.objective.charset))


def open_together(
    artifacts: Sequence[Path], views: int, text_format: str | None = None
) -> ImageReader:
    """The models of several folders as one, or one model with its views. Raises UserError."""
    if len(artifacts) == 1 and views == 1:
        return open_reader(artifacts[0], text_format)
    from experiments.deploy.reading.together import TogetherReader

    return TogetherReader(artifacts, views, text_format)


class Row(NamedTuple):
    """One image as the table has it.

    confidence: of the whole text. characters: of each character by itself, separated by spaces.
    rejected: None where no accuracy was asked for.
    """

    filename: str
    value: str
    confidence: str
    characters: str
    rejected: bool | None


def names_of(files: Sequence[Path]) -> list[str]:
    """The files' names; their paths, where two have the same name."""
    names = [file.name for file in files]
    return names if len(set(names)) == len(names) else [str(file) for file in files]


def predict(
    reader: ImageReader,
    files: Sequence[Path],
    lowest: float | None = None,
    on_broken: Callable[[str], None] | None = None,
) -> Iterator[Row]:
    """What a model reads in the files, in their order. Raises UserError.

    lowest: the confidence below which a reading is rejected.
    on_broken: called, with the reason, for each file that is no readable image and is left out;
        without it such a file is a UserError.
    """
    names = names_of(files)
    for start in range(0, len(files), BATCH):
        batch: list[tuple[str, npt.NDArray[np.uint8]]] = []
        for name, file in zip(
            names[start : start + BATCH], files[start : start + BATCH], strict=True
        ):
            try:
                size = reader.size
                decoded = decode(file, size.height, size.width, size.channels, size.pad)
                batch.append((name, decoded.pixels))
            except UserError as error:
                if on_broken is None:
                    raise
                on_broken(str(error))
        if batch:
            yield from _rows(reader, batch, lowest)


def _rows(
    reader: ImageReader, batch: list[tuple[str, npt.NDArray[np.uint8]]], lowest: float | None
) -> Iterator[Row]:
    readings = reader.read(np.stack([image for _, image in batch]))
    for (name, _), (text, sure, each) in zip(batch, readings, strict=True):
        confidence = confidence_text(sure)
        # Rounded as in the tables of runs, from which the threshold comes.
        rejected = None if lowest is None else float(confidence) < lowest
        yield Row(name, text, confidence, " ".join(f"{p:.3f}" for p in each), rejected)


def write_table(
    rows: Iterable[Row], names: Sequence[str], judged: bool, output: Path | None
) -> None:
    """Print the rows as a table as they come; with an output, write them there as well.

    The file is filename;value;confidence;characters behind a header, with a column `rejected` (1 or
    0) where readings are judged. No cell of it is a formula to a spreadsheet: a name that would be
    one is written as the path ./NAME, which names the same file, and a reading, unless it is a
    number, behind an apostrophe. names: those of the rows, for the table's width. Raises UserError
    rather than overwrite.
    """
    width = max([8, *(len(_printable(name)) for name in names)])
    heads = ["filename", "value", "confidence", "characters"] + ["rejected"] * judged
    with ExitStack() as stack:
        write = stack.enter_context(_new_csv(output)) if output else None
        print(_line(width, *heads))
        if write:
            write(heads)
        for row in rows:
            fields = [row.filename, row.value, row.confidence, row.characters]
            mark = ["rejected"] if row.rejected else []
            print(_line(width, _printable(row.filename), *fields[1:], *mark))
            if write:
                fields[:2] = [no_formula_name(row.filename), no_formula(row.value)]
                write(fields + [str(int(bool(row.rejected)))] * judged)


@contextmanager
def _new_csv(file: Path) -> Iterator[Callable[[list[str]], object]]:
    """Write rows; the file has its name once it is whole, unless something else has it by then."""
    try:
        with (
            whole(file, replace=False) as making,
            making.open("x", encoding="utf-8", errors="surrogateescape", newline="") as opened,
        ):
            yield csv.writer(opened, delimiter=";", lineterminator="\n").writerow
    except FileExistsError:
        raise UserError(f"{file}: exists already; name another file") from None


def _line(width: int, name: str, value: str, confidence: str, each: str, *mark: str) -> str:
    columns = [f"{name:<{width}}", f"{value:<10}", f"{confidence:<10}", f"{each:<23}", *mark]
    return "  ".join(columns).rstrip()


def _printable(name: str) -> str:
    """A file's name as a terminal can show it, on one line."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()
