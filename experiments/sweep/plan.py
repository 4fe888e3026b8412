"""Which runs a preset needs, each behind the one that it starts from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from experiments.data.synthetic.mnist import ensure_mnist
from experiments.data.synthetic.strings import ensure_strings
from experiments.errors import UserError
from experiments.readers import reader_names
from experiments.settings.config import RunConfig, merge, run_config
from experiments.settings.stages import Data, Stage


class Planned(NamedTuple):
    """A run that is to be made, with the name of its data and its hash."""

    config: RunConfig
    data: Data
    run_hash: str


def plan(
    points: Iterable[dict[str, Any]], stages: Mapping[str, Stage], digests: Mapping[Data, str]
) -> list[Planned]:
    """Every run that these settings need, once, each behind the one that it starts from.

    points: settings of runs, in which `start` is the name of a stage, the hash of a run, or a
        reader that comes with the suite.
    digests: of each data set that is asked for.
    Raises UserError naming the key.
    """
    planned: dict[str, Planned] = {}
    readers = "|".join(map(re.escape, reader_names()))

    def add(settings: dict[str, Any], data: Data) -> str:
        start = settings.get("start", "")
        if not isinstance(start, str):
            raise UserError(f"start: {start!r} is no name; several belong under [[grid]]")
        if stage := stages.get(start):
            try:
                settings = settings | {"start": add(_of_stage(settings, stage), stage.data)}
            except UserError as error:
                raise UserError(f"stage {start}: {error}") from error
        elif start and not re.fullmatch(rf"({readers})|(({readers})-)?[0-9a-f]{{16}}", start):
            near = get_close_matches(start, [*stages, *reader_names()], n=1)
            otherwise = "name one, the hash of a run, or a reader that comes with the suite"
            hint = f"did you mean {near[0]!r}?" if near else otherwise
            raise UserError(f"start: there is no stage {start!r}; {hint}")
        config = run_config(settings, {})
        run_hash = config.run_hash(digests[data])
        planned.setdefault(run_hash, Planned(config, data, run_hash))
        return run_hash

    for point in points:
        add(point, "same")
    return list(planned.values())


def stage_folder(data: Data, same: Path, out: Path) -> Path:
    """The folder of a stage's data, made below `out` where it has to be. Raises UserError."""
    if data == "same":
        return same
    if data == "strings":
        return ensure_strings(out / "data")
    return ensure_mnist(out / "data", "packaged" if data == "mnist" else "torchvision")


def _of_stage(settings: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """The settings of the stage before a run, from those of the run."""
    kept = settings | {"start": stage.start}
    if "loss" in stage.run:
        kept = {key: value for key, value in kept.items() if key not in ("loss_options", "decoder")}
    changes: dict[str, Any] = {}
    for key, value in stage.run.items():
        if isinstance(value, dict) and "name" not in value:
            changes |= {f"{key}.{part}": of_part for part, of_part in value.items()}
        else:
            changes[key] = value
    return merge(kept, changes)
