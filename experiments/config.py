"""The settings of a run: typed, frozen, complete; and its identity, the hash of them all."""

from __future__ import annotations

import hashlib
import json
import tomllib
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

import losses
import models
from experiments.errors import UserError

# Raise it when the same settings begin to mean another training: it is part of every run's hash.
RECIPE: Literal[1] = 1

PRESETS = Path(__file__).parent / "configs"

_Positive = Annotated[float, Field(gt=0)]
_Fraction = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageSize(_Frozen):
    """What the model sees: pixels, and 1 (grey) or 3 (RGB) channels."""

    height: int = Field(32, ge=8)
    width: int = Field(64, ge=8)
    channels: Literal[1, 3] = 1


class Affine(_Frozen):
    """Ranges of the `affine` augmentation; the defaults are the published ones.

    degrees, shear: up to this angle either way. translate: fraction of the side. scale: factors.
    """

    degrees: float = Field(10, ge=0, le=180)
    translate: _Fraction = 0.1
    scale: tuple[_Positive, _Positive] = (0.95, 1.1)
    shear: float = Field(3, ge=0, lt=90)


class SGDCyclic(_Frozen):
    """SGD with Nesterov momentum under torch's CyclicLR, as published.

    The rate goes from base_lr to max_lr and back `cycles` times in a run, a step a batch; the
    momentum goes against it.
    """

    name: Literal["sgd_cyclic"] = "sgd_cyclic"
    base_lr: _Positive = 0.001
    max_lr: _Positive = 0.01
    cycles: int = Field(4, ge=1)
    mode: Literal["triangular", "triangular2"] = "triangular"
    base_momentum: _Fraction = 0.8
    max_momentum: _Fraction = 0.9
    weight_decay: float = Field(0, ge=0)


class AdamWOneCycle(_Frozen):
    """AdamW under one cycle: up to max_lr in the first `warmup` of the run, then down to 0."""

    name: Literal["adamw_onecycle"] = "adamw_onecycle"
    max_lr: _Positive = 0.003
    warmup: _Fraction = 0.25
    weight_decay: float = Field(0.01, ge=0)


class RunConfig(_Frozen):
    """Everything that decides a run's result, apart from the data.

    split: which test part is the run's own (see experiments/data/splits.py).
    val_fraction: how much of the training list is held back for selection.
    decoder: columns, slots or latent_lstm; by default the first that fits the loss.
    hidden: the decoder's width; by default the decoder's own.
    patience: stop after this many epochs without a better one; none by default.
    """

    recipe: Literal[1] = RECIPE
    seed: int = Field(0, ge=0)
    split: Literal["published", "clean"] = "published"
    val_fraction: float = Field(0.1, gt=0, lt=1)
    charset: str = Field("0123456789.-", min_length=1)
    max_length: int = Field(10, ge=1)
    image: ImageSize = ImageSize()
    loss: str = "ctc"
    loss_options: dict[str, bool | float | str] = {}
    decoder: str = ""
    backbone: str = "small_cnn"
    pretrained: Literal["none", "imagenet"] = "none"
    width_stride: int = Field(2, ge=1)
    hidden: int = Field(0, ge=0)
    augmentation: Literal["none", "affine"] = "affine"
    affine: Affine = Affine()
    optimizer: Annotated[SGDCyclic | AdamWOneCycle, Field(discriminator="name")] = AdamWOneCycle()
    epochs: int = Field(20, ge=1)
    batch_size: int = Field(32, ge=2)
    clip_norm: _Positive = 5.0
    patience: int | None = Field(None, ge=1)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Write out what is left to the loss and the decoder, so that the hash sees it."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        if isinstance(filled.get("optimizer"), dict):
            filled["optimizer"] = {"name": "adamw_onecycle"} | filled["optimizer"]
        objective = losses.OBJECTIVES.get(str(filled.get("loss", "ctc")))
        if objective is not None:
            filled["loss_options"] = objective.option_defaults() | dict(
                filled.get("loss_options") or {}
            )
            filled["decoder"] = filled.get("decoder") or models.default_decoder(objective.layout)
        decoder = models.DECODERS.get(str(filled.get("decoder")))
        if decoder is not None:
            filled["hidden"] = filled.get("hidden") or decoder.default_hidden
        return filled

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        _known("loss", self.loss, losses.OBJECTIVES)
        _known("decoder", self.decoder, models.DECODERS)
        _known("backbone", self.backbone, models.backbone_names())
        wanted = losses.OBJECTIVES[self.loss].layout
        if models.DECODERS[self.decoder].layout != wanted:
            fitting = [n for n, decoder in models.DECODERS.items() if decoder.layout == wanted]
            raise ValueError(f"the loss {self.loss} needs a decoder of {', '.join(fitting)}")
        if len(set(self.charset)) != len(self.charset):
            raise ValueError("charset has a character twice")
        self.objective()
        return self

    def objective(self) -> losses.Objective:
        """The loss with its options."""
        objective = losses.OBJECTIVES[self.loss]
        for option in self.loss_options:
            _known("loss_options", option, objective.option_defaults())
        return objective(charset=self.charset, max_length=self.max_length, **self.loss_options)

    def flat(self) -> dict[str, Any]:
        """Every setting under its dotted key."""
        return _flatten(self.model_dump(mode="json"))

    def run_hash(self, data_digest: str) -> str:
        """The identity of a run: 16 hex digits of all settings and the data."""
        text = json.dumps([self.model_dump(mode="json"), data_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Preset(_Frozen):
    """A config file: what all of its runs share, the seeds, and the grids over them.

    grid: each entry maps dotted keys to lists; its runs are the product of these lists.
    """

    run: dict[str, Any] = {}
    seeds: int = Field(1, ge=1)
    grid: list[dict[str, list[Any]]] = [{}]

    def expand(self, seeds: list[int] | None = None) -> list[RunConfig]:
        """Every run, the seeds outermost, so that a whole comparison is there early."""
        return [
            run_config(self.run | {"seed": seed}, dict(zip(axes, values, strict=True)))
            for seed in (range(self.seeds) if seeds is None else seeds)
            for axes in self.grid
            for values in product(*axes.values())
        ]


def load_preset(name: str) -> Preset:
    """A preset of the suite by its name, or a TOML file by its path. Raises UserError."""
    path = Path(name) if name.endswith(".toml") else PRESETS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in PRESETS.glob("*.toml")))
        raise UserError(f"{name}: no such preset; choose one of {known}, or name a .toml file")
    try:
        return Preset.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not TOML ({error}); correct it") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_one_line(error, Preset)}") from error


def load_run(file: str) -> dict[str, Any]:
    """The settings of one run: those that a preset's runs share, or a run's own config.json."""
    if not file.endswith(".json"):
        return load_preset(file).run
    try:
        loaded = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}); name another file") from error
    if not isinstance(loaded, dict):
        raise UserError(f"{file}: not the settings of a run; name a config.json")
    return loaded


def run_config(settings: dict[str, Any], overrides: dict[str, Any]) -> RunConfig:
    """Checked settings, with the values of dotted keys put in. Raises UserError naming the key."""
    merged = json.loads(json.dumps(settings))
    for key, value in overrides.items():
        *parents, last = key.split(".")
        node = merged
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"{key}: {parent} has no parts; correct the key")
        node[last] = value
    try:
        return RunConfig.model_validate(merged)
    except ValidationError as error:
        raise UserError(_one_line(error, RunConfig)) from error


def parse_override(text: str) -> tuple[str, Any]:
    """key=value, the value as TOML where it is (numbers, true, "quoted", [lists]), else a word."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise UserError(f"--set {text}: write key=value")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def parse_seeds(text: str) -> list[int]:
    """A count ("3" is 0, 1, 2) or a list ("4,7")."""
    try:
        numbers = [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or numbers == [0]:
        raise UserError(f"seeds {text!r}: write a count such as 3, or a list such as 4,7")
    is_list = "," in text or len(numbers) > 1
    return sorted(set(numbers)) if is_list else list(range(numbers[0]))


def _known(key: str, value: str, known: Any) -> None:
    if value not in known:
        raise ValueError(f"{key}: there is no {value!r}{_close(value, list(known))}")


def _close(word: str, known: list[str]) -> str:
    matches = get_close_matches(word, known, n=1)
    return f"; did you mean {matches[0]!r}?" if matches else f"; choose one of {', '.join(known)}"


def _one_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first thing that is wrong, with its key and the way out."""
    first = error.errors()[0]
    # A discriminated union puts its tag into the location, which is no key of the user's.
    tags = {"sgd_cyclic", "adamw_onecycle"}
    key = ".".join(str(part) for part in first["loc"] if part not in tags)
    if first["type"] == "extra_forbidden":
        return f"unknown config key {key!r}{_close(key, list(_keys(model)))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"config key {key!r}: {message}" if key else message


def _keys(model: type[BaseModel]) -> list[str]:
    if model is not RunConfig:
        return list(model.model_fields)
    flat = dict.fromkeys(RunConfig().flat())
    for optimizer in (SGDCyclic, AdamWOneCycle):
        flat |= {f"optimizer.{key}": None for key in optimizer.model_fields}
    return list(flat)


def _flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
