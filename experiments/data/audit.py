"""What is wrong with a data set, as one JSON document; the README tells its keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

import models
from analysis.stats import Interval, share
from experiments.config import RunConfig
from experiments.data.cells import LABELLED_PARTS, Row, read_cells
from experiments.data.lists import Problem, lacks
from experiments.data.scan import INK, NEAR, Scan, scan
from losses.ctc import steps_needed

# Backbones whose time steps are told; others of torchvision give as many at the same width stride.
BACKBONES = ("small_cnn", "resnet18", "resnet50", "mobilenet_v3_small", "vgg11_bn")
STRIDES = (2, 4, 8, 16, 32)
_STEPS = 64
# Raise it when a key begins to mean something else.
VERSION = 1

_LABELLED = (*LABELLED_PARTS, "unlisted")

_NUMBER = re.compile(r"-?(\d+\.?\d*|\.\d+)", re.ASCII)


@dataclass(frozen=True)
class Audit:
    """facts: what goes into the JSON. rows: every image a list names, by index.

    conflicts, near: groups of indices, for their pictures. blank: indices of images without ink.
    """

    facts: dict[str, Any]
    rows: tuple[Row, ...]
    conflicts: list[list[int]]
    near: list[list[int]]
    blank: list[int]

    @property
    def sound(self) -> bool:
        """Nothing leaks and no labels conflict."""
        return not self.facts["leaks"] and not self.facts["conflicts"]


def audit(
    folder: Path,
    config: RunConfig,
    backbones: tuple[str, ...] = BACKBONES,
    on_start: Callable[[int], Callable[[], None]] = lambda _: lambda: None,
) -> Audit:
    """Look at every list, label and image of a data set.

    config: its charset, and the image size that time steps are counted for.
    on_start: given the number of images, returns what is called after each.
    Raises UserError for a folder or list that cannot be read at all.
    """
    problems: list[Problem] = []
    cells = read_cells(folder, config.charset, problems.append)
    rows = cells.rows
    for row in cells.unlisted:
        if lacking := lacks(row.path):
            problems.append(Problem("absent image", f"{row.path}: has a value but is {lacking}"))
        else:
            rows += (row,)
    found = scan(rows, on_start(len(rows)))
    problems += [Problem("unreadable image", text) for text in found.unreadable.values()]
    labelled = [row for row in rows if row.label is not None]
    conflicts = _conflicts(rows, found)
    near = _near_only(found)
    blank = [int(i) for i, contrast in zip(found.at, found.contrast, strict=True) if contrast < INK]
    sizes = Counter(found.sizes)
    copies = np.bincount(found.groups) if len(found.groups) else np.zeros(0, dtype=int)
    facts = {
        "audit": VERSION,
        "dataset": cells.name,
        "images": len(rows),
        "parts": dict(Counter(row.part for row in rows)),
        "unreadable": [rows[i].filename for i in found.unreadable],
        "problems": dict(Counter(problem.kind for problem in problems)),
        "problem_rows": [problem.message for problem in problems],
        "sizes": {f"{width}x{height}": n for (width, height), n in sizes.most_common()},
        "no_ink": [_name(rows[i]) for i in blank],
        "labels": {
            "lengths": _counts(len(row.label or "") for row in labelled),
            "characters": _counts(c for row in labelled for c in row.label or ""),
            "repeats": sum(steps_needed(r.label or "") > len(r.label or "") for r in labelled),
        },
        "outside_charset": [
            {"filename": row.filename, "label": row.label}
            for row in labelled
            if set(row.label or "") - set(config.charset)
        ],
        "not_a_number": [
            {"filename": row.filename, "label": row.label}
            for row in labelled
            if not _NUMBER.fullmatch(row.label or "")
        ],
        "duplicates": {
            "groups": int((copies > 1).sum()),
            "images": int(copies[copies > 1].sum()),
        },
        "near_identical": [[_name(rows[i]) for i in group] for group in near],
        "leaks": _leaks(rows, found),
        "overlap": _overlap(rows, found),
        "conflicts": [
            [{"filename": _name(rows[i]), "label": rows[i].label} for i in group]
            for group in conflicts
        ],
        "conflicts_cost": _cost(rows, found, conflicts),
        "known_truth": _known_truth(rows, found, cells.readings),
        "ctc_infeasible": _infeasible([row.label or "" for row in labelled]),
        "time_steps": _time_steps(config, backbones),
        "measures": {
            "identical": "the same size and the same pixels as decoded",
            "near_identical": f"greys averaged to 16x8 correlate by at least {NEAR}",
            "no_ink": f"1st to 99th percentile of grey spans fewer than {INK} of 256 levels",
        },
    }
    return Audit(facts, rows, conflicts, near, blank)


def _name(row: Row) -> str:
    """The file name; those of the human part are numbered apart, so with their part."""
    return f"human/{row.filename}" if row.part == "human" else row.filename


def _counts(values: Any) -> dict[str, int]:
    return {str(value): n for value, n in sorted(Counter(values).items())}


def _members(rows: tuple[Row, ...], found: Scan) -> dict[int, list[int]]:
    """Groups of identical images that have labelled ones -> these, as indices of rows."""
    members: dict[int, list[int]] = {}
    for index, group in zip(found.at.tolist(), found.groups.tolist(), strict=True):
        if rows[index].label is not None:
            members.setdefault(group, []).append(index)
    return members


def _conflicts(rows: tuple[Row, ...], found: Scan) -> list[list[int]]:
    return [at for at in _members(rows, found).values() if len({rows[i].label for i in at}) > 1]


def _near_only(found: Scan) -> list[list[int]]:
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


def _leaks(rows: tuple[Row, ...], found: Scan) -> list[dict[str, Any]]:
    """What a careless run would be judged or selected on after having learnt it."""
    by_part = _groups_by_part(rows, found)
    labelled = {group for part in _LABELLED for group in by_part.get(part, [])}
    train = set(by_part.get("train", []))
    leaks = []
    for part, of, known in (
        ("val", "train", train),
        ("dev", "train", train),
        ("human", "labelled", labelled),
    ):
        if shared := sum(group in known for group in by_part.get(part, [])):
            leaks.append({"part": part, "of": of, "images": shared})
    return leaks


def _overlap(rows: tuple[Row, ...], found: Scan) -> list[dict[str, Any]]:
    """Every pair of parts: how many images of `part` are identical to one in `of`."""
    by_part = _groups_by_part(rows, found)
    return [
        {"part": part, "of": of, "images": sum(g in set_of for g in by_part[part])}
        for one, other in combinations(by_part, 2)
        for part, of in ((one, other), (other, one))
        for set_of in [set(by_part[of])]
    ]


def _cost(rows: tuple[Row, ...], found: Scan, conflicts: list[list[int]]) -> dict[str, Any] | None:
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
    scale = (
        lost / len(conflicts) * len(groups) / duplicated
        if conflicts
        else (len(groups) / duplicated)
    )
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


def _known_truth(
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


def _infeasible(labels: list[str]) -> dict[str, float]:
    """Time steps -> the share of labels that CTC cannot emit in so many."""
    needed = Counter(map(steps_needed, labels))
    most = max([_STEPS, *needed])
    return {
        str(steps): sum(n for need, n in needed.items() if need > steps) / max(1, len(labels))
        for steps in range(1, most + 1)
    }


def _time_steps(config: RunConfig, backbones: tuple[str, ...]) -> list[dict[str, Any]]:
    """How many steps each backbone gives at each width stride, at the config's image size."""
    size = config.image
    rows = []
    for backbone in backbones:
        for stride in STRIDES:
            try:
                # Shapes only: nothing is computed.
                with torch.device("meta"):
                    model = models.build(backbone, stride, "columns", models.Outputs(1))
                    steps, _ = models.count_steps(model, (size.channels, size.height, size.width))
            except (models.BackboneError, RuntimeError):
                continue  # it has no such stride, or is too deep for so small an image
            rows.append(
                {"backbone": backbone, "width_stride": stride, "width": size.width, "steps": steps}
            )
    return rows
