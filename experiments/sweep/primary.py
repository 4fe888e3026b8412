"""The primary comparison of a preset, on record since before its runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from analysis.record import PRIMARY
from analysis.tables.primaries import Primary, primaries
from experiments.errors import UserError
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.config import merge, run_config
from experiments.settings.presets import Preset
from experiments.settings.stages import Data
from experiments.sweep.plan import plan

# What comes with the loss, or is different for every seed.
_MAY_DIFFER = {"seed", "loss", "loss_options", "decoder", "hidden", "start"}
# An arm is known by any of its runs.
_HASHES = 20


def primary(preset: Preset, seeds: list[int] | None, digests: Mapping[Data, str]) -> Primary | None:
    """The preset's primary comparison as of now; None where it names none.

    The first hash of an arm is that of seed 0, whatever seeds are asked for. Raises UserError where
    the two are no arms of the grid, or differ in more than the loss.
    """
    named = preset.primary
    if named is None:
        return None
    of_grid = [run_config(point, {"seed": 0}) for point in preset.points(seeds)]
    arms = []
    for key, settings in (("first", named.first), ("second", named.second)):
        try:
            arms.append(run_config(merge(preset.run, settings), {"seed": 0}))
        except UserError as error:
            raise UserError(f"primary.{key}: {error}") from error
        if arms[-1] not in of_grid:
            raise UserError(
                f"primary.{key}: the grid has no such arm; give the settings of one that it has"
            )
    first, second = (arm.model_dump(exclude=_MAY_DIFFER) for arm in arms)
    if other := [key for key in first if first[key] != second[key]]:
        raise UserError(
            f"primary: its arms differ in {', '.join(other)}, too; name two that differ in the "
            "loss alone"
        )
    if arms[0].loss == arms[1].loss:
        raise UserError("primary: its arms have the same loss; name two that differ in it")
    asked = list(range(preset.seeds)) if seeds is None else seeds

    def hashes(settings: dict[str, object]) -> tuple[str, ...]:
        points = [
            merge(preset.run, settings) | {"seed": seed}
            for seed in list(dict.fromkeys([0, *asked]))[:_HASHES]
        ]
        # Behind the stages that it starts from.
        return tuple(plan([point], preset.stages, digests)[-1].run_hash for point in points)

    return Primary(
        preset="",
        at=datetime.now(UTC),
        first=hashes(named.first),
        second=hashes(named.second),
        margin=named.margin,
        looks=named.looks or (len(asked),),
    )


def put_on_record(found: Primary, preset: Preset, tracker: Tracker, parent: RunRecord) -> None:
    """Write it down, unless the parent run of the ablation has it already.

    One that has changed stands beside those of before: the report says which was named first.
    """
    tags = tracker.tags(parent.run_id)
    before = primaries(tags)
    if before and _same(before[-1], found, preset):
        return
    named = asdict(found) | {"at": found.at.isoformat(timespec="milliseconds")}
    named.pop("preset")  # the parent's own tag
    number = 1 + sum(key.startswith(f"{PRIMARY}.") for key in tags)
    parent.set_tags({f"{PRIMARY}.{number}": json.dumps(named)})


def _same(before: Primary, now: Primary, preset: Preset) -> bool:
    """Whether it is the comparison of before; without looks of its own those of before hold."""
    looks = not (preset.primary and preset.primary.looks) or before.looks == now.looks
    arms = before.first[0] == now.first[0] and before.second[0] == now.second[0]
    return arms and looks and before.margin == now.margin
