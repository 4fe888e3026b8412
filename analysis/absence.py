"""A server or a database that is away for now: a line about it, and patience."""

from __future__ import annotations

import logging
import time

from analysis.place import StoreError

_log = logging.getLogger(__name__)

# How long to wait for what is away, and between two attempts.
PATIENCE, PAUSE = 900.0, 2.0  # seconds

# Those that are away as far as was said: a line an absence, whoever waits.
_silent: set[str] = set()


class Absence:
    """What one call has to wait for."""

    def __init__(self, place: str) -> None:
        """place: the address, for people."""
        self._place = place
        self._begun: float | None = None

    def wait(self, why: str) -> None:
        """Before another attempt. Raises StoreError where that has been made for long enough."""
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        if now - self._begun > PATIENCE:
            raise StoreError(
                f"{self._place}: {why}, for {PATIENCE:.0f} s now; once it answers, the same "
                "command goes on from here"
            )
        if self._place not in _silent:
            _silent.add(self._place)
            _log.warning("%s: %s; waiting for it", self._place, why)
        time.sleep(PAUSE)

    def over(self) -> None:
        """It has answered: another absence is said anew."""
        _silent.discard(self._place)
