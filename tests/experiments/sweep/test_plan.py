"""Stages: which runs come first, what is taken from them, and what becomes of those that wait."""

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
from safetensors.torch import load_file

from experiments.data.synthetic.strings import ensure_strings
from experiments.errors import UserError
from experiments.readers import reader_names
from experiments.records.tracker import Tracker
from experiments.settings.config import run_config
from experiments.settings.presets import PRESETS, Preset, load_preset
from experiments.settings.stages import Data
from experiments.sweep.plan import plan, stage_folder
from experiments.training.build import build

DIGESTS = {name: f"digest of {name}" for name in get_args(Data)}


def planned(preset, seeds=None, digests=DIGESTS):
    preset = Preset.model_validate(preset)
    return plan(preset.points(seeds), preset.stages, digests)


def refused(preset):
    with pytest.raises(UserError) as caught:
        planned(preset)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CHAIN = {
    "run": {"epochs": 9, "image": {"width": 40, "height": 16}, "loss": "ce_stop"},
    "seeds": 2,
    "stages": {
        "digits": {
            "data": "mnist",
            "run": {
                "epochs": 2,
                "decoder": "pooled",
                "loss": "ce_stop",
                "max_length": 1,
                "loss_options.length_weight": 0.0,
            },
        },
        "strings": {"data": "strings", "run": {"epochs": 3}, "start": "digits"},
    },
    "grid": [
        {"start": ["strings"], "decoder": ["slots", "latent_lstm"]},
        {"start": ["digits", ""]},
    ],
}


# --- the plan


def test_every_run_stands_behind_the_one_that_it_starts_from_by_its_hash():
    runs = planned(CHAIN)
    # A seed: the digits once, the strings for two decoders, then four arms.
    assert [run.data for run in runs[:7]] == [
        *("mnist", "strings", "same", "strings", "same"),
        *("same", "same"),
    ]
    assert len(runs) == 14
    known = {}
    for run in runs:
        assert run.run_hash == run.config.run_hash(DIGESTS[run.data])
        assert run.config.start in {"", *known}
        known[run.run_hash] = run
    of_slots = runs[2]
    strings = known[of_slots.config.start]
    digits = known[strings.config.start]
    assert (of_slots.config.decoder, strings.config.decoder) == ("slots", "slots")
    assert [run.config.epochs for run in (digits, strings, of_slots)] == [2, 3, 9]
    assert digits.config.start == ""
    # Both decoders have the same digits before them; another seed has its own.
    assert known[known[runs[4].config.start].config.start] is digits
    assert [run.config.seed for run in runs] == [0] * 7 + [1] * 7
    assert runs[7].run_hash != digits.run_hash


def test_a_stage_is_the_run_itself_but_for_what_it_says():
    preset = {
        "run": {
            "hidden": 24,
            "loss": "ce_stop",
            "loss_options": {"length_weight": 0.5},
            "optimizer": {"name": "sgd_cyclic", "max_lr": 0.05},
            "image": {"height": 16, "width": 48},
        },
        "stages": {
            "first": {
                "data": "strings",
                "run": {
                    "loss_options": {"after_stop": "zero"},
                    "optimizer": {"cycles": 2},
                    "image.pad": 3,
                },
            }
        },
        "grid": [{"start": ["first"], "image.width": [40]}],
    }
    stage, run = (one.config for one in planned(preset))
    changed = {key for key, value in run.flat().items() if stage.flat()[key] != value}
    assert changed == {"start", "loss_options.after_stop", "optimizer.cycles", "image.pad"}
    assert (stage.optimizer.max_lr, stage.optimizer.cycles) == (0.05, 2)
    assert stage.loss_options["length_weight"] == 0.5


def test_a_stage_of_another_loss_leaves_decoder_and_options_behind_but_not_the_width():
    preset = {
        "run": {"hidden": 24},
        "stages": {
            "ctc": {"data": "strings", "run": {"loss": "ctc", "optimizer": {"name": "adam"}}}
        },
        "grid": [
            {
                "loss": ["ce_stop"],
                "decoder": ["latent_lstm"],
                "loss_options.after_stop": ["zero"],
                "optimizer.max_lr": [0.1],
                "start": ["ctc"],
            }
        ],
    }
    stage, _ = (one.config for one in planned(preset))
    assert (stage.loss, stage.decoder, stage.hidden) == ("ctc", "columns", 24)
    assert stage.optimizer == run_config({"optimizer": {"name": "adam"}}, {}).optimizer


def test_the_hash_of_a_run_changes_with_what_was_before_it_and_on_which_data():
    def last(**changes):
        preset = {**CHAIN, "seeds": 1, "grid": [{"start": ["strings"]}], **changes}
        return planned(preset)[-1].run_hash

    stages = json.loads(json.dumps(CHAIN["stages"]))
    stages["digits"]["run"]["epochs"] = 4
    hashes = {
        last(),
        last(stages=stages),
        last(stages={**CHAIN["stages"], "digits": {"data": "same"}}),
    }
    elsewhere = planned(
        {**CHAIN, "seeds": 1, "grid": [{"start": ["strings"]}]},
        digests=DIGESTS | {"mnist": "other digits"},
    )
    hashes.add(elsewhere[-1].run_hash)
    assert len(hashes) == 4


def test_a_stage_that_is_an_arm_as_well_is_one_run():
    preset = {
        "stages": {"first": {"data": "same", "run": {"epochs": 2}}},
        "grid": [{"epochs": [2]}, {"start": ["first"], "epochs": [5]}],
    }
    first, second = planned(preset)
    assert second.config.start == first.run_hash


def test_a_hash_is_taken_as_it_is():
    (run,) = planned({"run": {"start": "0123456789abcdef"}})
    assert run.config.start == "0123456789abcdef"


@pytest.mark.parametrize(
    ("preset", "words"),
    [
        ({"run": {"start": "frist"}, "stages": {"first": {"data": "same"}}}, ["frist", "'first'"]),
        ({"run": {"start": "0123"}}, ["'0123'", "hash of a run"]),
        (
            {"run": {"start": "a"}, "stages": {"a": {"data": "same", "run": {"epohcs": 1}}}},
            ["stage a: ", "'epohcs'", "'epochs'"],
        ),
        (
            {"run": {"start": "a"}, "stages": {"a": {"data": "same", "run": {"loss": "ctx"}}}},
            ["stage a: ", "'ctc'"],
        ),
    ],
)
def test_what_a_start_or_a_stage_cannot_be_is_one_line(preset, words):
    message = refused(preset)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[stages.a]\ndata = "minst"', ["'stages.a.data'", "'mnist'"]),
        ('[stages.a]\ndta = "mnist"', ["'stages.a.d", "stages.a.data"]),
        ('[stages.a]\ndata = "same"\nstart = "b"', ["stages.a.start", "'b'"]),
        ('[stages.a]\ndata = "same"\nstart = "a"', ["stages.a.start", "itself"]),
        (
            '[stages.a]\ndata = "same"\nstart = "b"\n[stages.b]\ndata = "same"\nstart = "a"',
            ["start", "itself"],
        ),
        ('[stages.a]\ndata = "same"\nrun = {seed = 3}', ["'stages.a.run'", "seed"]),
        ('[stages.a]\ndata = "same"\nrun = {start = "b"}', ["'stages.a.run'", "start"]),
    ],
)
def test_a_broken_stage_is_one_line_that_names_file_and_key(tmp_path, text, words):
    file = tmp_path / "broken.toml"
    file.write_text(text + "\n")
    with pytest.raises(UserError) as caught:
        load_preset(str(file))
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in [str(file), *words] if word not in message] == []


@pytest.mark.parametrize("name", sorted(file.stem for file in PRESETS.glob("*.toml")))
def test_every_preset_can_be_planned_and_uses_all_of_its_stages(name):
    preset = load_preset(name)
    runs = plan(preset.points(), preset.stages, DIGESTS)
    assert len({run.run_hash for run in runs}) == len(runs)
    asked = {start for axes in preset.grid for start in axes.get("start", [])}
    asked |= {preset.run.get("start", "")} | {stage.start for stage in preset.stages.values()}
    assert asked - {"", *reader_names()} == set(preset.stages)


def test_the_data_of_stages_are_made_below_out(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("experiments.sweep.plan.ensure_strings", lambda *a: made.append(a))
    monkeypatch.setattr("experiments.sweep.plan.ensure_mnist", lambda *a: made.append(a))
    assert stage_folder("same", Path("mine"), tmp_path) == Path("mine")
    for name in ("strings", "mnist", "mnist_torchvision"):
        stage_folder(name, Path("mine"), tmp_path)
    data = tmp_path / "data"
    assert made == [(data,), (data, "packaged"), (data, "torchvision")]


# --- from command line to report


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    counts = {"train": 64, "val": 16, "dev": 16}
    return ensure_strings(tmp_path_factory.mktemp("strings"), counts=counts)


@pytest.fixture
def few_strings(monkeypatch, tmp_path_factory):
    """A small data set for stages, other than that of the runs."""
    counts = {"train": 32, "val": 8, "dev": 8}
    folder = ensure_strings(tmp_path_factory.mktemp("pre"), seed=5, counts=counts)
    monkeypatch.setattr("experiments.sweep.plan.ensure_strings", lambda _: folder)


TINY = """
[run]
epochs = 1
width_stride = 8
hidden = 16
batch_size = 8
image = {height = 32, width = 80}
loss = "ce_stop"

[stages.first]
data = "strings"
run = {loss = "ce_stop", decoder = "pooled", "loss_options.length_weight" = 0.0}

[stages.second]
data = "strings"
start = "first"

[[grid]]
start = ["second", ""]
"""


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_stages_come_first_feed_the_next_and_are_made_once(cli, data, few_strings, tmp_path):  # noqa: ARG001
    preset, out = tmp_path / "tiny.toml", tmp_path / "out"
    preset.write_text(TINY)
    command = ("ablation", "--preset", preset, "--data", data, "--out", out, "--jobs", 2)
    code, said, err = cli(*command)
    assert (code, err) == (0, "")
    assert "4 made, 0 finished before" in said

    runs = pd.read_csv(out / "report/runs.csv", dtype=str, keep_default_na=False)
    runs = runs.set_index("tags.run_hash", drop=False)
    tracker = Tracker(out)

    def weights(run_hash):
        folder = tracker.artifacts(runs.loc[run_hash, "run_id"])
        assert folder is not None
        return load_file(folder / "weights.safetensors")

    main_runs = runs[runs["tags.dataset"] == data.name]
    begun_last = main_runs.sort_values("start_time")["tags.data_digest"].iloc[-1]
    main_runs = runs[runs["tags.data_digest"] == begun_last]
    stages = runs.drop(main_runs.index)
    (first,) = stages.index[stages["config.start"] == ""]
    (second,) = stages.index[stages["config.start"] == first]
    assert set(stages["tags.dataset"]) == {"strings"}
    main_runs = main_runs.set_index("config.start")
    assert set(main_runs.index) == {"", second}
    last = main_runs.loc[second]
    assert int(last["params.tensors_taken"]) == len(weights(second))
    assert main_runs.loc["", "params.tensors_taken"] == "0"
    # One epoch moves a weight a little: each trunk is nearest to that which it started from.
    name = "trunk.layers.0.weight"
    found = [weights(run_hash)[name] for run_hash in (first, second, last["tags.run_hash"])]
    fresh = build(run_config({"width_stride": 8, "hidden": 16}, {}))[0].state_dict()[name]
    for before, after in pairwise(found):
        assert (after - before).abs().mean() < (after - fresh).abs().mean()

    # The report keeps the data sets apart, that of the runs first.
    report = (out / "report/report.md").read_text()
    titles = re.findall("^## (.*)", report, flags=re.MULTILINE)
    assert len(titles) == 2
    assert report.index(main_runs["tags.data_digest"].iloc[0]) < report.index(
        stages["tags.data_digest"].iloc[0]
    )
    assert "start=strings pooled > strings slots" in report

    code, said, _ = cli(*command)
    assert (code, "0 made, 4 finished before" in said) == (0, True)

    # By hand, from a run by its hash; one that there is not is a line.
    by_hand = ("train", "--preset", preset, "--data", data, "--out", out)
    code, said, _ = cli(*by_hand, "--set", f"start={second}", "--set", "epochs=2")
    assert code == 0
    assert f"starts from {second}: " in said
    code, _, err = cli(*by_hand, "--set", "start=first")
    assert (code, err.count("\n")) == (2, 1)
    assert "no finished run 'first'" in err


def test_a_preset_with_a_hash_that_no_run_has_is_refused_before_any_run(cli, data, tmp_path):
    preset, out = tmp_path / "tiny.toml", tmp_path / "out"
    preset.write_text(TINY.replace('"second", ""', '"0123456789abcdef"'))
    code, _, err = cli("ablation", "--preset", preset, "--data", data, "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "no finished run '0123456789abcdef'" in err
    assert not (out / "runs").exists()


def test_a_stage_whose_data_cannot_be_learnt_is_refused_before_any_run(
    cli,
    data,
    few_strings,  # noqa: ARG001
    tmp_path,
):
    preset = tmp_path / "tiny.toml"
    preset.write_text(TINY.replace("run = {loss", "run = {max_length = 1, loss"))
    code, _, err = cli("ablation", "--preset", preset, "--data", data, "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (2, 1)
    assert "a label has 1 to 1 characters here" in err


@pytest.mark.parametrize("stage", ["", 'start = "first"\n[stages.first]\ndata = "strings"'])
def test_an_arm_with_too_few_images_is_refused_before_any_run(
    cli,
    make_cells,
    few_strings,  # noqa: ARG001
    tmp_path,
    stage,
):
    """Also one whose settings are those of a stage that has enough."""
    preset, out = tmp_path / "tiny.toml", tmp_path / "out"
    preset.write_text(f"[run]\nepochs = 1\nbatch_size = 16\n{stage}\n")
    code, _, err = cli("ablation", "--preset", preset, "--data", make_cells(), "--out", out)
    assert (code, err.count("\n")) == (2, 1)
    assert "images and a batch 16" in err
    assert not list(out.glob("runs/*/*"))


def test_several_starts_outside_a_grid_are_refused():
    with pytest.raises(UserError, match=r"start: \['digits', ''\] is no name"):
        planned(CHAIN | {"grid": [{"loss": ["ctc"]}], "run": {"start": ["digits", ""]}})
