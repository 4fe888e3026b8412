"""What a search leaves: its record for the report, and a preset with the best settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments.data.images import Images
from experiments.files import write_whole
from experiments.search.replay import replay
from experiments.search.worker import Tuned
from experiments.settings.config import RunConfig
from experiments.settings.search_space import Search
from experiments.training.run import made_by

# What the seeds of a preset decide, and what every config has by itself.
_NOT_WRITTEN = {"seed", "recipe"}


def record(
    file: Path,
    tuned: Sequence[Tuned],
    best: Mapping[str, RunConfig],
    given: Search,
    images: Images,
) -> Path:
    """Write, as JSON, everything that was tried, and returns the file.

    best: by name, the settings that are trained on fresh seeds.
    """
    content = {
        "name": file.parent.name,
        "dataset": images.name,
        "train_digest": images.digest,
        "search": given.model_dump(mode="json"),
        "made_by": made_by(),
        "studies": [_study(one) for one in tuned],
        "fresh": {name: config.flat() for name, config in best.items()},
    }
    write_whole(file, json.dumps(content, indent=1))
    return file


def _study(one: Tuned) -> dict[str, Any]:
    trials, winner = one.study.tried(), one.study.best()
    whole = [t for t in trials if t.value is not None and len(t.about["val"]) == one.arm.epochs]
    replayed = replay([t.reported for t in whole], [t.value or 0 for t in whole], one.arm.epochs)
    return {
        "arm": one.name,
        "loss": one.arm.loss,
        "sampler": one.study.sampler,
        "study": one.study.name,
        "epochs": one.arm.epochs,
        "best": winner.number if winner else None,
        "importance": one.study.importance(),
        "replay": replayed._asdict(),
        "range_test": {"low": one.range_test.low, "high": one.range_test.high},
        "trials": [asdict(trial) for trial in trials],
    }


def write_best(file: Path, best: Mapping[str, RunConfig], seeds: int) -> Path:
    """Write a preset with these arms, and returns the file."""
    settings = [config.model_dump(mode="json", exclude=_NOT_WRITTEN) for config in best.values()]
    shared = {k: v for k, v in settings[0].items() if all(s[k] == v for s in settings)}
    lines = [
        "# The arms of a search, as they are and at their best, for fresh seeds:",
        "#",
        f"#     make ablation DATA=folder PRESET={file}",
        "",
        f"seeds = {seeds}",
        "",
        "[run]",
        *(f"{key} = {_toml(value)}" for key, value in shared.items() if value is not None),
    ]
    for name, config in zip(best, settings, strict=True):
        own = {k: v for k, v in config.items() if k not in shared and v is not None}
        lines += ["", f"# {name}", "[[grid]]", *(f"{k} = [{_toml(v)}]" for k, v in own.items())]
    write_whole(file, "\n".join(lines) + "\n")
    return file


def _toml(value: Any) -> str:
    """A value of JSON as TOML in one line; the keys are those of settings, which are bare."""
    if isinstance(value, dict):
        parts = (f"{k} = {_toml(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(parts)} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    # Words, numbers and truth values are written alike in both.
    return json.dumps(value, ensure_ascii=False)  # TOML knows no surrogates
