"""The warning that runs are too short for so few images."""

from types import SimpleNamespace

import pytest

from experiments.settings.config import run_config
from experiments.sweep import ablation
from experiments.sweep.plan import Planned


@pytest.fixture
def note(monkeypatch):
    """The note on runs of 500 training images, each given by its epochs and what it starts from."""
    few = SimpleNamespace(train=range(500))
    cut = []
    monkeypatch.setattr(ablation, "timed_split", lambda _, config: cut.append(config) or few)

    def of(*runs, seeds=1):
        planned = [
            Planned(run_config({"epochs": epochs, "start": start, "seed": seed}, {}), data, "hash")
            for epochs, start, data in runs
            for seed in range(seeds)
        ]
        return ablation.few_steps(planned, None)

    of.cut = cut
    return of


def test_the_longest_run_counts(note):
    # 15 whole batches of 32 an epoch: 375 and 480 steps; three times 480 are enough, twice are not.
    found = note((25, "", "same"), (32, "", "same"))
    assert found.startswith("note: 480 training steps a run")
    assert "set epochs 3 times as high" in found
    assert note((25, "", "same"), (67, "", "same")) == ""
    assert note((66, "", "same")) != ""


def test_what_starts_from_another_run_or_learns_other_data_is_no_matter(note):
    assert note((25, "ctc", "same"), (25, "", "mnist")) == ""
    assert note() == ""


def test_the_split_is_cut_once_for_all_seeds_of_an_arm(note):
    assert note((25, "", "same"), (32, "", "same"), seeds=50).startswith("note: 480 ")
    assert len(note.cut) == 2
