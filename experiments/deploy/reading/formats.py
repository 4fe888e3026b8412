"""Readings that fit a format which the user gives: `decimals=1, min=0, max=120`, or a list."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch

from experiments.deploy.model import Trained
from experiments.errors import UserError
from experiments.limits import refuse_long
from experiments.settings.parts import ImageSize
from experiments.training.inference import score
from losses import Objective, Reading
from losses.best_first import Grammar
from losses.number_format import LONGEST, AllowedValues, NumberFormat
from models import Scores

_SIGNS = ("never", "optional", "always")
_WAY_OUT = (
    "give 'number', 'values=FILE' with a value a line, or some of 'decimals=1', 'decimals=0-2', "
    "'sign=never' (optional, always), 'min=0', 'max=120', separated by commas"
)


def parse_format(text: str, charset: str) -> Grammar:
    """What `--format` says. Raises UserError with what it may say.

    charset: the reader's, which has to have what the format asks for.
    """
    grammar = _parsed(text)
    if isinstance(grammar, AllowedValues):
        lacking = sorted({c for value in grammar.values for c in value} - set(charset))
        needed = "one of the values has"
    else:
        minus = ["-"] if grammar.sign == "always" else []
        point = ["."] if grammar.decimals[0] and "," not in charset else []
        lacking = [c for c in minus + point if c not in charset]
        needed = "it has always"
    if lacking:
        raise UserError(
            f"--format {text!r}: {needed} {lacking[0]!r}, and this reader knows {charset!r} alone"
        )
    return grammar


def _parsed(text: str) -> NumberFormat | AllowedValues:
    parts = [part.strip() for part in text.split(",")]
    if parts == ["number"]:
        return NumberFormat()
    pairs = [part.partition("=") for part in parts]
    given = {key.strip(): value.strip() for key, _, value in pairs}
    if len(given) < len(parts) or not all(given.values()):
        raise UserError(f"--format {text!r}: {_WAY_OUT}")
    if set(given) == {"values"}:
        return _allowed_values(Path(given["values"]))
    if unknown := sorted(set(given) - {"decimals", "sign", "min", "max"}):
        raise UserError(f"--format: no {unknown[0]!r} here; {_WAY_OUT}")
    try:
        least, _, most = given.get("decimals", "0-20").partition("-")
        if (sign := given.get("sign", "optional")) not in _SIGNS:
            raise ValueError(f"sign is one of {', '.join(_SIGNS)}")
        return NumberFormat(
            sign=cast(Literal["never", "optional", "always"], sign),
            decimals=(int(least), int(most or least)),
            low=_number(given.get("min")),
            high=_number(given.get("max")),
        )
    except ValueError as error:
        raise UserError(f"--format {text!r}: {error}; {_WAY_OUT}") from error


def _number(text: str | None) -> float | None:
    if text is not None and not math.isfinite(float(text)):
        raise ValueError(f"{text} is no bound")
    return None if text is None else float(text)


def _allowed_values(file: Path) -> AllowedValues:
    try:
        refuse_long(file)
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8"
        raise UserError(f"--format values={file}: {reason}; name a text file") from error
    if not (values := frozenset(line.strip() for line in lines) - {""}):
        raise UserError(f"--format values={file}: no value in it; write one a line")
    if any(len(value) > LONGEST for value in values):
        raise UserError(f"--format values={file}: a value has more than {LONGEST} characters")
    return AllowedValues(values)


class InFormat(NamedTuple):
    """A trained model whose readings fit a grammar."""

    trained: Trained
    grammar: Grammar

    @property
    def size(self) -> ImageSize:
        """What it takes."""
        return self.trained.size

    def read(self, pixels: npt.NDArray[np.uint8]) -> list[Reading]:
        """The most probable reading of each image (N, C, H, W) that fits.

        The confidence is the probability of the text among all texts, as it is without a format. A
        reading that had to be changed has no probabilities of its characters; where nothing that
        fits is found it is empty, with a confidence of 0.
        """
        model, objective, _ = self.trained
        return [
            reading
            for scores in score(model, torch.from_numpy(pixels))
            for reading in in_format(objective, scores.cpu(), self.grammar)
        ]


def in_format(objective: Objective, scores: Scores, grammar: Grammar) -> list[Reading]:
    """See `InFormat.read`. What fits and is more likely than not is the best, without a search."""
    readings = objective.decode(scores)
    unsure = [
        i for i, r in enumerate(readings) if not (grammar.fits(r.text) and r.confidence > 0.5)
    ]
    if unsure:
        best = objective.best_texts(scores.rows(unsure), 1, grammar)
        for i, found in zip(unsure, best, strict=True):
            text, log_p = found[0] if found else ("", -math.inf)
            if text != readings[i].text or not found:
                readings[i] = Reading(text, math.exp(log_p))
    return readings
