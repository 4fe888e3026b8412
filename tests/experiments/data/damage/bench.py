"""What damage is made with: a data set, and the register of all cases."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from experiments.data.images import Images
from experiments.settings.config import RunConfig, run_config
from experiments.settings.presets import parse_override
from experiments.training.run import load_data

VALUES = "cell_images/training_set_values.txt"
TRAIN, VAL, DEV = "crnn_labels/train.txt", "crnn_labels/val.txt", "crnn_labels/dev.txt"
HUMAN = "output/human1.txt"
LABELLED = "cell_images/training_set"
LISTS = [VALUES, TRAIN, DEV, HUMAN]
# The size that the images have: an accepted one comes through pixel by pixel.
SIZE = ("image.width=60", "image.height=34", "image.channels=3", "batch_size=4")

# What an accepted data set must be, given as well what it is without the damage.
Check = Callable[[Images, Images], None]


class Bench:
    """A data set to be damaged: with lists, or a folder with a .csv file."""

    def __init__(self, folder: Path, out: Path, patch: pytest.MonkeyPatch, lists: bool) -> None:
        self.folder, self.out, self.patch = folder, out, patch
        self.values = folder / (VALUES if lists else "labels.csv")
        self.images = folder / LABELLED if lists else folder
        self.image = self.images / "3.jpg"
        self.separator = ";" if lists else ","

    def row(self, text: str, number: int = 4, file: str = "") -> None:
        """Put this row in place of another; that of 3.jpg is row 4 of the values."""
        path = self.folder / file if file else self.values
        rows = path.read_text().splitlines()
        rows[number - 1] = text
        path.write_text("\n".join(rows) + "\n")

    def label(self, text: str) -> None:
        """The value of 3.jpg."""
        self.row(f"3.jpg{self.separator}{text}")

    def label_of(self, number: int) -> str:
        return self.values.read_text().splitlines()[number].partition(self.separator)[2]

    def rename(self, name: str) -> None:
        """Another name for 3.jpg, in the lists alone."""
        for file in (self.values, self.folder / TRAIN):
            if file.exists():
                file.write_text(re.sub(r"(?m)^3\.jpg", lambda _: name, file.read_text()))

    def append(self, text: str, file: str = "") -> None:
        with (self.folder / file if file else self.values).open("a") as handle:
            handle.write(f"{text}\n")

    def replace(self, path: Path) -> Path:
        """Make room where a file is."""
        path.unlink(missing_ok=True)
        return path

    def deny(self, method: str, number: int, to: Callable[[Path], bool]) -> None:
        """Let the system say no to these files, as it would not to root."""
        true = getattr(Path, method)

        def denying(self: Path, *arguments: Any, **named: Any) -> Any:
            if to(self):
                raise OSError(number, os.strerror(number), str(self))
            return true(self, *arguments, **named)

        self.patch.setattr(Path, method, denying)

    def cached(self) -> Path:
        """The cache of the data set, made."""
        load_data(config(()), self.folder, self.out)
        (file,) = (self.out / "cache").glob("*.records")
        return file


@dataclass(frozen=True)
class Case:
    damage: Callable[[Bench], Check | None]
    words: tuple[str, ...]
    settings: tuple[str, ...]
    lists: bool


CASES: list[tuple[str, Case]] = []


def case(name, *words, each=((),), settings=(), lists=True):
    """Register a way to make this kind of damage.

    words: of the line that refuses it. each: further arguments, for several ways in one; words may
    have them in braces.
    """

    def add(damage):
        for given in each:
            arguments = given if isinstance(given, tuple) else (given,)

            def make(bench, arguments=arguments):
                return damage(bench, *arguments)

            said = tuple(word.format(*arguments) for word in words)
            CASES.append((name, Case(make, said, settings, lists)))
        return damage

    return add


def config(settings: tuple[str, ...]) -> RunConfig:
    return run_config({}, dict(map(parse_override, (*SIZE, *settings))))
