"""What is wrong with a data set, as one JSON document; AUDIT.md lists its keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import models
from experiments.data.audit import duplicates
from experiments.data.audit.scan import INK, NEAR, scan
from experiments.data.cells import Row, read_cells
from experiments.data.lists import Problem, lacks
from losses.ctc import steps_needed

# The time steps of these are reported; others of torchvision have as many at the same width stride.
BACKBONES = ("small_cnn", "resnet18", "resnet50", "mobilenet_v3_small", "vgg11_bn")
STRIDES = (2, 4, 8, 16, 32)
_STEPS = 64
# Raise it when a key begins to mean something else.
VERSION = 1

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
    charset: str,
    shape: tuple[int, int, int],
    backbones: tuple[str, ...] = BACKBONES,
    on_start: Callable[[int], Callable[[], None]] = lambda _: lambda: None,
) -> Audit:
    """Look at every list, label and image of a data set.

    charset: that of the labels. shape: (C, H, W) of the images that time steps are counted for.
    on_start: given the number of images, returns what is called after each.
    Raises UserError for a folder or list that cannot be read at all.
    """
    problems: list[Problem] = []
    cells = read_cells(folder, charset, problems.append)
    rows = cells.rows
    for row in cells.unlisted:
        if lacking := lacks(row.path):
            problems.append(Problem("absent image", f"{row.path}: has a value but is {lacking}"))
        else:
            rows += (row,)
    found = scan(rows, on_start(len(rows)))
    problems += [Problem("unreadable image", text) for text in found.unreadable.values()]
    labelled = [row for row in rows if row.label is not None]
    conflicts = duplicates.conflicting(rows, found)
    near = duplicates.near_only(found)
    blank = [int(i) for i, contrast in zip(found.at, found.contrast, strict=True) if contrast < INK]
    sizes = Counter(found.sizes)
    group_sizes = np.bincount(found.groups) if len(found.groups) else np.zeros(0, dtype=int)
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
            if set(row.label or "") - set(charset)
        ],
        "not_a_number": [
            {"filename": row.filename, "label": row.label}
            for row in labelled
            if not _NUMBER.fullmatch(row.label or "")
        ],
        "duplicates": {
            "groups": int((group_sizes > 1).sum()),
            "images": int(group_sizes[group_sizes > 1].sum()),
        },
        "near_identical": [[_name(rows[i]) for i in group] for group in near],
        "leaks": duplicates.leaks(rows, found),
        "overlap": duplicates.overlap(rows, found),
        "conflicts": [
            [{"filename": _name(rows[i]), "label": rows[i].label} for i in group]
            for group in conflicts
        ],
        "conflicts_cost": duplicates.conflicts_cost(rows, found, conflicts),
        "known_truth": duplicates.known_truth(rows, found, cells.readings),
        "ctc_infeasible": _infeasible([row.label or "" for row in labelled]),
        "time_steps": _time_steps(shape, backbones),
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


def _infeasible(labels: list[str]) -> dict[str, float]:
    """Time steps -> the share of labels that CTC cannot emit in so many."""
    needed = Counter(map(steps_needed, labels))
    most = max([_STEPS, *needed])
    return {
        str(steps): sum(n for need, n in needed.items() if need > steps) / max(1, len(labels))
        for steps in range(1, most + 1)
    }


def _time_steps(shape: tuple[int, int, int], backbones: tuple[str, ...]) -> list[dict[str, Any]]:
    """How many steps each backbone gives at each width stride, for images of this shape."""
    rows = []
    for backbone in backbones:
        for stride in STRIDES:
            try:
                # Shapes only: nothing is computed.
                with torch.device("meta"):
                    model = models.build(
                        backbone, stride, "columns", models.Outputs(1), channels=shape[0]
                    )
                    steps, _ = models.count_steps(model, shape)
            except (models.BackboneError, RuntimeError):
                continue  # it has no such stride, or is too deep for so small an image
            rows.append(
                {"backbone": backbone, "width_stride": stride, "width": shape[2], "steps": steps}
            )
    return rows
