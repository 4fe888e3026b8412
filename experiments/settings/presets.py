"""Config files: presets with their grids, and what a command line puts over them."""

from __future__ import annotations

import json
import reprlib
import tomllib
from collections.abc import Callable
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from experiments.errors import UserError
from experiments.limits import refuse_long
from experiments.schema import MOST_SEEDS, Frozen
from experiments.settings.config import RunConfig, merge, run_config
from experiments.settings.primary import Primary
from experiments.settings.refusals import refusal
from experiments.settings.search_space import Search, Space
from experiments.settings.stages import Stage

PRESETS = Path(__file__).parents[1] / "configs"

_MOST_RUNS = 100_000
# Levels of tables and lists in each other; no setting has more than four.
_DEEPEST = 16
# What stands for one of these on the command line is text, though it may look like a number: a
# hash of digits alone, or a charset.
_TEXTS = {name for name, field in RunConfig.model_fields.items() if field.annotation is str}

_TABLES: dict[str, type[Frozen]] = {
    "stages": Stage,
    "primary": Primary,
    "search": Search,
    "space": Space,
}

# By what images, labels and characters a run is judged.
_JUDGED_BY = ("split", "fold", "folds", "test_fraction", "charset", "label_noise")


class Preset(Frozen):
    """A config file: what all of its runs share, the seeds, and the grids over them.

    read_together: whether the seeds of each arm, and all runs, are judged as one reader as well.
    stages: runs that come first, by the name under which `start` asks for them.
    grid: each entry maps dotted keys to lists; its runs are the product of these lists.
    search: how its arms are tuned by `make search`; an ablation leaves it alone.
    primary: the comparison that it is made for; without one all pairs are corrected together.
    """

    run: dict[str, Any] = Field(default_factory=dict)
    seeds: int = Field(1, ge=1, le=MOST_SEEDS)
    read_together: bool = False
    stages: dict[str, Stage] = Field(default_factory=dict)
    grid: tuple[dict[str, list[Any]], ...] = ({},)
    search: Search = Search()
    primary: Primary | None = None

    @model_validator(mode="after")
    def _stages_come_to_an_end(self) -> Preset:
        for name in self.stages:
            before = [name]
            while start := self.stages[before[-1]].start:
                if start not in self.stages:
                    raise ValueError(f"stages.{before[-1]}.start: there is no stage {start!r}")
                if start in before:
                    raise ValueError(f"stages.{start}.start: it starts from itself in the end")
                before.append(start)
        return self

    @model_validator(mode="after")
    def _seeds_are_its_own(self) -> Preset:
        if "seed" in self.run:
            raise ValueError("run.seed: set seeds, or for one run --set seed=NUMBER")
        return self

    @model_validator(mode="after")
    def _together_means_judged_alike(self) -> Preset:
        for key in _JUDGED_BY if self.read_together else ():
            values = [[self.run[key]] if key in self.run else ["its default"]]
            values = [axes[key] if key in axes else values[0] for axes in self.grid]
            if len({json.dumps(value) for of_grid in values for value in of_grid}) > 1:
                raise ValueError(
                    f"read_together: runs that differ in {key} are not judged alike; leave out "
                    "either"
                )
        return self

    @model_validator(mode="after")
    def _looks_are_seeds(self) -> Preset:
        looks = self.primary.looks if self.primary else ()
        if looks and self.seeds not in looks:
            raise ValueError(f"primary.looks: {self.seeds}, the preset's seeds, is none of them")
        return self

    def points(self, seeds: list[int] | None = None) -> list[dict[str, Any]]:
        """The settings of every run, unchecked, `start` naming a stage.

        The seeds are outermost and then the folds, so that a whole comparison is there early.
        """
        if any("seed" in axes for axes in self.grid):
            raise UserError("seed is no key of a grid; set seeds")
        many = range(self.seeds) if seeds is None else seeds
        count = len(many) * sum(prod(map(len, axes.values())) for axes in self.grid)
        if count > _MOST_RUNS:
            raise UserError(f"grid: {count:,} runs are more than {_MOST_RUNS:,}; make it smaller")
        found: list[dict[str, Any]] = []
        for seed in many:
            of_seed = [
                merge(self.run | {"seed": seed}, dict(zip(axes, values, strict=True)))
                for axes in self.grid
                for values in product(*axes.values())
            ]
            found += sorted(of_seed, key=_fold)
        if not found:
            raise UserError("the grid has no runs; give each of its keys at least one value")
        return found

    def expand(self, seeds: list[int] | None = None) -> list[RunConfig]:
        """Every run but those of the stages."""
        configs = [run_config(point, {}) for point in self.points(seeds)]
        # A point that stands in two grids is one run.
        return list({config.model_dump_json(): config for config in configs}.values())


def _fold(point: dict[str, Any]) -> int:
    # What is no number is refused later, in words.
    fold = point.get("fold", 0)
    return fold if isinstance(fold, int) else 0


def load_preset(name: str) -> Preset:
    """A preset of the suite by its name, or a TOML file by its path. Raises UserError."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise UserError(f"{name}: no such preset; choose one of {known}, or name a .toml file")
    try:
        return Preset.model_validate(_parsed(path, tomllib.loads))
    except ValidationError as error:
        raise UserError(f"{path}: {refusal(error, Preset, _TABLES)}") from error
    except ValueError as error:  # also of a number of too many digits
        raise UserError(f"{path}: not TOML ({error}); correct it") from error


def load_run(
    preset: str | None = None, config: Path | None = None, overrides: list[str] | None = None
) -> RunConfig:
    """One run: what a preset's runs share, or else a run's own config.json, under key=value pairs.

    Raises UserError.
    """
    if (preset is None) == (config is None):
        raise UserError("one run: give --preset, a name or .toml file, or --config, a config.json")
    settings = _load_json(config) if config else load_preset(preset or "").run
    return run_config(settings, dict(map(parse_override, overrides or [])))


def _load_json(file: Path) -> dict[str, Any]:
    try:
        loaded = _parsed(file, json.loads)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}); name another file") from error
    if not isinstance(loaded, dict):
        raise UserError(f"{file}: not the settings of a run; name a config.json")
    return loaded


def _parsed(file: Path, loads: Callable[[str], Any]) -> Any:
    """What a file holds. Raises UserError for one that is too long or nested too deep."""
    refuse_long(file)
    text = file.read_text(encoding="utf-8-sig")
    try:
        return _not_deep(loads(text))
    except RecursionError:
        raise UserError(f"{file}: nested more than {_DEEPEST} levels deep; correct it") from None


def _not_deep(value: Any) -> Any:
    """The value as it is. Raises RecursionError, as a parser does that finds no end."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            below
            for one in level
            if isinstance(one, dict | list)
            for below in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise RecursionError
    return value


def parse_override(text: str) -> tuple[str, Any]:
    """key=value, the value as TOML where it is (numbers, true, "quoted", [lists]), else a word.

    What belongs to a key that holds text is a word as well, whatever it looks like.
    """
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set {text}: write key=value")
    try:
        parsed = _not_deep(tomllib.loads(f"value = {value}")["value"])
    except ValueError:  # no TOML, or a number of too many digits
        return key, value
    except RecursionError:
        raise UserError(
            f"--set {key}: nested more than {_DEEPEST} levels deep; correct it"
        ) from None
    return key, value if key in _TEXTS and not isinstance(parsed, str) else parsed


def parse_seeds(text: str) -> list[int]:
    """A count ("3" is 0, 1, 2) or a list ("4,7"). Raises UserError."""
    try:
        numbers = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    is_list = "," in text or len(numbers) > 1
    if not numbers or min(numbers) < 0 or (numbers == [0] and not is_list):
        given = reprlib.repr(text)
        raise UserError(f"seeds {given}: write a count such as 3, or a list such as 4,7")
    if (len(numbers) if is_list else numbers[0]) > MOST_SEEDS:
        raise UserError(f"seeds: more than {MOST_SEEDS}; ask for fewer")
    if is_list and max(numbers) >= 2**32:
        raise UserError("seeds: each lies below 2**32; choose smaller ones")
    return sorted(set(numbers)) if is_list else list(range(numbers[0]))
