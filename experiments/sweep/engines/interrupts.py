"""Steps that Ctrl-C does not cut in two. Nothing heavy is imported here."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

# What stops a process as Ctrl-C does; Windows has no closed terminal.
_STOPPING = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


@contextmanager
def interrupts_wait() -> Iterator[None]:
    """What would stop this process is heard at the end of the block, and not within it.

    For a step that begins something and keeps its handle: cut between the two, what was begun
    would be left behind. Signals that are ignored, or have no handler of Python's, are left alone;
    in a thread beside the main one none is heard anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[int] = []
    # Each callback is made even where one before it raises.
    with ExitStack() as last:
        before = {number: signal.getsignal(number) for number in _STOPPING}
        last.callback(_deliver, heard, before)
        for number, handler in before.items():
            if callable(handler):
                last.callback(signal.signal, number, handler)
                signal.signal(number, lambda number, _: heard.append(number))
        yield


def _deliver(heard: list[int], handlers: Mapping[int, object]) -> None:
    if heard:
        number = heard[0]
        handler = handlers[number]
        assert callable(handler)
        handler(number, None)
