"""The labelled folder that a review fills: images and one labels.csv, as data/cells.py reads it."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Sequence
from pathlib import Path

from experiments.data.decode import read_file
from experiments.data.lists import read_table, stop
from experiments.errors import UserError
from experiments.files import write_whole

LABELS = "labels.csv"


class Labelled:
    """Images that have been answered for. values: number of an image -> its label.

    Every answer is in the folder at once: a review can be stopped at any moment and goes on there.
    Threads may answer side by side.
    """

    def __init__(self, folder: Path, images: Sequence[Path]) -> None:
        """Take up a folder that an earlier review of the same images left, or begin one.

        Raises UserError for a folder that holds anything else, or that cannot be made.
        """
        if not folder.parent.is_dir():
            raise UserError(f"{folder.parent}: no such folder; make it, or name another")
        self.folder, self._images = folder, list(images)
        self._names = _new_names(self._images)
        self.values: dict[int, str] = {}
        self._answering = threading.Lock()
        # The list as this review knows it; None before there is one.
        self._list: bytes | None = None
        if folder.exists():
            self._take_up()

    def label(self, number: int, value: str) -> None:
        """Keep the image of this number with this label.

        Raises UserError, also where somebody else has written the list meanwhile: another review in
        the same folder, whose answers would be lost, or the user.
        """
        with self._answering:
            self._label(number, value)

    def _label(self, number: int, value: str) -> None:
        copy = self.folder / self._names[number]
        content = read_file(self._images[number])
        self.folder.mkdir(exist_ok=True)
        file = self.folder / LABELS
        if (file.read_bytes() if file.exists() else None) != self._list:
            raise UserError(
                f"{file}: something else has written it, another review perhaps; end all but one, "
                "and give the command again"
            )
        if not copy.exists():
            write_whole(copy, content)
        elif copy.read_bytes() != content:
            raise UserError(f"{copy}: is another image; name another folder (OUTPUT)")
        # The image first: no row is ever without its image.
        values = self.values | {number: value}
        text = io.StringIO()
        rows = csv.writer(text, delimiter=";", lineterminator="\n")
        rows.writerow(["filename", "value"])
        rows.writerows([self._names[n], v] for n, v in sorted(values.items()))
        content = text.getvalue().encode("utf-8", errors="replace")
        write_whole(file, content)
        self._list, self.values = content, values

    def _take_up(self) -> None:
        numbers = {name: number for number, name in enumerate(self._names)}
        foreign = f"{self.folder}: holds what no review of these images made; name another folder"
        if not self.folder.is_dir():
            raise UserError(foreign)
        # A hidden one is no answer: what a killed review was writing, or the file manager's.
        there = {
            file.name
            for file in self.folder.iterdir()
            if file.name in numbers or not file.name.startswith(".")
        }
        if not there:
            return
        # An image may be there whose row was not written any more.
        if not there <= {LABELS, *numbers}:
            raise UserError(foreign)
        for name in there - {LABELS}:
            if read_file(self.folder / name) != read_file(self._images[numbers[name]]):
                raise UserError(foreign)
        if LABELS in there:
            rows = read_table(self.folder / LABELS, stop)
            if not rows.keys() <= there:
                raise UserError(foreign)
            self._list = (self.folder / LABELS).read_bytes()
            self.values = {numbers[name]: value for name, (_, value) in rows.items()}


def _new_names(images: Sequence[Path]) -> list[str]:
    """A name of its own for each image: as it is called, where a list can hold that."""
    names: list[str] = []
    taken = {LABELS}
    for number, image in enumerate(images, 1):
        name = image.name
        # A second list would make the folder unreadable.
        suffix = "" if image.suffix.lower() == ".csv" else image.suffix
        plain = name.isprintable() and name == name.strip() and not set(name) & set('";,')
        if not plain or not suffix or name.casefold() in taken:
            name = f"{number}-{image.stem}{suffix}" if plain else f"{number}{suffix}"
        while name.casefold() in taken:
            name = f"_{name}"
        taken.add(name.casefold())
        names.append(name)
    return names
