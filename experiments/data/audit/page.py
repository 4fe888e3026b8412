"""The audit as a page for people."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from analysis.page.page import Page, Picture, code
from experiments.data.audit.findings import Audit
from experiments.data.cells import Row
from experiments.data.decode import open_rgb
from experiments.errors import UserError
from experiments.files import write_whole

# Pictures and rows shown of each kind; the JSON has all.
_SHOWN = 60
_LARGEST = 400


def page(audit: Audit) -> Page:
    """What was found, the gravest first."""
    facts = audit.facts
    made = Page(f"Audit of {facts['dataset']}")
    made.text(_verdict(facts))
    _counts(made, facts)
    _leaks(made, facts)
    _conflicts(made, audit)
    _known_truth(made, facts)
    _labels(made, facts)
    _time_steps(made, facts)
    _pictures(made, audit, "Near-identical images", audit.near)
    _pictures(made, audit, "Images without ink", [[index] for index in audit.blank])
    _problems(made, facts)
    made.text("## How it was measured")
    made.text(
        "\n".join(f"- {name.replace('_', ' ')}: {how}" for name, how in facts["measures"].items())
    )
    return made


def write_json(audit: Audit, file: Path) -> Path:
    """Write the facts; returns the file. Raises UserError where another file is in the way."""
    if file.exists():
        try:
            ours = "audit" in json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            ours = False
        if not ours:
            raise UserError(f"{file}: exists already and is no audit; name another file")
    if not file.parent.is_dir():
        raise UserError(f"{file.parent}: no such folder; make it, or name another file")
    write_whole(file, json.dumps(audit.facts, indent=1, ensure_ascii=True) + "\n")
    return file


def picture(row: Row, caption: str) -> Picture:
    """A cell as PNG, so that any browser shows it; a photo is made smaller."""
    image = open_rgb(row.path)
    image.thumbnail((_LARGEST, _LARGEST))
    content = BytesIO()
    image.save(content, format="PNG")
    return Picture(content.getvalue(), "image/png", caption)


def _verdict(facts: dict[str, Any]) -> str:
    found = [
        f"{leak['images']} {leak['part']} images are identical to {leak['of']} ones"
        for leak in facts["leaks"]
    ]
    if facts["conflicts"]:
        found.append(f"{len(facts['conflicts'])} groups of identical images have different labels")
    if facts["problem_rows"]:
        found.append(f"{len(facts['problem_rows'])} rows or images cannot be used as they are")
    if not found:
        return "**Nothing leaks, no labels conflict, every row and image can be used.**"
    return f"**{'; '.join(found)}.**"


def _counts(made: Page, facts: dict[str, Any]) -> None:
    made.text("## What there is")
    rows = [[part, f"{count:,}"] for part, count in facts["parts"].items()]
    made.table(["part", "images"], [*rows, ["all", f"{facts['images']:,}"]])
    sizes = list(facts["sizes"].items())
    common = ", ".join(f"{size} ({count:,})" for size, count in sizes[:8])
    more = f" and {len(sizes) - 8} more" if len(sizes) > 8 else ""
    made.text(f"Sizes (width x height, images): {common}{more}.")
    copies = facts["duplicates"]
    made.text(
        f"Identical images: {copies['images']:,} in {copies['groups']:,} groups of two or more."
    )


def _leaks(made: Page, facts: dict[str, Any]) -> None:
    made.text("## Leaks")
    if facts["overlap"]:
        made.text("Images of a part that are identical to one of another part:")
        made.table(
            ["part", "also in", "images"],
            [[pair["part"], pair["of"], str(pair["images"])] for pair in facts["overlap"]],
            texts=2,
        )
    else:
        made.text("There is one part only, so nothing can leak before it is split.")


def _conflicts(made: Page, audit: Audit) -> None:
    facts = audit.facts
    made.text("## Conflicting labels")
    cost = facts["conflicts_cost"]
    if cost is None:
        made.text("No labelled image has an identical one: nothing shows how good the labels are.")
        return
    out = cost["unreachable"]
    made.text(
        f"Of {cost['groups']} groups of identical labelled images {len(facts['conflicts'])} carry "
        f"more than one label. At least {cost['images']} labels of {cost['duplicated']} are lost "
        "to any reader that gives one answer an image. If the other images are labelled as well "
        f"as these, label conflicts alone put {out['estimate']:.2%} of accuracy out of reach "
        f"(95% interval {out['low']:.2%} to {out['high']:.2%})."
    )
    _gallery(made, audit, [index for group in audit.conflicts for index in group])


def _known_truth(made: Page, facts: dict[str, Any]) -> None:
    known = facts["known_truth"]
    if not known["readers"]:
        return
    made.text("## Human-read images whose label is known")
    made.text(
        f"{known['images']} human-read images are identical to labelled ones, so their label is "
        f"known (another {known['conflicting']} have copies with different labels and are left "
        "out). A model that learnt from the labelled images has seen them."
    )
    made.table(
        ["reader", "right", "of", "share", "95% interval"],
        [
            [reader, str(s["right"]), str(s["of"])]
            + ([f"{s['share']:.1%}", f"{s['low']:.1%} to {s['high']:.1%}"] if s["of"] else ["", ""])
            for reader, s in known["readers"].items()
        ],
    )


def _labels(made: Page, facts: dict[str, Any]) -> None:
    labels = facts["labels"]
    made.text("## Labels")
    lengths = sorted(labels["lengths"].items(), key=lambda item: int(item[0]))
    made.table(
        ["characters", *(k for k, _ in lengths)], [["labels", *(f"{n:,}" for _, n in lengths)]]
    )
    characters = labels["characters"].items()
    made.table(
        ["character", *(code(k) for k, _ in characters)],
        [["times", *(f"{n:,}" for _, n in characters)]],
    )
    made.text(f"{labels['repeats']:,} labels have a character twice in a row.")
    for key, title in (
        ("outside_charset", "Labels outside the charset"),
        ("not_a_number", "Labels that are not a number"),
    ):
        if listed := facts[key]:
            made.text(f"{title}: {len(listed)}{_of(listed)}")
            made.text(
                "\n".join(f"- {code(i['filename'])}: {code(i['label'])}" for i in listed[:_SHOWN])
            )


def _time_steps(made: Page, facts: dict[str, Any]) -> None:
    made.text("## Can CTC emit the labels?")
    if not facts["time_steps"]:
        return
    made.text(
        "It needs a time step a character, and one more between equal neighbours. Images "
        f"{facts['time_steps'][0]['width']} pixels wide give so many steps, which are too few for "
        "this share of the labels:"
    )
    infeasible = facts["ctc_infeasible"]
    strides = sorted({row["width_stride"] for row in facts["time_steps"]})
    cells = {
        (row["backbone"], row["width_stride"]): f"T = {row['steps']}: "
        f"{infeasible.get(str(row['steps']), 0):.1%}"
        for row in facts["time_steps"]
    }
    made.table(
        ["backbone", *(f"width stride {stride}" for stride in strides)],
        [
            [backbone, *(cells.get((backbone, stride), "") for stride in strides)]
            for backbone in dict.fromkeys(row["backbone"] for row in facts["time_steps"])
        ],
    )


def _pictures(made: Page, audit: Audit, title: str, groups: list[list[int]]) -> None:
    if groups:
        made.text(f"## {title}")
        made.text(f"{len(groups)}{_of(groups)}")
        _gallery(made, audit, [index for group in groups for index in group])


def _gallery(made: Page, audit: Audit, indices: list[int]) -> None:
    shown = [audit.rows[index] for index in indices[:_SHOWN]]
    made.pictures([picture(row, f"{row.part} {row.filename}: {row.label or ''}") for row in shown])


def _problems(made: Page, facts: dict[str, Any]) -> None:
    listed = facts["problem_rows"]
    if not listed:
        return
    made.text("## Rows and images that stop a run")
    made.table(["problem", "times"], [[kind, str(n)] for kind, n in facts["problems"].items()])
    made.text("\n".join(f"- {code(message)}" for message in listed[:_SHOWN]) + _of(listed))


def _of(listed: list[Any]) -> str:
    return f" (the first {_SHOWN} are shown, the JSON has all)" if len(listed) > _SHOWN else ""
