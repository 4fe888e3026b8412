"""What a user can put right, and how an error is shown in one line."""

from __future__ import annotations

import errno
import os
import re
import sqlite3

from analysis.place import StoreError

_NO_ROOM = "the disk is full; make room, and the same command goes on from what is finished"
_NO_RIGHT = "this user has no right to it; change its rights, or set OUT (--out) to another folder"
_NO_MEMORY = "out of memory; set a smaller batch_size or image, or fewer runs at once (--jobs)"

# Errors of the system that no program can help; all others of their kind are ours.
_OF_THE_SYSTEM = {
    errno.ENOSPC: _NO_ROOM,
    errno.EDQUOT: _NO_ROOM,
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EROFS: "the disk is read-only; set OUT (--out) to a folder that can be written",
    errno.EIO: "the disk answers with an error; look after it, or set OUT (--out) to another",
    errno.ENOMEM: _NO_MEMORY,
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n), or close programs",
    errno.ENFILE: "too many files are open; close programs",
    errno.EPIPE: "whoever read the output is gone",
    errno.ENAMETOOLONG: "the path is longer than the system allows; choose a shorter one",
}
_OF_THE_DATABASE = {
    "SQLITE_FULL": _NO_ROOM,
    "SQLITE_READONLY": _NO_RIGHT,
    "SQLITE_CANTOPEN": "cannot be opened; change its rights, or set OUT (--out) to another folder",
    "SQLITE_IOERR": "the disk answers with an error; make room, or look after it",
    "SQLITE_CORRUPT": "is damaged; put a copy of it back, or set OUT (--out) to a new folder",
    "SQLITE_NOTADB": "is damaged; put a copy of it back, or set OUT (--out) to a new folder",
    "SQLITE_BUSY": "another program holds it; close that, and the same command goes on",
    "SQLITE_LOCKED": "another program holds it; close that, and the same command goes on",
}


class UserError(Exception):
    """One line that names the file, row or key and the way out; the command exits with code 2."""


def explain(error: BaseException) -> str | None:
    """An error of the surroundings, in a line with the way out; None for a bug of ours.

    Found also where a library wrapped it, such as MLflow the errors of its database.
    """
    while True:
        if isinstance(error, StoreError):
            return str(error)
        if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
            where = error.filename if error.filename is not None else "input or output"
            where = os.fsdecode(where) if isinstance(where, bytes) else where
            return f"{where}: {_OF_THE_SYSTEM[error.errno]} ({os.strerror(error.errno)})"
        if (number := _number_in_text(error)) in _OF_THE_SYSTEM:
            return f"weights: {_OF_THE_SYSTEM[number]} ({os.strerror(number)})"
        if isinstance(error, sqlite3.Error):
            kind = getattr(error, "sqlite_errorname", "")
            for begin, why in _OF_THE_DATABASE.items():
                if kind.startswith(begin):
                    return f"the database of OUT, mlflow.db: {why} ({error})"
        if _is_out_of_memory(error):
            return _NO_MEMORY
        if error.__cause__ is None:
            return None
        error = error.__cause__


def one_line(text: str) -> str:
    """A text as a terminal can show it, on one line: what would steer the terminal is escaped."""
    words = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def _number_in_text(error: BaseException) -> int:
    """The system's number of an error while weights are written; 0 where it is another error.

    Their library has it in the text alone. By the name of its class: it need not be loaded here.
    """
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found[1]) if found and type(error).__name__ == "SafetensorError" else 0


def _is_out_of_memory(error: BaseException) -> bool:
    # By the name, and by the words of torch on the CPU: torch itself takes seconds to import.
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"MemoryError", "OutOfMemoryError"}) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )
