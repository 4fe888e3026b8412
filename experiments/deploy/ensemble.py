"""Finished runs read together, or one with several views of an image: what it brings and costs."""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import models
from analysis.record import MEMBERS
from experiments.data.images import Images
from experiments.data.splits import Split, make_split
from experiments.deploy.reading.together import load_member
from experiments.deploy.reading.voting import VIEWS, Member, read_together
from experiments.errors import UserError
from experiments.files import lock
from experiments.records.run_record import RunRecord
from experiments.records.tracker import Tracker
from experiments.settings.config import RECIPE
from experiments.training.evaluation import human_metrics, label_metrics, write_tables
from experiments.training.inference import BATCH
from experiments.training.learnt import leaks, read_learnt
from experiments.training.progress import counting
from experiments.training.run import load_data, made_by

# What every member must have in common, to have been judged on the same images and labels.
_SHARED = ("split", "charset", "label_noise")


class _Finished(NamedTuple):
    """A finished run with its data set at its own image size, and the split it was made with."""

    run_id: str
    member: Member
    images: Images
    split: Split


def ensemble(run_ids: list[str], views: int, folder: Path, out: Path) -> str:
    """Evaluate runs together; returns the MLflow id, that of the finished one where there is one.

    views: of each image, see `read_together`. folder: the data set the runs were made from.
    Raises UserError for runs that were not judged on the same images.
    """
    if len(run_ids) == 1 and views == 1:
        raise UserError("one run as it is: name another one with --run, or set --tta above 1")
    Tracker(out, reading=True)  # there have to be runs
    tracker = Tracker(out)
    # In one order, so that the same runs are the same ensemble.
    first_id, *other_ids = sorted(run_ids)
    first = _load(tracker, first_id, folder, out)
    identity = [RECIPE, sorted(run_ids), views, VIEWS.model_dump(), first.images.digest]
    run_hash = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    with lock(out / "runs" / f"{run_hash}.lock"):
        if (done := tracker.finished(run_hash)) is not None:
            print(f"finished before as {done}")
            return done
        members = [first, *(_load(tracker, run_id, folder, out) for run_id in other_ids)]
        for other in members[1:]:
            _check_same(first, other)
        tags = {
            "kind": "ensemble",
            "members": ",".join(m.run_id for m in members),
            "tta": str(views),
            "dataset": first.images.name,
            "data_digest": first.images.digest,
            "split": first.member.config.split,
            **made_by(),
        }
        name = f"ensemble-{len(members)}x{views}"
        with tracker.claimed(run_hash):
            # It may be one that this process waited for.
            if tracker.place.server and (done := tracker.finished(run_hash)) is not None:
                return done
            with tracker.recording(name, run_hash, tags) as record:
                record.log_data(first.images.name, folder, first.images.digest)
                _evaluate(members, views, record)
    return record.run_id


def _load(tracker: Tracker, run_id: str, folder: Path, out: Path) -> _Finished:
    if (artifacts := tracker.artifacts(run_id)) is None:
        raise UserError(f"{run_id}: no finished run in {out}; take an id from its report or the UI")
    tags = tracker.tags(run_id)
    if tags["kind"] != "run":
        raise UserError(f"{run_id}: is an {tags['kind']} itself; name runs that were trained")
    member = load_member(artifacts)
    images = load_data(member.config, folder, out)
    if images.digest != tags["data_digest"]:
        raise UserError(
            f"{run_id}: was made from data {tags['data_digest']} and {folder} is "
            f"{images.digest}: set --data to the folder it was made from"
        )
    split = make_split(images, member.config)
    if split.digest(images) != tags.get("split_digest"):
        raise UserError(f"{run_id}: its split is not made any more; train the run again")
    # None for a run of an older version, which says no more than its digests.
    seen = read_learnt(artifacts)
    if seen is not None and (leaked := leaks(seen, images, split)):
        raise UserError(
            f"{run_id}: has learnt from {leaked} that it is judged by; name another run"
        )
    return _Finished(run_id, member, images, split)


def _check_same(first: _Finished, other: _Finished) -> None:
    a, b = first.member.config, other.member.config
    both = f"{first.run_id} and {other.run_id}"
    for key in _SHARED:
        if getattr(a, key) != getattr(b, key):
            raise UserError(
                f"{both}: {key} is {getattr(a, key)} and {getattr(b, key)}; name runs that have it "
                "in common"
            )
    # What the one is judged by, the other may have learnt.
    if first.split.test != other.split.test:
        raise UserError(f"{both}: have different test images; name runs of one fold or test part")


def _evaluate(members: list[_Finished], views: int, record: RunRecord) -> None:
    images = members[0].images
    # Seeds cut validation parts of their own: what one selects on, another has learnt.
    val = set.intersection(*(set(m.split.val) for m in members))
    split = replace(members[0].split, val=tuple(sorted(val)))
    parts = {"val": split.val, "test": split.test, "human": split.human}
    parts = {part: at for part, at in parts.items() if at}
    readings, seconds, alone = {}, 0.0, [0.0] * len(members)
    with counting("reading") as count:
        step = count(sum(-(-len(at) // BATCH) for at in parts.values()))
        for part, at in parts.items():
            pixels = [m.images.pixels[list(at)] for m in members]
            read = read_together([m.member for m in members], pixels, views, on_batch=step)
            readings[part] = dict(zip(at, read.readings, strict=True))
            seconds += read.seconds
            alone = [a + b for a, b in zip(alone, read.alone, strict=True)]
    milliseconds = 1000 / sum(map(len, parts.values()))
    parameters = {m.run_id: models.count_parameters(m.member.model) for m in members}
    record.log_metrics(
        {
            "cost.parameters": float(sum(parameters.values())),
            "cost.reading_ms": seconds * milliseconds,
            **label_metrics(images, split, readings),
            **human_metrics(images, split, readings.get("human", {})),
        }
    )
    about = {
        "tta": views,
        "views": VIEWS.model_dump(),
        "members": [
            {
                "run_id": m.run_id,
                "parameters": parameters[m.run_id],
                "reading_ms": taken * milliseconds,
            }
            for m, taken in zip(members, alone, strict=True)
        ],
    }
    with tempfile.TemporaryDirectory() as making:
        file = Path(making, MEMBERS)
        file.write_text(json.dumps(about, indent=1), encoding="utf-8")
        record.log_file(file)
        for file in write_tables(Path(making), images, split, readings, {}):
            record.log_file(file)
