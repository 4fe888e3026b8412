"""The primary comparison of a preset, put on record when its ablation first starts."""

from dataclasses import replace
from typing import get_args

import pytest

from analysis.tables.primaries import primaries
from experiments.errors import UserError
from experiments.records.tracker import Tracker
from experiments.settings.presets import PRESETS, Preset, load_preset
from experiments.settings.stages import Data
from experiments.sweep.plan import plan
from experiments.sweep.primary import primary, put_on_record

DIGESTS = {name: f"digest of {name}" for name in get_args(Data)}

MINE = {
    "run": {"epochs": 3},
    "seeds": 2,
    "stages": {"strings": {"data": "strings", "run": {"epochs": 1}}},
    "grid": [
        {"loss": ["ctc", "ce_stop"], "augmentation": ["affine", "none"]},
        {"loss": ["ctc", "ce_stop"], "start": ["strings"]},
    ],
    "primary": {"first": {"loss": "ctc"}, "second": {"loss": "ce_stop"}},
}


def preset(**changes):
    return Preset.model_validate(MINE | {"primary": MINE["primary"] | changes})


def test_its_hashes_are_those_of_the_runs_that_are_made():
    own = preset(first={"loss": "ctc", "augmentation": "none"},
                 second={"loss": "ce_stop", "augmentation": "none"})  # fmt: skip
    found = primary(own, None, DIGESTS)
    made = {one.run_hash: one.config for one in plan(own.points(), own.stages, DIGESTS)}
    for hashes, loss in ((found.first, "ctc"), (found.second, "ce_stop")):
        arms = [made[one] for one in hashes]
        assert [(c.loss, c.augmentation.name, c.seed) for c in arms] == [
            (loss, "none", 0),
            (loss, "none", 1),
        ]
    assert (found.looks, found.margin) == ((2,), 0.01)


def test_arms_that_start_from_a_stage_are_known_for_every_seed():
    own = preset(first={"loss": "ctc", "start": "strings"},
                 second={"loss": "ce_stop", "start": "strings"})  # fmt: skip
    found = primary(own, [4, 7], DIGESTS)
    made = {one.run_hash: one.config for one in plan(own.points([0, 4, 7]), own.stages, DIGESTS)}
    assert [made[one].seed for one in found.second] == [0, 4, 7]
    assert all(made[one].start for one in found.second)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"first": {"loss": "ctcc"}}, "primary.first: .*did you mean 'ctc'"),
        ({"second": {"loss": "hybrid"}}, "primary.second: the grid has no such arm"),
        ({"second": {"loss": "ctc"}}, "the same loss"),
        ({"second": {"loss": "ce_stop", "augmentation": "none"}}, "differ in augmentation, too"),
        ({"second": {"los": "ctc"}}, "primary.second: unknown config key 'los'"),
    ],
)
def test_what_is_no_pair_of_its_arms_is_one_line(changes, words):
    with pytest.raises(UserError, match=words) as caught:
        primary(preset(**changes), None, DIGESTS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(file.stem for file in PRESETS.glob("*.toml")))
def test_those_of_the_suite_are_arms_of_their_grids(name):
    own = load_preset(name)
    found = primary(own, None, DIGESTS)
    assert (found is None) == (own.primary is None)


def test_it_is_put_on_record_once_and_again_only_when_it_changes(tmp_path):
    tracker = Tracker(tmp_path)
    parent = tracker.start_parent("mine on cells", "key")

    def start(own, seeds=None):
        put_on_record(primary(own, seeds, DIGESTS), own, tracker, parent)
        return primaries(tracker.tags(parent.run_id))

    (first,) = start(preset())
    assert start(preset()) == [first]
    # Without looks of its own, more seeds are no other plan: it stays at two.
    assert start(preset(), [0, 1, 2]) == [first]
    assert first.looks == (2,)
    before, wider = start(preset(margin=0.02))
    assert (before, wider.margin) == (first, 0.02)
    assert wider.at > first.at
    assert len(start(preset(margin=0.02, looks=[2, 5]))) == 3
    back = start(preset())[-1]
    assert replace(back, at=first.at) == first
