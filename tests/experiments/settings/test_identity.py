"""A run's identity: growing leaves every hash as it is, and a changed default is another recipe."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import create_model

import losses
import models
from experiments.data.augmentation import AUGMENTATIONS, Augmentation
from experiments.optimizers import OPTIMIZERS
from experiments.schema import OneOf
from experiments.settings.config import RECIPE, RunConfig, run_config
from experiments.settings.older import completed
from experiments.settings.parts import CHOICES
from experiments.settings.presets import load_preset
from experiments.sweep.plan import plan

DIGESTS = {name: 16 * digit for name, digit in zip(
    ("same", "strings", "mnist", "mnist_torchvision"), "0123", strict=True)}  # fmt: skip


# --- what differs and is used


# Another value for every setting, with what has to stand beside it for a run to use it.
OTHER = {
    "seed": 1,
    "split": "clean",
    "val_fraction": 0.2,
    "test_fraction": 0.3,
    "folds": (6, {"split": "kfold"}),
    "fold": (1, {"split": "kfold"}),
    "train_images": 500,
    "label_noise": 0.02,
    "charset": "0123456789",
    "max_length": 9,
    "image.height": 48,
    "image.width": 96,
    "image.channels": 3,
    "image.pad": 26,
    "loss": "ce_stop",
    "decoder": ("latent_lstm", {"loss": "ce_stop"}),
    "backbone": "resnet18",
    "pretrained": "imagenet",
    "start": "0123456789abcdef",
    "width_stride": 4,
    "hidden": 77,
    "layers": 2,
    "epochs": 21,
    "batch_size": 33,
    "clip_norm": 4.0,
    "patience": 3,
    "keep": "last",
    "ema": 0.999,
    "consistency": 0.2,
    "joined": 0.25,
    "precision": "bf16-mixed",
    "loss_options.allow_infeasible": True,
    "loss_options.shortcut_weight": 0.1,
    "loss_options.focal_gamma": 2.0,
    "augmentation.degrees": 11,
    "augmentation.scale": [0.95, 1.2],
    "augmentation.name": "none",
    "optimizer.max_lr": 0.5,
    "optimizer.name": "adam",
    "optimizer.gamma": (0.999, {"optimizer": {"name": "sgd_cyclic", "mode": "exp_range"}}),
    "optimizer.mode": ("triangular2", {"optimizer": "sgd_cyclic"}),
}


def test_every_setting_of_a_run_has_another_value_here():
    own = {key for key in RunConfig.model_fields if key not in ("recipe", "image", "loss_options")}
    assert own - set(CHOICES) <= set(OTHER)


@pytest.mark.parametrize("key", OTHER)
def test_the_hash_changes_with_a_setting_that_is_used(key):
    value, beside = OTHER[key] if isinstance(OTHER[key], tuple) else (OTHER[key], {})
    if key == "augmentation.name":
        key = "augmentation"  # another augmentation takes no strengths
    base = run_config(beside, {})
    changed = run_config(beside, {key: value})
    assert changed.run_hash("d") != base.run_hash("d")
    assert len(changed.identity()) == len(base.identity()) + 1


def test_no_two_of_these_are_taken_for_each_other():
    settings = [
        (beside, {"augmentation" if key == "augmentation.name" else key: value})
        for key, other in OTHER.items()
        for value, beside in [other if isinstance(other, tuple) else (other, {})]
    ]
    hashes = {run_config(beside, change).run_hash("d") for beside, change in settings}
    assert len(hashes) == len(OTHER)


def test_a_run_with_all_defaults_has_nothing_to_identify_it_but_recipe_and_data():
    assert RunConfig().identity() == {}
    config = RunConfig()
    assert config.run_hash("d") != config.run_hash("e")
    assert config.model_copy(update={"recipe": RECIPE - 1}).run_hash("d") != config.run_hash("d")


@pytest.mark.parametrize(
    ("settings", "unused"),
    [
        ({}, {"fold": 3}),
        ({"split": "clean"}, {"folds": 7}),
        ({"split": "kfold"}, {"test_fraction": 0.5}),
        ({"loss": "ce_stop", "decoder": "pooled"}, {"hidden": 77}),
        ({"loss": "ce_stop", "decoder": "pooled"}, {"layers": 3}),
        ({"optimizer": "sgd_cyclic"}, {"optimizer.gamma": 0.9}),
    ],
    ids=str,
)
def test_what_a_run_does_not_use_is_no_part_of_it_and_stands_at_its_default(settings, unused):
    base, other = run_config(settings, {}), run_config(settings, unused)
    assert other.run_hash("d") == base.run_hash("d")
    assert other.model_dump() == base.model_dump()


def test_every_setting_stands_in_the_record_whether_it_differs_or_not():
    flat = RunConfig().flat()
    assert set(RunConfig.model_fields) == {key.partition(".")[0] for key in flat}
    assert flat["augmentation.degrees"] == 10
    assert flat["optimizer.max_lr"] == 0.003
    assert flat["folds"] == 5


@given(st.data())
def test_two_runs_have_one_hash_exactly_if_they_have_one_record(data):
    one, other = (data.draw(configs()) for _ in range(2))
    assert (one.run_hash("d") == other.run_hash("d")) == (one.model_dump() == other.model_dump())


def configs():
    """Some settings of a run, few values of each, so that two draws are at times the same."""
    return st.fixed_dictionaries(
        {},
        optional={
            "seed": st.sampled_from([0, 1]),
            "split": st.sampled_from(["published", "kfold"]),
            "fold": st.sampled_from([0, 2]),
            "epochs": st.sampled_from([5, 20]),
            "loss": st.sampled_from(list(losses.OBJECTIVES)),
            "augmentation": st.sampled_from(list(AUGMENTATIONS)),
            "optimizer": st.sampled_from(list(OPTIMIZERS)),
            "image": st.sampled_from([{}, {"width": 96}]),
        },
    ).map(lambda settings: run_config(settings, {}))


# --- growing


# What the first run of each preset, and the last, has been called since this recipe. A preset that
# is changed on purpose gets new ones; any other change here makes all finished runs anew.
PINNED = json.loads((Path(__file__).parent / "pinned_hashes.json").read_text())


def hashes_of(preset):
    found = load_preset(preset)
    planned = plan(found.points([0, 1]), found.stages, DIGESTS)
    return [planned[0].run_hash, planned[-1].run_hash]


@pytest.mark.parametrize("preset", PINNED)
def test_the_runs_of_the_presets_keep_their_hashes(preset):
    assert hashes_of(preset) == PINNED[preset]


def test_enough_presets_are_pinned():
    assert len(PINNED) >= 10


def grown(name, kind, **settings):
    """The kind as a later version may have it: with more settings, each with a default."""
    return create_model(name, __base__=kind, **settings)


LATER = {
    name: grown(f"Later{name}", kind, sharper=(float, 0.5)) for name, kind in AUGMENTATIONS.items()
}
LATER_OPTIMIZERS = {
    name: grown(f"Later{name}", kind, lookahead=(int, 3)) for name, kind in OPTIMIZERS.items()
}
LATER_CONFIG = create_model(
    "LaterConfig",
    __base__=RunConfig,
    curriculum=(str, "none"),
    workers=(int | None, None),
    augmentation=(Annotated[Augmentation, OneOf(LATER, "affine")], LATER["affine"]()),
    optimizer=(
        Annotated[Augmentation, OneOf(LATER_OPTIMIZERS, "adamw_onecycle")],
        LATER_OPTIMIZERS["adamw_onecycle"](),
    ),
)


@given(configs())
def test_new_settings_with_defaults_change_no_hash(config):
    later = LATER_CONFIG.model_validate(config.model_dump())
    assert set(config.flat()) < set(later.flat())
    assert {"curriculum", "augmentation.sharper", "optimizer.lookahead"} <= set(later.flat())
    assert later.run_hash("d") == config.run_hash("d")


@pytest.mark.slow
@given(configs(), st.sampled_from([
    {"curriculum": "short"}, {"augmentation": {"sharper": 0.25}}, {"optimizer": {"lookahead": 1}},
]))  # fmt: skip
def test_new_settings_at_another_value_do(config, change):
    settings = config.model_dump()
    for key, value in change.items():
        settings[key] = settings[key] | value if isinstance(value, dict) else value
    assert LATER_CONFIG.model_validate(settings).run_hash("d") != config.run_hash("d")


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_a_new_option_of_a_loss_changes_no_hash(loss, monkeypatch):
    before = run_config({"loss": loss}, {})
    kept = losses.OBJECTIVES[loss]

    @dataclass(frozen=True, kw_only=True)
    class Later(kept):
        brand_new: float = 0.25

    # Its type is looked up where the class stands.
    Later.__annotations__["brand_new"] = float
    monkeypatch.setitem(losses.OBJECTIVES, loss, Later)
    after = run_config({"loss": loss}, {})
    assert after.loss_options == before.loss_options | {"brand_new": 0.25}
    assert after.run_hash("d") == before.run_hash("d")
    changed = run_config({"loss": loss}, {"loss_options.brand_new": 0.5})
    assert changed.run_hash("d") != before.run_hash("d")


# --- defaults


def defaults():
    """Every default there is: of a run, and of whatever it can choose."""
    return {
        "run": {k: v for k, v in RunConfig().flat().items() if k != "recipe"},
        "loss": {name: kind.option_defaults() for name, kind in losses.OBJECTIVES.items()},
        "decoder": {
            name: {"hidden": kind.default_hidden} for name, kind in models.DECODERS.items()
        },
        "layout": {
            kind.layout: {"decoder": models.default_decoder(kind.layout)}
            for kind in losses.OBJECTIVES.values()
        },
        **{
            key: {name: json.loads(kind().model_dump_json()) for name, kind in kinds.items()}
            for key, kinds in CHOICES.items()
        },
    }


def snapshot(recipe):
    return Path(__file__).parent / f"defaults_of_recipe_{recipe}.json"


def changed(before, after):
    """The dotted keys whose default is another; a key that came since is none."""
    found = []
    for key, value in before.items():
        if isinstance(value, dict):
            found += [f"{key}.{below}" for below in changed(value, after.get(key, {}))]
        elif key not in after or after[key] != value:
            found.append(key)
    return found


def test_a_changed_default_is_another_recipe():
    assert snapshot(RECIPE).is_file(), (
        f"a new recipe: write its defaults to {snapshot(RECIPE).name}"
    )
    before = json.loads(snapshot(RECIPE).read_text())
    assert changed(before, defaults()) == [], (
        "the same hash would stand for another training: raise RECIPE in "
        "experiments/settings/config.py, and write the defaults of the new one"
    )


def test_the_snapshot_knows_every_setting_of_a_run():
    # A new one has to be written there, so that its default is held from then on.
    assert set(json.loads(snapshot(RECIPE).read_text())["run"]) == set(defaults()["run"])


@pytest.mark.parametrize("kind", ["run", "loss", "decoder", *CHOICES])
def test_the_snapshot_sees_a_change_of_each_kind(kind):
    before, after = (json.loads(snapshot(RECIPE).read_text()) for _ in range(2))

    def spoil(node):
        key = next(key for key, value in node.items() if key != "name")
        if isinstance(node[key], dict):
            node[key].setdefault("hidden", 1)
            return [f"{key}.{below}" for below in spoil(node[key])]
        node[key] = "another"
        return [key]

    after[kind] = dict(sorted(after[kind].items(), key=lambda item: not item[1]))
    named = spoil(
        next(v for v in after[kind].values() if len(v) > 1) if kind in CHOICES else after[kind]
    )
    assert [key for key in changed(before, after) if key.endswith(named[0])]


def test_the_recipe_stands_in_one_place():
    (only,) = get_args(RunConfig.model_fields["recipe"].annotation)
    assert only == RECIPE == RunConfig().recipe


# --- what an older version wrote


def test_a_record_that_lacks_a_setting_is_completed_by_its_default():
    written = RunConfig().model_dump(mode="json")
    older = json.loads(json.dumps(written))
    del older["ema"], older["image"]["pad"], older["optimizer"]["warmup"]
    del older["loss_options"]["focal_gamma"], older["augmentation"]["shear"]
    assert completed(older) == written


def test_a_record_of_an_older_recipe_has_the_form_of_this_one():
    older = {
        "recipe": 2,
        "loss": "ctc",
        "augmentation": "strong",
        "affine": {"degrees": 1},
        "strong": {"degrees": 12},
        "paper": {"lines": 0.1},
    }
    assert completed(older) == {
        "recipe": 2,
        "loss": "ctc",
        "augmentation": {"name": "strong", "degrees": 12},
    }
    assert completed(older | {"augmentation": "none"})["augmentation"] == {"name": "none"}


def test_a_record_that_cannot_be_read_here_stays_as_it_is():
    gone = RunConfig().model_dump(mode="json") | {"loss": "a_loss_that_is_gone"}
    assert completed(gone) == gone
