"""The finished runs of a preset, read together."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from experiments.deploy.ensemble import ensemble
from experiments.errors import UserError
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.settings.presets import load_preset
from experiments.shell import make
from experiments.sweep.ablation import planned_of
from experiments.sweep.plan import plan
from experiments.training.run import data_folder, run_name


class _Arm(NamedTuple):
    """The settings of an arm's first run, and the hashes of all, each once."""

    config: RunConfig
    run_hashes: dict[str, None]


def ensembles(
    preset: str, data: Path | None, out: Path, seeds: list[int] | None, views: int
) -> list[tuple[str, str]]:
    """Judge the seeds of each arm as one reader, and all runs as one; what each is, and its id.

    An arm with one seed is read in the last alone. views: as for `ensemble`, where one run with
    several of them is an ensemble as well. Raises UserError where a run is not finished.
    """
    loaded = load_preset(preset)
    # Before data are made in `out`: there have to be runs.
    tracker = Tracker(out, reading=True)
    _, _, images, _ = planned_of(loaded, seeds, data, out)
    digests = {name: found.digest for name, found in images.items()}
    arms: dict[str, _Arm] = {}
    for point in loaded.points(seeds):
        run = plan([point], loaded.stages, digests)[-1]
        key = repr(sorted((name, value) for name, value in point.items() if name != "seed"))
        arms.setdefault(key, _Arm(run.config, {})).run_hashes[run.run_hash] = None
    found = {one: tracker.finished(one) for arm in arms.values() for one in arm.run_hashes}
    if missing := sum(run_id is None for run_id in found.values()):
        of_seeds = ",".join(map(str, seeds)) if seeds else None
        way_out = make("ablation", out, DATA=data, PRESET=preset, SEEDS=of_seeds)
        raise UserError(
            f"{missing} of {len(found)} runs of {Path(preset).stem} are not finished; "
            f"make them with: {way_out}"
        )
    groups = [(_name(arm), [found[one] for one in arm.run_hashes]) for arm in arms.values()]
    if len(groups) > 1:
        groups.append(("all", list(found.values())))
    if len(found) == 1 and views == 1:
        raise UserError(
            f"{Path(preset).stem}: has one run, which is no ensemble; set more seeds (--seeds 3), "
            "or --tta above 1"
        )
    folder = data_folder(data, out)
    return [
        (f"{name}, {len(ids)} runs", ensemble([str(one) for one in ids], views, folder, out))
        for name, ids in groups
        if len(ids) > 1 or views > 1
    ]


def _name(arm: _Arm) -> str:
    """The name of its runs without the seed."""
    return run_name(arm.config).rpartition("-")[0]
