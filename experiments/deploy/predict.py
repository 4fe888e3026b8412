"""A finished run reads the user's own images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from analysis.record import PREDICTIONS, SETTINGS, WEIGHTS, read_object
from analysis.spreadsheets import no_formula, no_formula_name
from analysis.statistics.calibration import Kept, UnreachableError, reject_below, reject_safely
from experiments.data.decode import decode
from experiments.errors import UserError
from experiments.files import whole
from experiments.settings.config import ImageSize, run_config
from experiments.training.build import build
from experiments.training.evaluation import confidence_text
from experiments.training.inference import BATCH, read
from losses import Objective, Reading
from models import Reader

# Of a reader that comes with the suite, which has no predictions since these hold labels.
VALIDATION = "validation.csv"


class Trained(NamedTuple):
    """A run's model, its objective and its image size."""

    model: Reader
    objective: Objective
    size: ImageSize


class Row(NamedTuple):
    """One image as it is told. rejected: None where no accuracy was asked for."""

    filename: str
    value: str
    confidence: str
    rejected: bool | None


def load_model(artifacts: Path) -> Trained:
    """The trained model of a run, from its weights and its settings. Raises UserError."""
    try:
        settings = read_object(artifacts / SETTINGS)
        # The weights come from the run, not from where its training began.
        config = run_config(settings, {"pretrained": "none"})
        model, objective = build(config)
        weights = load_file(artifacts / WEIGHTS)
        model.load_state_dict(weights)
    except (UserError, SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise UserError(f"{artifacts}: cannot be loaded ({error}); train the run again") from error
    if not all(tensor.isfinite().all() for tensor in weights.values()):
        raise UserError(f"{artifacts / WEIGHTS}: not all of it are numbers; train the run again")
    return Trained(model.eval(), objective, config.image)


def read_images(trained: Trained, sources: Sequence[Path | bytes]) -> Iterator[Reading]:
    """Readings of image files, or of what is in them, in order. Raises UserError.

    Memory holds the pixels of one batch, however many images there are.
    """
    for start in range(0, len(sources), BATCH):
        batch = [pixels_of(source, trained.size) for source in sources[start : start + BATCH]]
        yield from read(trained.model, trained.objective, torch.stack(batch))


def pixels_of(source: Path | bytes, size: ImageSize) -> Tensor:
    """An image as a model of this size is trained on it: (C, H, W) uint8. Raises UserError."""
    decoded = decode(source, size.height, size.width, size.channels, size.pad)
    return torch.from_numpy(decoded.pixels.copy())


class Threshold(NamedTuple):
    """Below which confidence readings are rejected.

    kept: what that leaves of the validation part. unproved: what would be left there by the
        smallest confidence that is right so often on these very readings, and on others maybe not.
    """

    kept: Kept
    unproved: Kept


def reject_threshold(artifacts: Path, accuracy: float) -> Threshold:
    """From which confidence on the run's readings are right this often, by its validation part.

    Never by its test or human-read images. Raises UserError with the best that can be had.
    """
    confidences, right = _on_validation(artifacts)
    try:
        safe = reject_safely(confidences, right, accuracy)
        return Threshold(safe, reject_below(confidences, right, accuracy))
    except UnreachableError as error:
        best = error.best
        raise UserError(
            f"an accuracy of {error}: the best on validation is {best.accuracy.estimate:.6g}, of "
            f"the {best.kept} surest of {best.of} readings, which promises {best.promised:.6g} "
            "on others; ask for less, or train with a larger validation part"
        ) from error


def _on_validation(artifacts: Path) -> tuple[list[float], list[bool]]:
    """How sure it was of each image of its validation part, and whether it was right."""
    if (artifacts / PREDICTIONS).is_file():
        with (artifacts / PREDICTIONS).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "val"]
        right = [row["truth"] == row["reading"] for row in rows]
    else:
        with (artifacts / VALIDATION).open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        right = [row["right"] == "1" for row in rows]
    return [float(row["confidence"]) for row in rows], right


def describe(threshold: Threshold) -> str:
    """What a threshold rests on and costs, in a line."""
    kept = threshold.kept
    return (
        f"rejected below a confidence of {confidence_text(kept.confidence)}: on validation this "
        f"keeps {kept.kept} of {kept.of} readings ({kept.coverage:.1%}), {kept.right} of them "
        f"right ({kept.accuracy.estimate:.1%}); it holds for new readings like these with 95%, and "
        f"without that certainty {threshold.unproved.coverage:.1%} would be kept"
    )


def names_of(files: Sequence[Path]) -> list[str]:
    """The files' names; their paths, where two have the same name."""
    names = [file.name for file in files]
    return names if len(set(names)) == len(names) else [str(file) for file in files]


def predict(
    artifacts: Path,
    files: Sequence[Path],
    lowest: float | None = None,
    on_broken: Callable[[str], None] | None = None,
) -> Iterator[Row]:
    """What the run with these artifacts reads in the files, in their order. Raises UserError.

    lowest: the confidence below which a reading is rejected.
    on_broken: called, with the reason, for each file that is no readable image and is left out;
        without it such a file is a UserError.
    """
    trained = load_model(artifacts)
    names = names_of(files)
    for start in range(0, len(files), BATCH):
        batch: list[tuple[str, Tensor]] = []
        for name, file in zip(
            names[start : start + BATCH], files[start : start + BATCH], strict=True
        ):
            try:
                batch.append((name, pixels_of(file, trained.size)))
            except UserError as error:
                if on_broken is None:
                    raise
                on_broken(str(error))
        yield from _rows(trained, batch, lowest)


def _rows(trained: Trained, batch: list[tuple[str, Tensor]], lowest: float | None) -> Iterator[Row]:
    if not batch:
        return
    pixels = torch.stack([image for _, image in batch])
    readings = read(trained.model, trained.objective, pixels)
    for (name, _), (text, sure) in zip(batch, readings, strict=True):
        told = confidence_text(sure)
        # As it is told, since the threshold comes from confidences as they were told.
        yield Row(name, text, told, None if lowest is None else float(told) < lowest)


def tell(rows: Iterable[Row], names: Sequence[str], judged: bool, output: Path | None) -> None:
    """Print the rows as a table as they come; with an output, write them there as well.

    The file is filename;value;confidence behind a header, with a column `rejected` (1 or 0) where
    readings are judged. No cell of it is a formula to a spreadsheet: a name that would be one is
    written as the path ./NAME, which names the same file, and a reading, unless it is a number,
    behind an apostrophe. names: those of the rows, for the table's width. Raises UserError rather
    than overwrite.
    """
    width = max([8, *(len(_printable(name)) for name in names)])
    heads = ["filename", "value", "confidence"] + ["rejected"] * judged
    with ExitStack() as stack:
        write = stack.enter_context(_new_csv(output)) if output else None
        print(_line(width, *heads))
        if write:
            write(heads)
        for row in rows:
            fields = [row.filename, row.value, row.confidence]
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


def _line(width: int, name: str, value: str, confidence: str, *mark: str) -> str:
    return "  ".join([f"{name:<{width}}", f"{value:<10}", f"{confidence:<10}", *mark]).rstrip()


def _printable(name: str) -> str:
    """A file's name as a terminal can show it, on one line."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()
