"""How right readings are: small pure functions of texts."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein


def exact_match(truths: Sequence[str], readings: Sequence[str]) -> float:
    """The share of readings equal to the truth, every character counted; in 0..1, higher is better.

    nan where there is nothing to read.
    """
    pairs = list(zip(truths, readings, strict=True))
    return sum(t == r for t, r in pairs) / len(pairs) if pairs else float("nan")


def character_error_rate(truths: Sequence[str], readings: Sequence[str]) -> float:
    """Edits from truth to reading (Levenshtein) over the characters of the truth; lower is better.

    nan where there are no characters; above 1 where readings are much too long.
    """
    pairs = list(zip(truths, readings, strict=True))
    characters = sum(len(t) for t, _ in pairs)
    edits = sum(Levenshtein.distance(t, r) for t, r in pairs)
    return edits / characters if characters else float("nan")


def against_people(
    readings: Sequence[str], first: Sequence[str], second: Sequence[str]
) -> dict[str, float]:
    """Exact match with two people's readings of the same images.

    `human1`, `human2`: with each; `agreed`: on the images that both read alike; `either`: with one
    of the two. nan where there are none.
    """
    trios = list(zip(readings, first, second, strict=True))
    agreed = [(text, a) for text, a, b in trios if a == b]
    return {
        "human1": exact_match(first, readings),
        "human2": exact_match(second, readings),
        "agreed": exact_match([a for _, a in agreed], [text for text, _ in agreed]),
        "either": exact_match([text if text in (a, b) else a for text, a, b in trios], readings),
    }
