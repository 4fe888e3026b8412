"""A run ends with the process that asked for it.

That process holds the other end of a pipe for as long as it lives; the system closes it, however
it dies. Nothing heavy is imported here, so that a run listens before it imports what takes seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

VARIABLE = "HEAD_TO_HEAD_PARENT"
# What a run may take to close its record before it is ended without that.
GRACE = 20.0  # seconds


def follow_parent() -> None:
    """Where this process was started as a run of another: stop, as for Ctrl-C, when that one ends.

    The pipe is standard input.
    """
    # Not for the processes that this one starts.
    if os.environ.pop(VARIABLE, None) is not None:
        threading.Thread(target=_follow, args=(sys.stdin.fileno(),), daemon=True).start()


def _follow(pipe: int) -> None:
    while os.read(pipe, 1):
        pass
    # SIGTERM ends a process that still imports, and is Ctrl-C to one that has begun.
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(130)
