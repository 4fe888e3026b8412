"""Which images a user means by files, folders and patterns."""

from __future__ import annotations

import functools
import glob
from collections.abc import Iterable
from pathlib import Path

from experiments.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def find_images(paths: Iterable[str]) -> list[Path]:
    """The images that these name, each once.

    paths: files (of any suffix), folders (the images right in them), and patterns with * ? [] and
        ** for any folders (the images among what fits). Raises UserError for one that names none.
        Hidden files, such as those that macOS puts beside images, count only by their own name.
    """
    resolve = functools.cache(Path.resolve)
    once: dict[tuple[Path, str], Path] = {}
    for path in paths:
        for file in _named(path):
            # Not the file's own target: two links to one image have two names.
            once.setdefault((resolve(file.parent), file.name), file)
    return list(once.values())


def _named(path: str) -> list[Path]:
    given = Path(path)
    if given.is_dir():
        return _images(given.iterdir(), f"{path}: no images here; name a folder that has some")
    if given.is_file():
        return [given]
    if any(character in path for character in "*?["):
        found = map(Path, glob.iglob(path, recursive=True))
        return _images(found, f"{path}: no image fits this pattern; correct it")
    raise UserError(f"{path}: no such file or folder; correct the name")


def _images(found: Iterable[Path], otherwise: str) -> list[Path]:
    images = [
        path
        for path in found
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not images:
        raise UserError(otherwise)
    # 2.jpg before 10.jpg.
    return sorted(images, key=lambda path: (str(path.parent), len(path.name), path.name))
