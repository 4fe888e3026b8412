"""Augmentation and optimiser are chosen by name, bare or in a table with their own settings."""

import pytest

from experiments.errors import UserError
from experiments.settings.config import merge, run_config
from experiments.settings.parts import CHOICES
from experiments.settings.presets import Preset, parse_override

WAYS = [(key, name) for key, kinds in CHOICES.items() for name in kinds]


@pytest.mark.parametrize(("key", "name"), WAYS)
def test_a_bare_name_is_a_table_with_nothing_but_the_name(key, name):
    bare = run_config({key: name}, {})
    assert getattr(bare, key).name == name
    assert bare == run_config({key: {"name": name}}, {})
    assert bare == run_config({}, {key: name})
    assert bare == run_config({}, dict([parse_override(f"{key}={name}")]))
    assert bare == run_config({}, {f"{key}.name": name})


def test_a_table_without_a_name_is_of_the_default_kind():
    assert run_config({"augmentation": {"degrees": 4}}, {}).augmentation.name == "affine"
    assert run_config({"optimizer": {"max_lr": 0.1}}, {}).optimizer.name == "adamw_onecycle"


def test_a_part_is_set_below_a_bare_name():
    set_ = dict(map(parse_override, ["augmentation=strong", "augmentation.degrees=12"]))
    found = run_config({}, set_).augmentation
    assert (found.name, found.degrees, found.shear) == ("strong", 12, 3)
    settings = {"augmentation": "strong"}
    assert run_config(settings, {"augmentation.degrees": 12}).augmentation == found
    assert settings == {"augmentation": "strong"}  # shared between runs


def test_a_bare_name_takes_nothing_of_what_stood_there():
    settings = {"augmentation": {"name": "strong", "degrees": 12}}
    assert run_config(settings, {"augmentation": "strong"}).augmentation.degrees == 10
    assert run_config(settings, {"augmentation": "none"}).augmentation.name == "none"


def test_a_word_where_no_choice_is_has_no_parts():
    with pytest.raises(UserError, match="loss has no parts"):
        merge({"loss": "ctc"}, {"loss.name": "ctc"})


def test_a_grid_chooses_by_names_and_by_tables():
    tables = ["none", "strong", {"name": "strong", "degrees": 12.0}]
    preset = Preset.model_validate(
        {"run": {"augmentation": {"degrees": 4}}, "grid": [{"augmentation": tables}]}
    )
    found = [config.augmentation.model_dump() for config in preset.expand()]
    assert [one["name"] for one in found] == ["none", "strong", "strong"]
    assert [one.get("degrees") for one in found] == [None, 10, 12]
    one, other = Preset.model_validate(
        {"run": {"augmentation": "strong"}, "grid": [{"augmentation.degrees": [1, 2]}]}
    ).expand()
    assert (one.augmentation.degrees, other.augmentation.degrees) == (1, 2)
    assert one.augmentation.name == "strong"
