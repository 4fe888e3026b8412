"""Download one file over HTTP: tried again, resumed, limited in size, with its progress shown.

Pooch and urllib3's Retry begin a file again when its connection breaks, and GitHub makes each
archive anew, so that no digest of it can be pinned: hence a download of our own.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import requests
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from urllib3.exceptions import HTTPError

# In a row, each without one byte more than ever before.
TRIES = 5
_CONNECT, _READ = 10, 30  # seconds
_CHUNK = 1 << 14
_LONGEST_WAIT = 60  # seconds
_SECONDS_A_LINE = 5


class NoDownloadError(Exception):
    """Why a file could not be had, in one line."""


class _AgainError(Exception):
    """What went wrong this time. wait: the seconds that the server asks for."""

    def __init__(self, why: str, wait: int | None = None) -> None:
        super().__init__(why)
        self.wait = wait


def download(
    url: str, file: Path, most_bytes: int, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Download to `file`, which appears whole or not at all.

    What came so far lies beside it as `.part`, and the next call goes on from there; `.etag` says
    which version of the file that is. Raises NoDownloadError.
    """
    part, etag = beside(file)
    furthest = failures = 0
    while True:
        try:
            _try(url, part, etag, most_bytes)
            break
        except _AgainError as problem:
            size = part.stat().st_size if part.exists() else 0
            # A connection that breaks now and then still gets there.
            failures = 1 if size > furthest else failures + 1
            furthest = max(furthest, size)
            if failures >= TRIES:
                raise NoDownloadError(str(problem)) from None
            wait = problem.wait or 2 ** (failures - 1)
            print(f"{problem}; again in {wait} s", flush=True)
            sleep(wait)
    part.replace(file)
    etag.unlink(missing_ok=True)


def beside(file: Path) -> tuple[Path, Path]:
    """What a download that is not whole leaves: its begin, and its version."""
    return file.with_name(f"{file.name}.part"), file.with_name(f"{file.name}.etag")


def _try(url: str, part: Path, etag: Path, most_bytes: int) -> None:
    have = part.stat().st_size if part.exists() else 0
    version = etag.read_text(encoding="utf-8") if have and etag.exists() else ""
    # What is counted and resumed are the bytes of the file, not those of a packing on the way.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        # A weak version is never equal to itself here (RFC 9110, 13.1.5): it is compared below.
        if version and not version.startswith("W/"):
            headers["If-Range"] = version
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=(_CONNECT, _READ))
    except requests.Timeout:
        raise _AgainError("no answer in time") from None
    except requests.ConnectionError as error:
        raise _AgainError(f"no connection ({_reason(error)})") from None
    except requests.RequestException as error:
        raise NoDownloadError(str(error)) from None
    with response:
        at, total = _place(response, part, have, version)
        if total is not None and total > most_bytes:
            raise _too_large(most_bytes)
        if at == total and at:
            return
        with part.open("ab" if at else "wb") as file, Meter(at, total) as meter:
            if not at:  # and the file is empty: an old begin never gets the new version
                etag.write_text(response.headers.get("ETag", ""), encoding="utf-8")
            try:
                # Undecoded, the stream gives all that came before it broke.
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    at += len(chunk)
                    if at > most_bytes:
                        file.truncate(0)
                        raise _too_large(most_bytes)
                    file.write(chunk)
                    meter.update(at)
            except HTTPError:
                raise _AgainError("the connection broke") from None
    if total is not None and at < total:
        raise _AgainError("the connection broke")


def _place(
    response: requests.Response, part: Path, have: int, version: str
) -> tuple[int, int | None]:
    """Where in the file the answer begins, and the whole size where the server states it.

    An answer that does not go on where `part` ends empties it.
    """
    status = response.status_code
    if status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    if status in (206, 416):
        content_range = response.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", content_range)
        total = int(found[2]) if found and found[2] != "*" else None
        same = response.headers.get("ETag", version) == version or not version
        begin = int(found[1]) if found and found[1] else total
        if same and have and begin == have:
            return begin, total
        part.unlink(missing_ok=True)
        raise _AgainError("the file has changed, it is downloaded anew")
    why = f"{status} {response.reason}".strip()
    if status in (408, 429) or status >= 500:
        wait = response.headers.get("Retry-After", "")
        raise _AgainError(why, min(int(wait), _LONGEST_WAIT) if wait.isdecimal() else None)
    raise NoDownloadError(why)


def _too_large(most_bytes: int) -> NoDownloadError:
    return NoDownloadError(f"it has more than {most_bytes:,} bytes")


def _reason(error: requests.ConnectionError) -> str:
    """The innermost cause, without the layers that carried it."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause)).rpartition(": ")[2]


class Meter:
    """How far a download is: a bar on a terminal, a line every few seconds in a log."""

    def __init__(self, begin: int, total: int | None) -> None:
        self._total = total
        self._begin = begin
        self._terminal = sys.stdout.isatty()
        self._bars = Bars(
            TextColumn("downloading"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(),
            disable=not self._terminal,
        )
        self._task = self._bars.add_task("", total=total, completed=begin)

    def __enter__(self) -> Meter:
        self._started = self._said = time.monotonic()
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def update(self, done: int) -> None:
        """So many bytes of the file are here."""
        self._bars.update(self._task, completed=done)
        now = time.monotonic()
        if not self._terminal and now - self._said >= _SECONDS_A_LINE:
            self._said = now
            rate = (done - self._begin) / (now - self._started)
            whole = f" of {self._total / 2**20:.1f}" if self._total else ""
            print(f"{done / 2**20:.1f}{whole} MiB, {rate / 2**20:.2f} MiB/s", flush=True)
