"""The weights that a run starts from: of a finished run, or of a reader that comes along."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from analysis.record import LEARNT, WEIGHTS
from experiments.data.images import Images
from experiments.data.splits import Split
from experiments.errors import UserError
from experiments.readers import reader_folder, reader_names, reader_of_start
from experiments.records.tracker import Tracker
from experiments.settings.config import RunConfig
from experiments.training.learnt import Learnt, leaks, read_learnt
from models import Reader


class Start(NamedTuple):
    """Where a run begins: weights by name, and what these have seen; None where nobody knows."""

    weights: dict[str, Tensor]
    seen: Learnt | None


def finished_start(config: RunConfig, tracker: Tracker) -> tuple[str | None, Path]:
    """The id and the artifacts of the run that it starts from; no id of a reader of the suite.

    Raises UserError without one.
    """
    if (reader := reader_of_start(config.start)) is not None:
        return None, reader_folder(reader)
    # Anything else is no hash, and must not become part of a query.
    known = re.fullmatch("[0-9a-f]{16}", config.start)
    run_id = tracker.finished(config.start) if known else None
    folder = tracker.artifacts(run_id) if run_id else None
    if run_id is None or folder is None:
        raise UserError(
            f"start: no finished run {config.start!r} in {tracker.out}; make it first, or give the "
            "run_hash of another (report/runs.csv), or a reader that comes with the suite "
            f"({', '.join(reader_names())})"
        )
    return run_id, folder


def start_of(config: RunConfig, images: Images, split: Split, tracker: Tracker) -> Start:
    """What the run starts from; nothing without `start`.

    Raises UserError where those weights have seen images that this run is judged or selected by
    (see learnt.py). A run of an older version has not recorded what it saw: then another split of
    a data set with the same digest is refused, and nothing else can be.
    """
    if not config.start:
        return Start({}, Learnt())
    run_id, folder = finished_start(config, tracker)
    seen = read_learnt(folder)
    if seen is None:
        print(f"start: {config.start} has no {LEARNT}, so only data sets and splits are compared")
        tags = tracker.tags(run_id) if run_id is not None else {}
        same_split = tags.get("split_digest") == split.digest(images)
        if tags.get("data_digest") == images.digest and not same_split:
            raise UserError(
                f"start: {config.start} learnt from another split of the same data, so it may know "
                "the images that this run is judged by; give both the same seed and split"
            )
    elif leaked := leaks(seen, images, split):
        raise UserError(
            f"start: {config.start} has learnt from {leaked} of this run; give both the same seed "
            "and split, or start from a run that has not seen them"
        )
    file = folder / WEIGHTS
    try:
        # Those of a reader are in half precision.
        weights = {k: v.float() if v.is_floating_point() else v for k, v in load_file(file).items()}
        return Start(weights, seen)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file}: cannot be loaded ({error}); train that run again") from error


def take_weights(model: Reader, weights: dict[str, Tensor]) -> int:
    """Put in every tensor that has the name and shape of one of the model's; returns how many.

    Raises UserError where none of the trunk has.
    """
    own = model.state_dict()
    taken = {k: v for k, v in weights.items() if k in own and own[k].shape == v.shape}
    # Kernels: a counter or a bias may fit by chance.
    if not any(k.startswith("trunk.") and v.dim() > 1 for k, v in taken.items()):
        raise UserError(
            "start: no weight of that run's trunk fits this one's; start from a run of the same "
            "backbone"
        )
    model.load_state_dict(taken, strict=False)
    return len(taken)
