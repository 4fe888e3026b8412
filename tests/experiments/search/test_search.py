"""The search as a whole: which arms, where it begins, what it leaves, and that all of it runs."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.synthetic.strings import ensure_strings
from experiments.errors import UserError
from experiments.optimizers.sgd_cyclic import SGDCyclic
from experiments.records.tracker import Tracker
from experiments.search import tune
from experiments.search.range_test import RangeTest
from experiments.search.record import write_best
from experiments.search.tune import _arms, _first
from experiments.settings.config import run_config
from experiments.settings.presets import Preset, load_preset
from experiments.settings.search_space import Space
from experiments.settings.search_space import settings as meant
from losses import Range
from tests.experiments.settings.test_search_space import arm, drawn_from

CYCLIC = {"name": "sgd_cyclic"}
PRESET = """
[run]
epochs = 2
batch_size = 16
image = { height = 16, width = 40 }
width_stride = 4
hidden = 16
optimizer = { name = "sgd_cyclic", cycles = 2 }

[[grid]]
loss = ["ctc", "ce_stop"]

[search]
trials = 2
samplers = ["tpe", "random"]
fresh_seeds = 1
"""


@settings(max_examples=30)
@given(data=st.data())
def test_the_best_settings_come_back_from_their_file(tmp_path_factory, data):
    best = {}
    for number in range(data.draw(st.integers(1, 4))):
        own = arm(data.draw(st.sampled_from(["ctc", "ce_stop", "hybrid"])), epochs=6)
        drawn = data.draw(drawn_from(Space(augmentation=True).parameters(own)))
        best[f"arm {number}"] = run_config(own.model_dump(), meant(drawn, own))
    file = write_best(tmp_path_factory.mktemp("best") / "best.toml", best, seeds=2)
    expanded = load_preset(str(file)).expand()
    wanted = [
        config.model_copy(update={"seed": seed})
        for seed in range(2)
        for config in dict.fromkeys(c.model_dump_json() for c in best.values())
        for config in [next(c for c in best.values() if c.model_dump_json() == config)]
    ]
    assert expanded == wanted


def test_arms_are_chosen_by_their_loss_or_name():
    preset = Preset.model_validate(
        {"run": {"optimizer": CYCLIC}, "grid": [{"loss": ["ctc", "ce_stop"], "epochs": [4, 6]}]}
    )
    arms = _arms(preset, None)
    assert [config.seed for config in arms.values()] == [preset.search.seed] * 4
    # Two arms of one name are told apart.
    assert list(arms) == [
        "ctc-columns-small_cnn-affine-0",
        "ctc-columns-small_cnn-affine-1",
        "ce_stop-slots-small_cnn-affine-2",
        "ce_stop-slots-small_cnn-affine-3",
    ]
    name = "ctc-columns-small_cnn-affine-1"
    assert list(_arms(preset, name).values()) == [arms[name]]
    for unclear in ("ctc", "nothing"):
        with pytest.raises(UserError, match=f"--arm {unclear}: choose one of ctc-columns"):
            _arms(preset, unclear)


def test_it_begins_between_the_bounds_of_the_range_test():
    own = arm(epochs=6, optimizer=CYCLIC | {"cycles": 3})
    parameters = Space().parameters(own)
    first = _first(RangeTest([], [], 0.003, 0.3), own, parameters)
    made = run_config(own.model_dump(), meant(first, own))
    assert isinstance(made.optimizer, SGDCyclic)
    assert (made.optimizer.base_lr, made.optimizer.max_lr) == (0.003, 0.3)
    # What the test says nothing of is as the arm has it.
    assert made.optimizer.cycles == 3
    assert made.loss_options == own.loss_options


@pytest.mark.parametrize(("low", "high"), [(1e-5, 1e-4), (1.0, 3.0), (0.29, 0.3)])
def test_where_it_begins_is_inside_the_space(low, high):
    own = arm(epochs=6, optimizer=CYCLIC | {"cycles": 4})
    parameters = Space().parameters(own)
    first = _first(RangeTest([], [], low, high), own, parameters)
    for key, values in parameters.items():
        if isinstance(values, Range):
            assert values.low <= first[key] <= values.high
        else:
            assert first[key] in values


def test_a_range_test_is_made_once_and_again_where_its_record_is_not_whole(
    tmp_path, monkeypatch, capsys
):
    made = []

    def fake(*_):
        made.append(RangeTest([0.1, 0.2], [3.0, 2.0], 0.1, 0.2))
        return made[-1]

    monkeypatch.setattr(tune, "range_test", fake)
    monkeypatch.setattr(tune, "plot", lambda *_: None)
    given = ("an arm", arm(), SimpleNamespace(digest="d"), None, tmp_path)
    assert tune._range_test(*given) == tune._range_test(*given) == made[0]
    assert len(made) == 1
    (file,) = tmp_path.glob("range-*.json")
    whole = file.read_bytes()
    for number, damaged in enumerate([b"", whole[:-9], whole.replace(b"0.2", b"0.3")], start=2):
        file.write_bytes(damaged)
        capsys.readouterr()
        assert tune._range_test(*given) == made[0]
        assert len(made) == number
        said = [line for line in capsys.readouterr().out.splitlines() if str(file) in line]
        assert len(said) == 1
        assert "made again" in said[0]
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("preset", "said"),
    [
        (PRESET.replace('name = "sgd_cyclic", cycles = 2', 'name = "adam"'), "sgd_cyclic"),
        (PRESET + "[search.space]\ncycle_epochs = [3]\n", "3 does not divide the 2 epochs"),
        (PRESET + "[stages.s]\ndata = 'strings'\n", "stages"),
        (PRESET.replace("epochs = 2", "epochs = 2\nstart = '0123456789abcdef'"), "start: "),
        (PRESET.replace("epochs = 2", "epochs = 2\nsplit = 'kfold'"), "split=published"),
        (PRESET.replace("trials = 2", "trails = 2"), "did you mean"),
    ],
)
def test_what_cannot_be_searched_is_one_line(cli, make_cells, tmp_path, preset, said):
    (tmp_path / "mine.toml").write_text(preset)
    code, _, error = cli(
        *("search", "--preset", tmp_path / "mine.toml", "--data", make_cells()),
        *("--out", tmp_path / "out"),
    )
    assert code == 2
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.long
def test_a_whole_search_from_trials_to_fresh_seeds(cli, tmp_path):
    data = ensure_strings(tmp_path, counts={"train": 160, "val": 32, "dev": 32})
    (tmp_path / "mine.toml").write_text(PRESET)
    out = tmp_path / "out"
    command = ["search", "--preset", tmp_path / "mine.toml", "--data", data, "--out", out]
    code, said, error = cli(*command)
    assert code == 0, error
    home = out / "search" / "mine"
    told = json.loads((home / "search.json").read_text())
    assert [(s["loss"], s["sampler"], len(s["trials"])) for s in told["studies"]] == [
        (loss, sampler, 2) for loss in ("ctc", "ce_stop") for sampler in ("tpe", "random")
    ]
    # The arms as they are and by both samplers, each trained on the fresh seed.
    configs = load_preset(str(home / "mine-best.toml")).expand()
    tracker = Tracker(out)
    assert len(tracker.finished_runs()) == len(configs) == 6
    children = tracker._search("tags.kind = 'trial'")
    (parent,) = tracker._search("tags.kind = 'search'")
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.data.tags["state"] for run in children} <= {"complete", "pruned", "failed"}
    artifacts = out / "artifacts" / parent.info.run_id / "artifacts"
    names = {file.name for file in artifacts.iterdir()}
    assert {"search.json", "mine-best.toml"} <= names
    assert sum(name.endswith("-range.png") for name in names) == 2
    assert sum(name.endswith("-history.png") for name in names) == 4
    # Again: nothing is made twice.
    code, said, error = cli(*command)
    assert code == 0, error
    assert "0 made, 6 finished before" in said
    assert len(tracker._search("tags.kind = 'trial'")) == 8


def test_a_search_of_one_name_on_other_data_has_a_folder_of_its_own(tmp_path):
    home = tmp_path / "search" / "mine"
    assert tune._home(home, "a" * 16) == home
    other = tune._home(home, "b" * 16)
    assert other == home.with_name("mine-bbbbbbbb")
    assert tune._home(home, "a" * 16) == home
    assert tune._home(home, "b" * 16) == other
    # One made before folders said whose they are.
    older = tmp_path / "search" / "older"
    older.mkdir()
    (older / "search.json").write_text('{"train_digest": "cccccccccccccccc"}')
    assert tune._home(older, "c" * 16) == older
    assert tune._home(older, "d" * 16) != older
