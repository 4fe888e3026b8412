"""Fetch the published data set from the repository that published it.

The repository's archives are made anew by their server, so their bytes say nothing; what they hold
is checked against git's own hashes before any of it is put in place.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from experiments.data.published.archive import ArchiveError, Limits, unpack
from experiments.data.published.download import NoDownloadError, beside, download
from experiments.data.published.git_hash import blob_hash, tree_hashes
from experiments.errors import UserError
from experiments.files import lock


@dataclass(frozen=True)
class Tree:
    """A folder, known by its git tree hash."""

    path: str
    digest: str

    def flaw(self, folder: Path) -> str | None:
        """What is wrong with this part of the data set in `folder`; None where it is right."""
        if not (folder / self.path).is_dir():
            return "no such folder"
        try:
            found = tree_hashes(folder / self.path)
        except ValueError as error:
            return str(error)
        return None if self.digest in found else f"its git hash is {found[0]}, not {self.digest}"


@dataclass(frozen=True)
class Blob:
    """A file, known by its git blob hash."""

    path: str
    digest: str

    def flaw(self, folder: Path) -> str | None:
        """As in Tree."""
        if not (folder / self.path).is_file():
            return "no such file"
        found = blob_hash((folder / self.path).read_bytes())
        return None if found == self.digest else f"its git hash is {found}, not {self.digest}"


@dataclass(frozen=True)
class Rest:
    """A list that names exactly the images of `values` that are not in `taken`.

    Only the names count; what else stands in its rows is ignored everywhere.
    """

    path: str
    values: str
    taken: str

    def flaw(self, folder: Path) -> str | None:
        """As in Tree."""
        for path in (self.path, self.values, self.taken):
            if not (folder / path).is_file():
                return f"no such file: {path}"
        every = _first_words(folder / self.values, ";")[1:]  # behind the header
        wanted = set(every) - set(_first_words(folder / self.taken, " "))
        if sorted(_first_words(folder / self.path, " ")) == sorted(wanted):
            return None
        return f"its file names are not those of {self.values} without those of {self.taken}"


Part = Tree | Blob | Rest


@dataclass(frozen=True)
class Archive:
    """An archive of the repository at one commit, under the name that a browser gives it."""

    url: str
    filename: str


@dataclass(frozen=True)
class Source:
    """Where a data set comes from, and what proves it.

    archives: asked in turn, until every part is found in one of them.
    parts: what the data set consists of; a Rest behind what it is computed from.
    download_limit: bytes of an archive.
    """

    archives: tuple[Archive, ...]
    parts: tuple[Part, ...]
    limits: Limits = field(default_factory=Limits)
    download_limit: int = 1 << 30


def _github(owner: str, repository: str, commit: str) -> Archive:
    url = f"https://codeload.github.com/{owner}/{repository}/tar.gz/{commit}"
    return Archive(url, f"{repository}-{commit}.tar.gz")


_VALUES, _TRAIN = "cell_images/training_set_values.txt", "crnn_labels/train.txt"
PUBLISHED = Source(
    archives=tuple(
        _github("mochangheng", "crnn-crossentropy-pytorch", commit)
        for commit in (
            "fcc0cb2998519b2a96ab73e50eb0997e37a399f1",  # has the images unpacked
            "afb3b3106ba15a6c60a3afd3fe735c40d418e168",  # the last one: lists and readings
        )
    ),
    parts=(
        Tree("cell_images", "31b786af2e230400a4c0a4467df5da76cf2dacb0"),
        Blob(_TRAIN, "3b42ab1f9a34879949d6315a46ce10808c3fae3c"),
        Rest("crnn_labels/dev.txt", values=_VALUES, taken=_TRAIN),
        Blob("output/human1.txt", "3107054d8e787dd1ae4f6ec179c76c7e94300504"),
        Blob("output/human2.txt", "b8d70252fa2611c60bd785870509ccaf3830488a"),
        Blob("output/output1.txt", "2a3a7e1ac5a8399615f5a10e263d357b50125467"),
        Blob("output/output2.txt", "6f7532459b30a60900fc8a14c571baddf8eba313"),
    ),
)


def fetch(source: Source, out: Path, sleep: Callable[[float], None] = time.sleep) -> Path:
    """The data set's folder OUT/data/cells, fetched if it is not there yet.

    It appears whole, by one rename, or not at all. An archive that lies in OUT/data/downloads
    under its own name is taken instead of a download, and is left as it is. Raises UserError.
    """
    folder, downloads = out / "data" / "cells", out / "data" / "downloads"
    if not os.path.lexists(folder):
        print(f"{folder}: to be fetched", flush=True)
        with lock(downloads / "fetch.lock"):
            # Another process may have been faster.
            if not os.path.lexists(folder):
                _make(source, folder, downloads, sleep)
    for part in source.parts:
        if flaw := part.flaw(folder):
            raise UserError(
                f"{folder / part.path}: differs from what was published ({flaw}); "
                f"move {folder} elsewhere and run this again for a fresh one"
            )
    print(f"{folder}: whole, every part as it was published")
    return folder


def _make(source: Source, folder: Path, downloads: Path, sleep: Callable[[float], None]) -> None:
    # What a killed process left; the lock says that it is nobody's now.
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    paths = [part.path for part in source.parts]
    unpacked: list[Path] = []
    try:
        for number, archive in enumerate(source.archives):
            file = _at_hand(source, number, downloads, sleep)
            print(f"unpacking {file}", flush=True)
            unpacked.append(making / str(number))
            try:
                unpack(file, paths, unpacked[-1], source.limits)
            except ArchiveError as error:
                raise _refused(str(error), [archive], downloads) from error
            flaws = _put_together(source.parts, unpacked, making / "whole")
            if not flaws:
                break
        else:
            path, flaw = next(iter(flaws.items()))
            raise _refused(f"{path}: not as published ({flaw})", source.archives, downloads)
        (making / "whole").rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    for archive in source.archives:
        for file in (own := _own(archive, downloads), *beside(own)):
            file.unlink(missing_ok=True)


def _put_together(parts: Sequence[Part], unpacked: Sequence[Path], folder: Path) -> dict[str, str]:
    """Move every part that is right into `folder`; path -> flaw of those that are right nowhere."""
    flaws: dict[str, str] = {}
    for part in parts:
        place = folder / part.path
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        for candidate in (below / part.path for below in unpacked):
            if not candidate.exists():
                continue
            candidate.rename(place)
            flaw = part.flaw(folder)
            if flaw is None:
                flaws.pop(part.path, None)
                break
            flaws[part.path] = flaw
            place.rename(candidate)
        else:
            flaws.setdefault(part.path, "in none of the archives")
    return flaws


def _at_hand(source: Source, number: int, downloads: Path, sleep: Callable[[float], None]) -> Path:
    """The archive's file: put there by hand, downloaded before, or downloaded now."""
    archive = source.archives[number]
    file, own = downloads / archive.filename, _own(archive, downloads)
    if file.exists():
        return file
    if not own.exists():
        print(f"downloading {archive.url}", flush=True)
        try:
            download(archive.url, own, source.download_limit, sleep)
        except NoDownloadError as error:
            missing = [
                one for one in source.archives[number:] if not (downloads / one.filename).exists()
            ]
            by_hand = " and ".join(f"{one.url} as {downloads / one.filename}" for one in missing)
            raise UserError(
                f"no download: {error}; try again later, or download by hand {by_hand}"
            ) from None
    return own


def _own(archive: Archive, downloads: Path) -> Path:
    """Where a download of ours lies, apart from what was put there by hand."""
    return downloads / f"{archive.filename}.fetched"


def _refused(why: str, archives: Sequence[Archive], downloads: Path) -> UserError:
    """Says what to do about archives that are no good; those of our own are removed."""
    by_hand = []
    for archive in archives:
        if (downloads / archive.filename).exists():
            by_hand.append(str(downloads / archive.filename))
        else:
            _own(archive, downloads).unlink(missing_ok=True)
    if by_hand:
        return UserError(f"{why}; replace or remove {' and '.join(by_hand)}")
    return UserError(f"{why}; the download is removed, run this again for a fresh one")


def _first_words(file: Path, separator: str) -> list[str]:
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return [line.strip().partition(separator)[0] for line in lines if line.strip()]
