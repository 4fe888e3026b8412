"""Settings: what is refused and how, what is filled in, and what is part of a run's identity."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

import losses
import models
from experiments.errors import UserError
from experiments.limits import TEXT
from experiments.settings.config import RunConfig, run_config
from experiments.settings.presets import (
    PRESETS,
    Preset,
    load_preset,
    load_run,
    parse_override,
    parse_seeds,
)

CYCLIC = {"name": "sgd_cyclic"}
ONE_CYCLE = {"name": "adamw_onecycle"}
STRONG, PAPER = {"name": "strong"}, {"name": "paper"}


def refused(settings, overrides=None) -> str:
    """The message with which these settings are refused: one line."""
    with pytest.raises(UserError) as caught:
        run_config(settings, overrides or {})
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


# --- what is refused


@pytest.mark.parametrize(
    ("settings", "key", "meant"),
    [
        ({"epoch": 3}, "epoch", "epochs"),
        ({"bakbone": "small_cnn"}, "bakbone", "backbone"),
        ({"image": {"widht": 64}}, "image.widht", "image.width"),
        ({"augmentation": {"degree": 5}}, "augmentation.degree", "augmentation.degrees"),
        ({"augmentation": STRONG | {"degree": 5}}, "augmentation.degree", "augmentation.degrees"),
        (
            {"augmentation": STRONG | {"elastics": 0.1}},
            "augmentation.elastics",
            "augmentation.elastic",
        ),
        ({"augmentation": PAPER | {"line": 0.1}}, "augmentation.line", "augmentation.lines"),
        ({"optimizer": ONE_CYCLE | {"max_rl": 0.1}}, "optimizer.max_rl", "optimizer.max_lr"),
        ({"optimizer": CYCLIC | {"cycle": 2}}, "optimizer.cycle", "optimizer.cycles"),
    ],
)
def test_an_unknown_key_is_named_with_the_one_that_was_meant(settings, key, meant):
    message = refused(settings)
    assert f"unknown config key '{key}'" in message
    assert f"did you mean '{meant}'?" in message


@pytest.mark.parametrize(("key", "meant"), [("image.widht", "image.width"), ("epohcs", "epochs")])
def test_an_unknown_key_of_an_override_is_named_too(key, meant):
    assert f"unknown config key '{key}'; did you mean '{meant}'?" in refused({}, {key: 7})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"loss": "ctx"}, ["loss", "'ctx'", "'ctc'"]),
        ({"backbone": "resnet81"}, ["backbone", "'resnet81'", "'resnet18'"]),
        ({"backbone": "vit_b_16"}, ["vit_b_16 is a transformer", "convolutional"]),
        ({"decoder": "colums"}, ["decoder", "'colums'", "'columns'"]),
        (
            {"loss_options": {"allow_infeasable": True}},
            ["loss_options", "'allow_infeasable'", "'allow_infeasible'"],
        ),
        ({"loss_options": {"length_weight": 2.0}}, ["loss_options", "'length_weight'"]),
        ({"charset": "0120"}, ["charset", "twice"]),
        ({"charset": ""}, ["charset"]),
        ({"epochs": 0}, ["'epochs'", "1"]),
        ({"epochs": "many"}, ["'epochs'", "integer"]),
        ({"val_fraction": 1.0}, ["'val_fraction'"]),
        ({"val_fraction": 0}, ["'val_fraction'"]),
        ({"image": {"channels": 2}}, ["'image.channels'"]),
        ({"image": {"pad": -1}}, ["'image.pad'"]),
        ({"image": {"height": 4}}, ["'image.height'"]),
        ({"augmentation": {"scale": [0.9]}}, ["augmentation.scale"]),
        ({"augmentation": {"scale": [0, 1]}}, ["augmentation.scale"]),
        ({"augmentation": STRONG | {"erasing": 1.5}}, ["'augmentation.erasing'"]),
        ({"augmentation": PAPER | {"jpeg": 100}}, ["'augmentation.jpeg'"]),
        ({"augmentation": "strogn"}, ["'augmentation'", "'strogn'", "'strong'"]),
        ({"augmentation": 5}, ["'augmentation'"]),
        ({"optimizer": {"name": "sdg"}}, ["'optimizer'", "'sdg'", "sgd_cyclic", "adamw_onecycle"]),
        ({"optimizer": CYCLIC | {"max_lr": -1}}, ["'optimizer.max_lr'"]),
        ({"split": "train"}, ["'split'", "published", "clean"]),
        ({"recipe": 1}, ["recipe 1", "recipe 3"]),
        ({"seed": -1}, ["'seed'"]),
        ({"patience": 0}, ["'patience'"]),
        ({"keep": "first"}, ["'keep'", "best", "last"]),
        ({"keep": "last", "patience": 3}, ["patience", "keep=last"]),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_key(settings, words):
    message = refused(settings)
    assert [word for word in words if word not in message] == []


def test_an_override_below_a_value_without_parts_is_refused():
    assert "epochs.first" in refused({"epochs": 3}, {"epochs.first": 1})


@pytest.mark.parametrize(
    ("loss", "decoder"),
    [
        (loss, decoder)
        for loss, decoder in product(losses.OBJECTIVES, models.DECODERS)
        if losses.OBJECTIVES[loss].layout != models.DECODERS[decoder].layout
    ],
)
def test_a_decoder_of_another_layout_than_the_loss_is_refused(loss, decoder):
    message = refused({"loss": loss, "decoder": decoder})
    fitting = models.default_decoder(losses.OBJECTIVES[loss].layout)
    assert loss in message
    assert fitting in message


def test_a_decoder_without_columns_is_refused_to_a_loss_that_asks_for_them():
    message = refused({"loss": "hybrid", "decoder": "latent_lstm"})
    assert "the loss hybrid needs a decoder of " in message
    assert "slots" in message
    assert "latent" not in message


def test_one_part_of_the_default_optimizer_can_be_set():
    default = RunConfig().optimizer
    found = run_config({}, {"optimizer.max_lr": 0.02}).optimizer
    assert found == default.model_copy(update={"max_lr": 0.02})


def test_a_key_of_the_other_optimizer_is_not_offered_as_the_way_out():
    message = refused({"optimizer": CYCLIC | {"warmup": 0.1}})
    assert "unknown config key 'optimizer.warmup'" in message
    assert "did you mean 'optimizer.warmup'" not in message


def test_loss_options_that_are_no_table_are_refused():
    assert "loss_options" in refused({"loss_options": 5})


@pytest.mark.parametrize(
    "options", [{"after_stop": "nonsense"}, {"length_weight": "heavy"}, {"length_weight": True}]
)
def test_a_loss_option_of_another_type_is_refused(options):
    assert next(iter(options)) in refused({"loss": "ce_stop", "loss_options": options})


# --- overrides


def test_dotted_overrides_reach_into_tables_and_leave_the_rest():
    settings = {"epochs": 3, "image": {"width": 96}, "optimizer": CYCLIC | {"base_lr": 0.002}}
    config = run_config(
        settings,
        {"image.height": 48, "optimizer.cycles": 2, "epochs": 5, "augmentation.scale": [0.8, 1.2]},
    )
    assert (config.image.width, config.image.height) == (96, 48)
    assert (config.optimizer.base_lr, config.optimizer.cycles) == (0.002, 2)
    assert config.epochs == 5
    assert config.augmentation.scale == (0.8, 1.2)
    assert config.augmentation.degrees == 10  # not touched: its default
    # What was given is shared between runs, and must not have changed.
    assert settings["epochs"] == 3
    assert settings["image"] == {"width": 96}
    assert settings["optimizer"] == CYCLIC | {"base_lr": 0.002}


def test_an_override_wins_over_the_settings_and_the_settings_over_the_defaults():
    assert run_config({}, {}).batch_size == 32
    assert run_config({"batch_size": 16}, {}).batch_size == 16
    assert run_config({"batch_size": 16}, {"batch_size": 8}).batch_size == 8


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("clip_norm=0.5", "clip_norm", 0.5),
        ("clip_norm=1e-3", "clip_norm", 0.001),
        ("loss_options.allow_infeasible=true", "loss_options.allow_infeasible", True),
        ("loss=ctc", "loss", "ctc"),
        ('loss="ctc"', "loss", "ctc"),
        ("affine.scale=[0.9, 1.1]", "affine.scale", [0.9, 1.1]),
        ('charset="0123"', "charset", "0123"),
        ("charset=0123456789.-", "charset", "0123456789.-"),  # no number in TOML: a word
        ("charset=0123456789.-/,%ab", "charset", "0123456789.-/,%ab"),
        ("charset=#01", "charset", "#01"),
        ("charset=", "charset", ""),
        ("charset=01=", "charset", "01="),
    ],
)
def test_an_override_is_read_as_toml_and_else_as_a_word(text, key, value):
    found = parse_override(text)
    assert found == (key, value)
    assert type(found[1]) is type(value)  # True is not 1


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_a_charset_of_ones_own_comes_whole_to_the_loss_and_the_record(loss):
    charset = "0123456789/,%aé°"
    config = run_config({"loss": loss}, dict([parse_override(f"charset={charset}")]))
    objective = config.objective()
    assert objective.classes_of("é/1,°") == [14, 10, 1, 11, 15]
    assert objective.num_classes > len(charset)
    with pytest.raises(ValueError, match="substring"):
        objective.classes_of(".")
    assert config.flat()["charset"] == charset
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    # The order of characters is that of the classes.
    other = run_config({"loss": loss, "charset": charset[::-1]}, {})
    assert other.run_hash("d") != config.run_hash("d")


@pytest.mark.parametrize(
    "text",
    [
        "1234567890123456",
        "123456789e123456",
        "12345678e1234567",
        "1e5",
        "0x1f",
        "2020-01-01",
        "[1]",
    ],
)
def test_what_belongs_to_a_key_of_text_is_text_whatever_it_looks_like(text):
    for key in ("start", "charset", "backbone"):
        assert parse_override(f"{key}={text}") == (key, text)
    assert parse_override('charset="123"') == ("charset", "123")
    assert run_config({}, dict([parse_override("charset=123")])).charset == "123"


def test_a_number_for_a_text_in_a_preset_is_refused_with_the_way_out():
    message = refused({"start": 1234567890123456}, {})
    assert "'start'" in message
    assert "put it in quotes" in message


BEYOND = {
    "seed": 2**32,
    "folds": 10**14,
    "max_length": 10**14,
    "image.height": 100_000,
    "image.width": 10**14,
    "width_stride": 10**11,
    "hidden": 10**8,
    "layers": 10**5,
    "epochs": 10**14,
    "batch_size": 10**14,
    "patience": 10**14,
    "optimizer.max_lr": 1e308,
    "optimizer.weight_decay": 1e308,
}


@pytest.mark.parametrize("key", BEYOND)
def test_a_number_that_no_machine_holds_is_refused_with_key_and_bound(key):
    for value in (BEYOND[key], 10**400):
        message = refused({}, {key: value})
        assert key.split(".")[-1] in message
        assert any(word in message for word in ("less than", "too large", "valid number"))


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_a_loss_option_is_bounded(loss):
    for key, default in losses.OBJECTIVES[loss].option_defaults().items():
        if isinstance(default, float):
            assert key in refused({"loss": loss}, {f"loss_options.{key}": 1e308})


def test_what_is_nested_without_end_is_refused(tmp_path):
    for levels in (17, 400, 5000):
        with pytest.raises(UserError, match="--set epochs: nested more than 16 levels"):
            parse_override(f"epochs={'[' * levels}1{']' * levels}")
        preset, config = tmp_path / "deep.toml", tmp_path / "deep.json"
        preset.write_text(f"x = {'[' * levels}{']' * levels}")
        config.write_text('{"a":' * levels + "1" + "}" * levels)
        for given in ({"preset": str(preset)}, {"config": config}):
            with pytest.raises(UserError, match=r"deep\.\w+: nested more than 16 levels") as caught:
                load_run(**given)
            assert "\n" not in str(caught.value)


def test_files_of_settings_have_a_limit_that_can_be_raised(tmp_path, monkeypatch):
    preset = tmp_path / "long.toml"
    preset.write_text(f"seeds = 1\n#{'x' * 1000}\n")
    load_preset(str(preset))
    monkeypatch.setenv(TEXT.variable, "500")
    with pytest.raises(UserError, match=f"long.toml: 1,012 bytes.*{TEXT.variable}"):
        load_preset(str(preset))
    monkeypatch.setenv(TEXT.variable, "2000")
    load_preset(str(preset))


def test_a_number_of_too_many_digits_is_one_line(tmp_path):
    preset, config = tmp_path / "long.toml", tmp_path / "long.json"
    preset.write_text(f"seeds = {'9' * 5000}")
    config.write_text(f'{{"epochs": {"9" * 5000}}}')
    for given in ({"preset": str(preset)}, {"config": config}):
        with pytest.raises(UserError, match="long"):
            load_run(**given)
    key, value = parse_override(f"epochs={'9' * 5000}")
    assert "'epochs'" in refused({}, {key: value})


@pytest.mark.parametrize("text", ["9999999999", "1" * 5000, "4,9999999999", " ".join("1" * 1001)])
def test_seeds_are_bounded(text):
    with pytest.raises(UserError, match="seeds") as caught:
        parse_seeds(text)
    assert len(str(caught.value)) < 200


def test_a_preset_of_more_runs_than_anybody_makes_is_refused_before_they_are_counted_out(tmp_path):
    preset = tmp_path / "many.toml"
    preset.write_text("seeds = 99999999999999999999")
    with pytest.raises(UserError, match=r"many.toml: config key 'seeds': .*less than"):
        load_preset(str(preset))
    axes = "".join(f"k{i} = {list(range(50))}\n" for i in range(12))
    preset.write_text(f"[[grid]]\n{axes}")
    with pytest.raises(UserError, match="grid: 244,140,625,000,000,000,000 runs are more than"):
        load_preset(str(preset)).points()


@pytest.mark.parametrize("text", ["epochs", "=3", ""])
def test_an_override_without_key_or_value_is_refused(text):
    with pytest.raises(UserError, match="key=value"):
        parse_override(text)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [0, 1, 2]),
        ("1", [0]),
        ("4,7", [4, 7]),
        ("4 7", [4, 7]),
        ("4, 7", [4, 7]),
        ("7,4,7", [4, 7]),  # in order, and none twice
        ("4,", [4]),
        ("0,2", [0, 2]),
        ("0,", [0]),
    ],
)
def test_seeds_are_a_count_or_a_list(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", " ", "0", "x", "-1", "4,-7", "2.5", "4;7"])
def test_other_seeds_are_refused_with_both_ways_to_write_them(text):
    with pytest.raises(UserError, match="3, or a list such as 4,7") as caught:
        parse_seeds(text)
    assert repr(text) in str(caught.value)


# --- what is filled in, and what identifies a run


@pytest.mark.parametrize("loss", losses.OBJECTIVES)
def test_what_is_left_to_the_loss_is_written_out(loss):
    left_open = run_config({"loss": loss}, {})
    decoder = models.default_decoder(losses.OBJECTIVES[loss].layout)
    spelt_out = {
        "loss": loss,
        "decoder": decoder,
        "hidden": models.DECODERS[decoder].default_hidden,
        "loss_options": losses.OBJECTIVES[loss].option_defaults(),
    }
    assert left_open.decoder == decoder
    assert left_open.hidden > 0
    assert left_open.loss_options == spelt_out["loss_options"]
    assert run_config(spelt_out, {}).run_hash("d") == left_open.run_hash("d")


def test_one_option_given_leaves_the_others_at_their_defaults():
    found = run_config({"loss": "ce_stop", "loss_options": {"after_stop": "zero"}}, {})
    defaults = losses.OBJECTIVES["ce_stop"].option_defaults()
    assert found.loss_options == defaults | {"after_stop": "zero"}


def test_the_default_hidden_is_that_of_the_decoder_chosen():
    slots, latent = (
        run_config({"loss": "ce_stop", "decoder": name}, {}) for name in ("slots", "latent_lstm")
    )
    assert slots.hidden == models.DECODERS["slots"].default_hidden
    assert latent.hidden == models.DECODERS["latent_lstm"].default_hidden
    assert slots.hidden != latent.hidden


def test_the_hash_changes_with_the_data_and_with_nothing_else():
    config = run_config({"epochs": 3}, {})
    again = run_config({}, {"epochs": 3})
    assert config.run_hash("data") == again.run_hash("data")
    assert config.run_hash("data") != config.run_hash("other data")
    # Numbers of either type that mean the same training.
    assert run_config({"clip_norm": 5}, {}).run_hash("d") == RunConfig().run_hash("d")


def test_the_order_in_which_settings_are_written_does_not_matter():
    settings = {
        "epochs": 3,
        "image": {"width": 96, "height": 48},
        "loss": "ce_stop",
        "loss_options": {"length_weight": 0.5, "after_stop": "zero"},
        "optimizer": CYCLIC | {"max_lr": 0.1, "cycles": 2},
    }

    def turned(node):
        if not isinstance(node, dict):
            return node
        return {key: turned(node[key]) for key in reversed(node)}

    one, other = run_config(settings, {}), run_config(turned(settings), {})
    assert one.run_hash("d") == other.run_hash("d")


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().epochs = 3


def test_flat_settings_have_dotted_keys_and_nothing_nested():
    flat = RunConfig().flat()
    assert flat["image.width"] == 64
    assert flat["optimizer.name"] == "adamw_onecycle"
    assert flat["loss_options.allow_infeasible"] is False
    assert not any(isinstance(value, dict) for value in flat.values())


# --- presets and files


def test_a_grid_is_the_product_of_its_lists_and_grids_are_united():
    preset = Preset.model_validate(
        {
            "run": {"epochs": 2, "image": {"width": 96}},
            "seeds": 2,
            "grid": [
                {"loss": ["ctc", "ce_stop"], "image.height": [32, 40, 48]},
                {"backbone": ["resnet18"], "augmentation": ["none", "affine"]},
            ],
        }
    )
    found = [
        (c.seed, c.loss, c.image.height, c.backbone, c.augmentation.name) for c in preset.expand()
    ]
    # Seeds outermost: a whole comparison is there after the first of them.
    wanted = [
        cell
        for seed in (0, 1)
        for cell in [
            *product([seed], ["ctc", "ce_stop"], [32, 40, 48], ["small_cnn"], ["affine"]),
            *product([seed], ["ctc"], [32], ["resnet18"], ["none", "affine"]),
        ]
    ]
    assert found == wanted
    assert all((c.epochs, c.image.width) == (2, 96) for c in preset.expand())


def test_within_a_seed_the_arms_of_one_fold_come_before_those_of_the_next():
    """Also where each arm has a grid of its own."""
    folds = {"split": ["kfold"], "folds": [10], "fold": [9, 0, 2]}
    preset = Preset.model_validate(
        {"seeds": 2, "grid": [{**folds, "loss": ["ctc"]}, {**folds, "loss": ["ce_stop"]}]}
    )
    assert [(c.seed, c.fold, c.loss) for c in preset.expand()] == list(
        product([0, 1], [0, 2, 9], ["ctc", "ce_stop"])
    )
    wrong = Preset.model_validate({"grid": [{**folds, "fold": ["first", 0]}]})
    with pytest.raises(UserError, match="fold"):
        wrong.expand()


def test_seeds_from_outside_replace_those_of_the_preset():
    preset = Preset.model_validate({"seeds": 5, "grid": [{"loss": ["ctc", "ce_stop"]}]})
    assert [(c.seed, c.loss) for c in preset.expand([7, 4])] == [
        (7, "ctc"),
        (7, "ce_stop"),
        (4, "ctc"),
        (4, "ce_stop"),
    ]


def test_a_preset_without_a_grid_is_one_run_a_seed():
    assert [c.seed for c in Preset().expand()] == [0]


@pytest.mark.parametrize("name", sorted(file.stem for file in PRESETS.glob("*.toml")))
def test_every_preset_loads_and_expands_into_different_runs(name):
    configs = load_preset(name).expand()
    assert configs
    assert len({config.run_hash("d") for config in configs}) == len(configs)
    # A preset is also taken as the settings of one run.
    assert isinstance(load_run(name), RunConfig)


def differences(one, other) -> set[str]:
    """In what two arms differ, a loss or decoder standing for what comes with it."""
    flat, against = one.flat(), other.flat()
    keys = {key for key in flat.keys() & against.keys() if flat[key] != against[key]}
    # What lets CTC pass over labels that it cannot emit is no step of its own.
    keys -= {"loss_options.allow_infeasible"}
    if all(arm.hidden == models.DECODERS[arm.decoder].default_hidden for arm in (one, other)):
        keys -= {"hidden"}
    for choice in ("optimizer", "augmentation"):
        if f"{choice}.name" in keys:
            keys = {key for key in keys if not key.startswith(choice)} | {f"{choice}.name"}
    return keys - {"decoder", "start"} if "loss" in keys else keys


def test_a_choice_comes_before_its_parts_in_whatever_order_they_are_given():
    given = [("optimizer.max_lr", 0.02), ("optimizer", "muon_onecycle")]
    for order in (given, given[::-1]):
        config = run_config({}, dict(order))
        assert (config.optimizer.name, config.optimizer.max_lr) == ("muon_onecycle", 0.02)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run]\nseed = 7", "run.seed: set seeds"),
        ('read_together = true\n[[grid]]\nsplit = ["published", "clean"]', "differ in split"),
        ('read_together = true\n[[grid]]\n[[grid]]\ncharset = ["01"]', "differ in charset"),
        ("read_together = true\n[run]\nfold = 1\n[[grid]]\nfold = [1, 2]", "differ in fold"),
        ("[search.space]\nmaxlr = 1", "did you mean 'search.space.max_lr'"),
    ],
)
def test_what_a_preset_cannot_be_is_one_line(tmp_path, text, words):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UserError) as refused:
        load_preset(str(file))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_runs_that_are_judged_alike_can_be_read_together(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'read_together = true\nseeds = 2\n[run]\nsplit = "clean"\n[[grid]]\nsplit = ["clean"]\n'
        'epochs = [1, 2]\n[[grid]]\nloss = ["ce_stop"]'
    )
    assert load_preset(str(file)).read_together


@pytest.mark.parametrize("name", ["claim", "seed", "seed_small", "seed_112"])
def test_each_arm_differs_from_a_neighbour_in_one_thing(name):
    reached, *waiting = load_preset(name).expand([0])
    found = [reached]
    for arm in found:
        near = [other for other in waiting if len(differences(arm, other)) == 1]
        found += near
        waiting = [other for other in waiting if other not in near]
    assert waiting == []


@pytest.mark.parametrize(("name", "besides"), [("seed_small", "epochs"), ("seed_112", "precision")])
def test_a_smaller_seed_is_the_seed_but_for_what_its_head_says(name, besides):
    seed, small = load_preset("seed"), load_preset(name)
    changed = differences(run_config(seed.run, {}), run_config(small.run, {}))
    scaled = {"backbone", "pretrained", "width_stride", "image.height", "image.width"}
    assert changed == scaled | {besides}
    assert small.stages.keys() <= seed.stages.keys()
    for called, stage in small.stages.items():
        of_seed = seed.stages[called]
        assert stage.start == of_seed.start
        differing = {
            key for key in stage.run | of_seed.run if stage.run.get(key) != of_seed.run.get(key)
        }
        assert differing <= {"epochs", "optimizer", "width_stride"}


def test_there_are_presets():
    assert {"smoke", "quick"} <= {file.stem for file in PRESETS.glob("*.toml")}


def test_a_preset_of_ones_own_is_read_by_its_path(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('seeds = 2\n[run]\nepochs = 9\n[[grid]]\nloss = ["ctc"]\n')
    assert [(c.seed, c.epochs) for c in load_preset(str(file)).expand()] == [(0, 9), (1, 9)]


def test_what_a_windows_editor_saved_is_read_as_it_was_meant(tmp_path):
    # A byte order mark and line ends of two characters.
    preset, config = tmp_path / "mine.toml", tmp_path / "config.json"
    preset.write_bytes(b"\xef\xbb\xbfseeds = 2\r\n[run]\r\nepochs = 9\r\n")
    config.write_bytes(b'\xef\xbb\xbf{"epochs": 9,\r\n"batch_size": 8}')
    assert [(c.seed, c.epochs) for c in load_preset(str(preset)).expand()] == [(0, 9), (1, 9)]
    assert load_run(config=config) == run_config({"epochs": 9, "batch_size": 8}, {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[run\nepochs = 2", ["not TOML"]),
        (b"\xff\xfe", ["not TOML"]),
        (b"seed = 2", ["'seed'", "'seeds'"]),
        (b"seeds = 0", ["'seeds'"]),
        (b'[[grid]]\nloss = "ctc"', ["grid.0.loss", "list"]),
    ],
    ids=["broken", "not UTF-8", "unknown key", "no seeds", "no list"],
)
def test_a_broken_preset_is_one_line_that_names_file_and_key(tmp_path, content, words):
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_preset(str(file))
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in [str(file), *words] if word not in message] == []


def test_a_missing_preset_names_those_that_there_are(tmp_path):
    with pytest.raises(UserError, match=r"nonsense: no such preset.*smoke"):
        load_preset("nonsense")
    with pytest.raises(UserError, match=r"gone\.toml: no such preset"):
        load_preset(str(tmp_path / "gone.toml"))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"loss": "ce_stop", "decoder": "latent_lstm", "loss_options": {"length_weight": 0}},
        {
            "optimizer": CYCLIC | {"max_lr": 0.1 + 0.2},
            "patience": 4,
            "augmentation": {"scale": [1, 1]},
        },
    ],
)
def test_a_run_is_made_again_from_its_own_config_json(tmp_path, settings):
    config = run_config(settings, {"seed": 11})
    file = tmp_path / "config.json"
    file.write_text(config.model_dump_json(indent=1))
    again = load_run(config=file)
    assert again == config
    assert again.run_hash("d") == config.run_hash("d")
    assert again.model_dump_json() == config.model_dump_json()


@pytest.mark.parametrize("content", [None, b"{", b"\xff", b"[1]"])
def test_a_config_json_that_is_none_is_one_line_that_names_it(tmp_path, content):
    file = tmp_path / "config.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json") as caught:
        load_run(config=file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"clip_norm": float("inf")}, "clip_norm"),
        ({"augmentation": {"scale": [1.1, 0.9]}}, "augmentation.scale"),
        ({"augmentation": STRONG | {"scale": [1.1, 0.9]}}, "augmentation.scale"),
        ({"loss": "ce_stop", "loss_options": {"length_weight": -1}}, "length_weight"),
        ({"epochs": date(2026, 1, 1)}, "epochs"),
    ],
)
def test_values_without_a_meaning_are_refused(settings, named):
    assert named in refused(settings)


def test_a_grid_without_runs_is_refused():
    for grid in ([], [{"loss": []}]):
        with pytest.raises(UserError, match="no runs"):
            Preset.model_validate({"grid": grid}).expand()


@pytest.mark.parametrize("kind", ["optimizer", "augmentation"])
def test_several_names_where_one_belongs_are_refused_in_a_line(kind):
    assert "no name; several belong under [[grid]]" in refused(
        {kind: {"name": ["adam", "none"]}}, {}
    )
