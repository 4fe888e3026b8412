"""Unpack a few paths of a repository's source archive, trusting nothing that it says.

Only plain files at or below the wanted paths are ever made, in a folder that must be new; what the
archive says of their names, kinds and sizes is checked first, and its sizes once more as they come.
The data filter of the standard library's tarfile also keeps names and links inside the folder, but
limits neither sizes nor headers, and cannot say which of two names a file system takes for one.
"""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from experiments.errors import UserError

# A file's header with its extensions; tarfile holds these in memory, so they get a limit.
_HEADER = 1 << 16
# Plain names only: no two that a file system takes for one, apart from letter case.
_NAME = re.compile(r"[A-Za-z0-9_. +-]{1,100}")
_LINKS = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link"}


class ArchiveError(UserError):
    """An archive that is no good: not whole, not what it should be, or made to do harm."""


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold.

    members: entries, wanted or not. file: bytes of a wanted file. wanted: bytes of all of them.
    stream: bytes of everything, unpacked.
    """

    members: int = 300_000
    file: int = 4 << 20
    wanted: int = 128 << 20
    stream: int = 4 << 30


def unpack(archive: Path, wanted: Collection[str], folder: Path, limits: Limits) -> None:
    """Unpack the files and folders at these paths, without the archive's own top folder.

    wanted: paths in the repository; one that the archive lacks is no error.
    folder: where to; it is made.
    Raises ArchiveError.
    """
    folder.mkdir(parents=True)
    try:
        with _Bounded(archive, limits.stream) as stream:
            stream.allow(_HEADER)
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                _Unpacking(tar, stream, wanted, folder, limits).run()
    except ArchiveError as error:
        raise ArchiveError(f"{archive}: {error}") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise ArchiveError(f"{archive}: not a whole .tar.gz file ({error})") from error


class _Bounded(gzip.GzipFile):
    """A gzipped file that ends with an error where more is read than was allowed."""

    def __init__(self, file: Path, most: int) -> None:
        super().__init__(file, "rb")
        self._most = most
        self._given = self._allowed = 0

    def allow(self, count: int) -> None:
        """Let this many bytes be read from here on."""
        self._allowed = self._given + count

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self._given += len(data)
        if self._given > self._most:
            raise ArchiveError(f"unpacks to more than {self._most:,} bytes in all")
        if self._given > self._allowed:
            raise ArchiveError(f"has a header of more than {_HEADER:,} bytes")
        return data


class _Unpacking:
    def __init__(
        self,
        tar: tarfile.TarFile,
        stream: _Bounded,
        wanted: Collection[str],
        folder: Path,
        limits: Limits,
    ) -> None:
        self._tar = tar
        self._stream = stream
        self._wanted = [PurePosixPath(path) for path in wanted]
        self._folder = folder
        self._limits = limits
        self._unpacked = 0
        # In lower case -> as it was made, a folder with a slash behind it.
        self._made: dict[str, str] = {}

    def run(self) -> None:
        count = 0
        while (member := self._tar.next()) is not None:
            count += 1
            if count > self._limits.members:
                raise ArchiveError(f"has more than {self._limits.members:,} entries")
            path = self._checked(member)
            self._stream.allow(_HEADER + (member.size if member.isreg() else 0))
            if path:
                self._unpack(member, path)
                self._stream.allow(_HEADER)
            # Or tarfile would keep every header that was ever read.
            self._tar.members.clear()  # type: ignore[attr-defined]

    def _checked(self, member: tarfile.TarInfo) -> PurePosixPath | None:
        """The path at which to unpack this file; None where it is none of the wanted."""
        name = member.name
        given = PurePosixPath(name)
        if given.is_absolute() or ".." in given.parts:
            raise ArchiveError(f"{name!r} leads out of the archive's own folder")
        if not 0 <= member.size <= self._limits.stream:
            raise ArchiveError(f"{name!r} has a size of {member.size:,} bytes")
        path = PurePosixPath(*given.parts[1:])
        wanted = any(path.is_relative_to(one) for one in self._wanted)
        on_the_way = any(one.is_relative_to(path) for one in self._wanted)
        # Git knows files, folders and symbolic links; a repository may have these elsewhere.
        plain = member.isreg() and not member.issparse()
        if member.isdir() or (member.issym() and not wanted and not on_the_way):
            return None
        if not plain or (on_the_way and not wanted):
            kind = _LINKS.get(member.type, "a file" if plain else "a device or of no known kind")
            raise ArchiveError(f"{name!r} is {kind}; only plain files and folders are unpacked")
        return path if wanted else None

    def _unpack(self, member: tarfile.TarInfo, path: PurePosixPath) -> None:
        self._claim(path)
        if member.size > self._limits.file:
            raise ArchiveError(f"{member.name!r} has more than {self._limits.file:,} bytes")
        self._unpacked += member.size
        if self._unpacked > self._limits.wanted:
            raise ArchiveError(f"the wanted files have more than {self._limits.wanted:,} bytes")
        source = self._tar.extractfile(member)
        assert source is not None
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            shutil.copyfileobj(source, file)
        if member.mode & 0o100:  # all that git keeps of a mode
            target.chmod(target.stat().st_mode | 0o100)

    def _claim(self, path: PurePosixPath) -> None:
        """No name that some system cannot hold, and none that is another's already."""
        for part in path.parts:
            if not _NAME.fullmatch(part):
                raise ArchiveError(f"{str(path)!r} has a name that is not plain")
        if len(path.parts) > 8:
            raise ArchiveError(f"{str(path)!r} lies deeper than 8 folders")
        for folder in path.parents[:-1]:
            made = self._made.setdefault(str(folder).lower(), f"{folder}/")
            if made != f"{folder}/":
                raise ArchiveError(f"{str(path)!r} collides with {made!r}")
        if (taken := self._made.get(str(path).lower())) is not None:
            raise ArchiveError(f"{str(path)!r} collides with {taken!r}")
        self._made[str(path).lower()] = str(path)
