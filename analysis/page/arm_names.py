"""Names and looks of arms: short enough for a figure, and the same wherever an arm stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# The objective and the decoder: what this comparison is about is always named.
_ALWAYS = 2
_START = "start="

# Okabe and Ito's colours, which the colour-blind can distinguish, without the yellow, which is lost
# on white paper.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 2), (1, 1.5), (7, 1.5, 1.5, 1.5), (3, 1), ())

# So many arms can be distinguished where their lines cross.
LINES = len(_COLOURS)


@dataclass(frozen=True)
class Look:
    """How an arm is drawn: never by its colour alone."""

    colour: str
    marker: str
    dashes: tuple[float, ...]


def short_names(labels: Sequence[str]) -> tuple[dict[str, str], str]:
    """A short name for each label, no two the same, and what it leaves out, in words.

    Loss and decoder stay. What all labels share goes, and so does the commonest value of a
    setting (`key=value`) among the labels that name it.
    """
    tokens = {label: _tokens(label) for label in labels}
    shared = [
        token
        for token in next(iter(tokens.values()), [])[_ALWAYS:]
        if all(token in others for others in tokens.values())
    ]
    values: dict[str, Counter[str]] = {}
    for of_label in tokens.values():
        for token in of_label[_ALWAYS:]:
            if "=" in token and token not in shared and not token.startswith(_START):
                values.setdefault(token.split("=")[0], Counter())[token] += 1
    # Of values as common the first in the alphabet, so that the order of arms decides nothing.
    # What one arm alone names is what distinguishes it.
    usual = {
        min(found, key=lambda t: (-found[t], t)) for found in values.values() if found.total() > 1
    }
    names = {
        label: " ".join(
            token
            for place, token in enumerate(of_label)
            if place < _ALWAYS or (token not in shared and token not in usual)
        )
        for label, of_label in tokens.items()
    }
    if len(set(names.values())) < len(names):  # only one of them names a setting at all
        return {label: label for label in labels}, ""
    note = [f"all arms are `{' '.join(shared)}`"] if shared else []
    if usual:
        note.append(f"where a name does not say otherwise `{' '.join(sorted(usual))}`")
    return names, "; ".join(note)


# Of what is named by its row alone.
PLAIN = Look("#666666", "o", ())


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """A look of its own for each of the first LINES labels, and PLAIN for the others."""
    unlike = (Look(*look) for look in zip(_COLOURS, _MARKERS, _DASHES, strict=True))
    return {label: next(unlike, PLAIN) for label in dict.fromkeys(labels)}


def _tokens(label: str) -> list[str]:
    """The words of a label; all that it started from is one of them."""
    settings, start, chain = label.partition(f" {_START}")
    return settings.split(" ") + ([_START + chain] if start else [])
