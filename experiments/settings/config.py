"""The settings of a run: typed, frozen, complete; and its identity.

A run is identified by its recipe, by those of its settings that differ from the defaults, and by
its data. So a new setting with a default leaves every hash as it is; a changed default is another
recipe. A setting that a run does not use stands at its default, whatever was given.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError, model_validator

import losses
import models
from experiments.data.augmentation import AUGMENTATIONS, Augmentation
from experiments.data.augmentation.affine import Affine
from experiments.errors import UserError
from experiments.optimizers import OPTIMIZERS, OptimizerSettings
from experiments.optimizers.adamw_onecycle import AdamWOneCycle
from experiments.readers import reader_names, start_from_reader
from experiments.schema import Fraction, Frozen, OneOf, Seed, did_you_mean
from experiments.settings.parts import CHOICES, ImageSize
from experiments.settings.refusals import refusal

# Raise it when the same settings begin to mean another training, or when a default changes: it is
# part of every run's hash.
RECIPE: Literal[3] = 3


class RunConfig(Frozen):
    """Everything that decides a run's result, apart from the data.

    split: which test part is the run's own (see experiments/data/splits.py).
    val_fraction: how much of the training part is held back for selection.
    test_fraction: how much of a folder without lists is the test part.
    folds, fold: of the split kfold, how many there are, and which one (from 0) is the test part.
    train_images: so many of the training images, or all where there are fewer; 0 for all. Which,
        the seed decides: fewer are a part of more.
    label_noise: the share of labels that are changed on purpose, to see what finds them.
    loss_options: of the loss, which explains them (see losses/).
    decoder: one of models.DECODERS; by default the first that fits the loss.
    start: the hash of the finished run whose weights it starts from, or the name of a reader that
        comes with the suite, to which the digest of its weights is added; none by default.
    hidden: the decoder's width; by default the decoder's own.
    layers: the decoder's LSTMs on top of each other.
    clip_norm: gradients of a larger norm are scaled down to it; 0 leaves all as they are.
    patience: stop after this many epochs without a better one; none by default.
    keep: which epoch is kept, the best on validation or the last. The last needs no validation
        images to choose it, so that val_fraction may be small once all else is settled.
    ema: decay a batch of an exponential moving average of the weights, such as 0.999 for about the
        last 1000 batches; it is validated, kept and read in place of the weights. 0 for none.
    consistency: the factor of how far two views of each image may be read apart, which are moved
        alike and else augmented each for itself; a step then costs twice as much. 0 for one view.
    joined: the share of training images that get another's number behind their own, where that
        gives one that can be learnt.
    """

    recipe: Literal[3] = RECIPE
    seed: Seed = 0
    split: Literal["published", "clean", "kfold"] = "published"
    val_fraction: float = Field(0.1, gt=0, lt=1)
    test_fraction: float = Field(0.2, gt=0, lt=1)
    folds: int = Field(5, ge=2, le=1000)
    fold: int = Field(0, ge=0, lt=1000)
    train_images: int = Field(0, ge=0, le=100_000_000)
    label_noise: Fraction = 0
    charset: str = Field("0123456789.-", min_length=1, max_length=1000)
    max_length: int = Field(10, ge=1, le=1000)
    image: ImageSize = ImageSize()
    loss: str = "ctc"
    loss_options: dict[str, bool | float | str] = Field(default_factory=dict)
    decoder: str = ""
    backbone: str = "small_cnn"
    pretrained: Literal["none", "imagenet"] = "none"
    start: str = ""
    width_stride: int = Field(2, ge=1, le=64)
    hidden: int = Field(0, ge=0, le=2048)
    layers: int = Field(1, ge=1, le=8)
    augmentation: Annotated[Augmentation, OneOf(AUGMENTATIONS, "affine")] = Affine()
    optimizer: Annotated[OptimizerSettings, OneOf(OPTIMIZERS, "adamw_onecycle")] = AdamWOneCycle()
    epochs: int = Field(20, ge=1, le=100_000)
    batch_size: int = Field(32, ge=2, le=65_536)
    clip_norm: float = Field(5.0, ge=0, allow_inf_nan=False)
    patience: int | None = Field(None, ge=1, le=100_000)
    keep: Literal["best", "last"] = "best"
    ema: float = Field(0, ge=0, lt=1)
    consistency: float = Field(0, ge=0, le=100)
    joined: Fraction = 0
    precision: Literal["32-true", "bf16-mixed"] = "32-true"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """Write out what is left to the loss and the decoder, so that the hash sees it."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        if (recipe := filled.get("recipe", RECIPE)) != RECIPE:
            raise ValueError(
                f"settings of recipe {recipe}, and this version trains by recipe {RECIPE}: use "
                "the version that wrote them, or leave `recipe` out and train again"
            )
        if filled.get("start") in reader_names():
            filled["start"] = start_from_reader(filled["start"])
        objective = losses.OBJECTIVES.get(str(filled.get("loss", "ctc")))
        if objective is not None:
            options = filled.get("loss_options", {})
            if isinstance(options, dict):
                filled["loss_options"] = objective.option_defaults() | {
                    key: _option(objective, key, value) for key, value in options.items()
                }
            filled["decoder"] = filled.get("decoder") or models.default_decoder(objective.layout)
        decoder = models.DECODERS.get(str(filled.get("decoder")))
        if decoder is not None:
            filled["hidden"] = filled.get("hidden") or decoder.default_hidden
        return filled

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        _known("loss", self.loss, losses.OBJECTIVES)
        _known("decoder", self.decoder, models.DECODERS)
        if self.backbone not in models.TRUNKS:  # to list the others takes seconds
            models.refuse_transformers(self.backbone)
            _known("backbone", self.backbone, models.backbone_names())
        if len(set(self.charset)) != len(self.charset):
            raise ValueError("charset has a character twice")
        if self.patience and self.keep == "last":
            raise ValueError("patience: keep=last looks for no better epoch; leave one of them out")
        if self.fold >= self.folds:
            raise ValueError(f"fold: the last of {self.folds} folds is {self.folds - 1}")
        objective = self.objective()
        fitting = [
            name
            for name, decoder in models.DECODERS.items()
            if decoder.layout == objective.layout
            and (decoder.has_columns or not objective.column_classes)
        ]
        if self.decoder not in fitting:
            raise ValueError(f"the loss {self.loss} needs a decoder of {', '.join(fitting)}")
        for key, default in self._unused().items():
            # Two runs that differ in it alone are one. Frozen is for those who use it.
            object.__setattr__(self, key, default)
        return self

    def _unused(self) -> dict[str, Any]:
        """The settings that, by the others alone, decide nothing; with their defaults."""
        keys = {"test_fraction"} if self.split == "kfold" else {"folds", "fold"}
        unused = {key: type(self).model_fields[key].default for key in keys}
        if not models.DECODERS[self.decoder].default_hidden:
            unused |= {"hidden": 0, "layers": 1}
        return unused

    def objective(self) -> losses.Objective:
        """The loss with its options."""
        options: dict[str, Any] = self.loss_options
        return losses.OBJECTIVES[self.loss](
            charset=self.charset, max_length=self.max_length, **options
        )

    def flat(self) -> dict[str, Any]:
        """Every setting under its dotted key."""
        return _flatten(self.model_dump(mode="json"))

    def identity(self) -> dict[str, Any]:
        """What sets the run apart from one with all defaults, under dotted keys.

        Loss, augmentation and optimiser are held against the default ones, their settings and the
        decoder against the defaults that come with what was chosen.
        """
        by_default = type(self)()
        layout = losses.OBJECTIVES[self.loss].layout
        come_with = {
            "decoder": models.default_decoder(layout),
            "loss_options": losses.OBJECTIVES[self.loss].option_defaults(),
            "hidden": models.DECODERS[self.decoder].default_hidden,
            **{key: type(getattr(self, key))() for key in CHOICES},
        }
        defaults = by_default.model_copy(update=come_with).flat()
        different = {key: value for key, value in self.flat().items() if value != defaults[key]}
        for key in CHOICES:
            if (name := getattr(self, key).name) != getattr(by_default, key).name:
                different[f"{key}.name"] = name
        return different

    def run_hash(self, data_digest: str) -> str:
        """16 hex digits of the recipe, the identity and the data."""
        text = json.dumps([self.recipe, self.identity(), data_digest], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def merge(settings: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Unchecked settings with the values of dotted keys put in. Raises UserError naming the key."""
    merged = copy.deepcopy(settings)
    # What is chosen comes before its parts, in whatever order they were given.
    for key, value in sorted(overrides.items(), key=lambda item: item[0].count(".")):
        *parents, last = key.split(".")
        node = merged
        for parent in parents:
            if parent in CHOICES and isinstance(node.get(parent), str):
                node[parent] = {"name": node[parent]}
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UserError(f"{key}: {parent} has no parts; correct the key")
        node[last] = value
    return merged


def run_config(settings: dict[str, Any], overrides: dict[str, Any]) -> RunConfig:
    """Checked settings, with the values of dotted keys put in. Raises UserError naming the key."""
    try:
        return RunConfig.model_validate(merge(settings, overrides))
    except ValidationError as error:
        raise UserError(refusal(error, RunConfig)) from error


def _known(key: str, value: str, known: Any) -> None:
    if value not in known:
        raise ValueError(f"{key}: there is no {value!r}{did_you_mean(value, list(known))}")


def _option(objective: type[losses.Objective], key: str, value: Any) -> Any:
    """The value as the objective's own field has it: 1 for a factor is 1.0, and no text is."""
    _known("loss_options", key, objective.option_defaults())
    try:
        return TypeAdapter(get_type_hints(objective)[key]).validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(f"loss_options.{key}: {error.errors()[0]['msg']}") from error


def _flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
