"""What identical images say of a data set: leaks, conflicting labels, and truth for free."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any

import numpy as np

from analysis.statistics.intervals import Interval, share
from experiments.data.audit.scan import Scan
from experiments.data.cells import LABELLED_PARTS, Row


def _members(rows: tuple[Row, ...], found: Scan) -> dict[int, list[int]]:
    """Groups of identical images that have labelled ones -> these, as indices of rows."""
    members: dict[int, list[int]] = {}
    for index, group in zip(found.at.tolist(), found.groups.tolist(), strict=True):
        if rows[index].label is not None:
            members.setdefault(group, []).append(index)
    return members


def conflicting(rows: tuple[Row, ...], found: Scan) -> list[list[int]]:
    """Groups of identical images with different labels, as indices of rows."""
    return [at for at in _members(rows, found).values() if len({rows[i].label for i in at}) > 1]


def near_only(found: Scan) -> list[list[int]]:
    """One image of each group of identical ones, where several such are near-identical."""
    first = np.unique(found.groups, return_index=True)[1]
    linked: dict[int, list[int]] = {}
    for place in sorted(first.tolist()):
        linked.setdefault(int(found.near[place]), []).append(int(found.at[place]))
    return [at for at in linked.values() if len(at) > 1]


def _groups_by_part(rows: tuple[Row, ...], found: Scan) -> dict[str, list[int]]:
    """The groups of the images of each part, an entry an image."""
    by_part: dict[str, list[int]] = {}
    for index, group in zip(found.at.tolist(), found.groups.tolist(), strict=True):
        by_part.setdefault(rows[index].part, []).append(group)
    return by_part


def leaks(rows: tuple[Row, ...], found: Scan) -> list[dict[str, Any]]:
    """What a careless run would be judged or selected on after having learnt it."""
    by_part = _groups_by_part(rows, found)
    labelled = {group for part in (*LABELLED_PARTS, "unlisted") for group in by_part.get(part, [])}
    train = set(by_part.get("train", []))
    found_leaks = []
    for part, of, known in (
        ("val", "train", train),
        ("dev", "train", train),
        ("human", "labelled", labelled),
    ):
        if shared := sum(group in known for group in by_part.get(part, [])):
            found_leaks.append({"part": part, "of": of, "images": shared})
    return found_leaks


def overlap(rows: tuple[Row, ...], found: Scan) -> list[dict[str, Any]]:
    """Every pair of parts: how many images of `part` are identical to one in `of`."""
    by_part = _groups_by_part(rows, found)
    return [
        {"part": part, "of": of, "images": sum(g in set_of for g in by_part[part])}
        for one, other in combinations(by_part, 2)
        for part, of in ((one, other), (other, one))
        for set_of in [set(by_part[of])]
    ]


def conflicts_cost(
    rows: tuple[Row, ...], found: Scan, conflicts: list[list[int]]
) -> dict[str, Any] | None:
    """What the conflicts put out of reach of any reader that gives one answer an image.

    `images`: in each group all labels but the commonest are lost, whatever is read. The share of
    them among duplicated images is an estimate for all images, if these are labelled as well. Its
    interval is that of the share of groups with a conflict (Wilson), scaled. None without groups.
    """
    groups = [at for at in _members(rows, found).values() if len(at) > 1]
    if not groups:
        return None
    duplicated = sum(map(len, groups))
    lost = sum(len(at) - max(Counter(rows[i].label for i in at).values()) for at in conflicts)
    rate = share(len(conflicts), len(groups))
    # Images lost a conflict, of all duplicated ones; without conflicts one an average group.
    each = lost / len(conflicts) if conflicts else 1
    scale = each * len(groups) / duplicated
    return {
        "images": lost,
        "duplicated": duplicated,
        "groups": len(groups),
        "unreachable": {
            "estimate": rate.estimate * scale,
            "low": rate.low * scale,
            "high": rate.high * scale,
        },
    }


def known_truth(
    rows: tuple[Row, ...], found: Scan, readings: dict[str, dict[str, str]]
) -> dict[str, Any]:
    """Human-read images that are identical to labelled ones: their label is known."""
    labels = {group: {rows[i].label for i in at} for group, at in _members(rows, found).items()}
    truth: dict[str, str] = {}
    conflicting = 0
    for index, group in zip(found.at.tolist(), found.groups.tolist(), strict=True):
        if rows[index].part == "human" and group in labels:
            known = labels[group]
            conflicting += len(known) > 1
            if len(known) == 1:
                truth[rows[index].filename] = next(iter(known)) or ""
    scores = {}
    for reader, by_name in readings.items():
        read = [name for name in truth if name in by_name]
        right = sum(by_name[name] == truth[name] for name in read)
        scores[reader] = {"right": right, "of": len(read)} | (
            _ends(share(right, len(read))) if read else {}
        )
    return {"images": len(truth), "conflicting": conflicting, "readers": scores}


def _ends(interval: Interval) -> dict[str, float]:
    return {"share": interval.estimate, "low": interval.low, "high": interval.high}
