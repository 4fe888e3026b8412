"""How much is read from files of a user's: enough for any honest one, and each limit can be raised.

A file of a few bytes can claim any number of pixels, and a sparse one any length; without a limit
the machine's memory would be it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import UserError


@dataclass(frozen=True)
class Limit:
    """A number that an environment variable raises or lowers."""

    variable: str
    default: int
    unit: str

    def value(self) -> int:
        """The limit as it is set. Raises UserError naming the variable."""
        text = os.environ.get(self.variable, "")
        if text and not (text.isascii() and text.isdigit() and 0 < len(text) < 19):
            raise UserError(f"{self.variable}={text!r}: set it to a number of {self.unit}")
        return int(text) if text else self.default

    def exceeded(self, found: int) -> str:
        """Why this much is not read, with the way out; empty where it is."""
        if found <= (most := self.value()):
            return ""
        return (
            f"{found:,} {self.unit} are more than the limit of {most:,}, which the environment "
            f"variable {self.variable} can raise"
        )


# Of an image: a photo of a telephone is below, no cell comes near.
PIXELS = Limit("HEAD_TO_HEAD_MAX_PIXELS", 2**24, "pixels")
# Of a list, a preset or a config.json: some 500,000 images.
TEXT = Limit("HEAD_TO_HEAD_MAX_LIST_BYTES", 2**24, "bytes")


def refuse_long(file: Path) -> None:
    """Raise UserError for a text file of more bytes than are read. OSError as from stat."""
    if why := TEXT.exceeded(file.stat().st_size):
        raise UserError(f"{file}: {why}")
