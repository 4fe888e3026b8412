"""Who makes a trial: a worker holds the lock of a file with its name, as long as it lives."""

from __future__ import annotations

import socket
import uuid
from pathlib import Path


def new_owner() -> str:
    """The name of a worker: its machine, and a word of its own."""
    return f"{socket.gethostname()}-{uuid.uuid4().hex}"


def is_of_this_machine(owner: str) -> bool:
    """Whether a worker is, or was, one of this machine."""
    return owner.rpartition("-")[0] == socket.gethostname()


def owner_file(home: Path, owner: str) -> Path:
    """The file of a worker below the folder of its search.

    It stays behind: that of a worker that is gone is held by nobody.
    """
    return home / "owners" / f"{owner}.lock"
