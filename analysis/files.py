"""Files that are written whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# No writer is silent for so long: what is older was left by a process that was killed.
_ABANDONED = 3600.0  # seconds


@contextmanager
def whole(file: Path, *, replace: bool = True, alone: bool = False) -> Iterator[Path]:
    """The name of a new file beside `file`, which the block writes and which then takes its place.

    It is forced to disk first, so that neither a killed process nor a lost power supply leaves half
    a file under the final name. Where the block or the disk fails, nothing is left.
    replace: whether it may take the place of a file that is there; FileExistsError otherwise.
    alone: whether a lock keeps other writers of this file away: what killed ones left goes at once.
    """
    _sweep(file, 0 if alone else _ABANDONED)
    making = file.with_name(f".{file.name}.{secrets.token_hex(8)}.making")
    if len(os.fsencode(making.name)) > 255:
        making = file.with_name(f".{secrets.token_hex(8)}.making")
    try:
        yield making
        with making.open("rb+") as handle:
            os.fsync(handle.fileno())
        if replace:
            making.replace(file)
        else:
            _rename_to_new(making, file)
        _sync_folder(file.parent)
    finally:
        making.unlink(missing_ok=True)


def write_whole(file: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, whole or not at all."""
    if isinstance(content, str):
        content = content.encode("utf-8", errors="replace")
    with whole(file) as making:
        making.write_bytes(content)


def _rename_to_new(making: Path, file: Path) -> None:
    try:
        os.link(making, file)  # unlike a rename, this fails where there is a file
    except FileExistsError:
        raise
    except OSError:  # a disk that knows no links
        if os.path.lexists(file):
            raise FileExistsError(file) from None
        making.rename(file)


def _sync_folder(folder: Path) -> None:
    """Force the new name to disk as well, where the system knows how."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sweep(file: Path, seconds: float) -> None:
    """Remove what killed writers of this file left at least so long ago."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*.making"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime >= seconds:
                left.unlink()
