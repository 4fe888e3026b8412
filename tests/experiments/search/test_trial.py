"""A trial learns and validates, and opens nothing that judges."""

from __future__ import annotations

import shutil

import pytest

from experiments.data.splits import learning_split, make_split
from experiments.errors import UserError
from experiments.records.tracker import Tracker
from experiments.search import trial as trials
from experiments.search.trial import identity, trial
from experiments.settings.config import run_config
from experiments.training import standing
from experiments.training.run import load_data

SETTINGS = {"epochs": 2, "batch_size": 8, "width_stride": 8, "hidden": 16}


def standing_of(folder):
    return standing.read_standing(folder, identity(folder))


def make(data, out, name="0", **settings):
    """A trial in a folder of its own; returns the folder."""
    folder = out / "search" / "s" / name
    folder.mkdir(parents=True)
    config = run_config(SETTINGS | settings, {"image.height": 16, "image.width": 40})
    (folder / "settings.json").write_text(config.model_dump_json())
    trial(folder, data, out, "parent")
    return folder


def without_judges(data, copy):
    """The data set with everything broken that a search may not open."""
    shutil.copytree(data, copy)
    lists, cells = copy / "crnn_labels", copy / "cell_images"
    learnt = [(lists / f"{part}.txt").read_text() for part in ("train", "val")]
    names = {line.split()[0] for text in learnt for line in text.splitlines()}
    for image in (cells / "training_set").iterdir():
        if image.name not in names:
            image.write_bytes(b"no image")
    (lists / "dev.txt").write_bytes(b"\xff no list")
    shutil.rmtree(cells / "validation_set")
    for reader in (copy / "output").iterdir():
        reader.write_bytes(b"\xff no readings")
    return copy


def test_neither_the_dev_list_nor_what_people_read_is_opened(make_cells, tmp_path):
    data = make_cells(train=24, dev=8, val=8, human=4)
    broken = without_judges(data, tmp_path / "broken" / "cells")
    whole = make(data, tmp_path / "out")
    blind = make(broken, tmp_path / "blind")
    assert standing_of(blind).done
    # Not only does it get by without them: they make no difference to what it tells.
    assert standing_of(blind).val == standing_of(whole).val
    with pytest.raises(UserError):
        load_data(run_config(SETTINGS, {}), broken, tmp_path / "out")


@pytest.mark.parametrize("split", ["published", "clean"])
@pytest.mark.parametrize("val", [0, 6])
def test_it_learns_from_and_selects_on_what_its_run_would(make_cells, tmp_path, split, val):
    data = make_cells(train=30, dev=8, val=val, human=4, leaked=3, duplicates=5)
    config = run_config({"split": split, "seed": 3}, {})
    some = load_data(config, data, tmp_path, judges=False)
    everything = load_data(config, data, tmp_path)
    blind, seeing = learning_split(some, config), make_split(everything, config)

    def names(images, part):
        return [(images.rows[i].part, images.rows[i].filename) for i in part]

    assert names(some, blind.train) == names(everything, seeing.train)
    assert names(some, blind.val) == names(everything, seeing.val)
    assert (blind.test, blind.human, blind.clean) == ((), (), frozenset())
    assert not some.readings


def test_a_folder_without_lists_keeps_its_test_part_out(make_cells, tmp_path):
    data = make_cells(train=40, dev=0, human=0, leaked=0, human_leaked=0)
    folder = tmp_path / "plain"
    shutil.copytree(data / "cell_images/training_set", folder)
    shutil.copy(data / "cell_images/training_set_values.txt", folder / "labels.csv")
    config = run_config({}, {})
    images = load_data(config, folder, tmp_path, judges=False)
    learnt = learning_split(images, config)
    judged = make_split(images, config)
    assert judged.test
    assert not {*learnt.train, *learnt.val} & set(judged.test)
    assert (learnt.train, learnt.val) == (judged.train, judged.val)


def test_folds_cannot_be_searched(make_cells, tmp_path):
    config = run_config({"split": "kfold"}, {})
    images = load_data(config, make_cells(), tmp_path, judges=False)
    with pytest.raises(UserError, match="set split=published"):
        learning_split(images, config)


def test_what_it_tells_is_what_mlflow_and_its_folder_have(make_cells, tmp_path):
    out = tmp_path / "out"
    folder = make(make_cells(train=24, val=8), out)
    told = standing_of(folder)
    assert (len(told.val), told.done) == (2, True)
    (run,) = Tracker(out)._search(f"tags.run_hash = '{identity(folder)}'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["kind"] == "trial"
    assert run.data.tags["mlflow.parentRunId"] == "parent"
    assert run.data.metrics["val.exact_match"] == max(told.val)
    kept = told.progress.kept
    assert (run.data.metrics["val.exact_match"], run.data.metrics["val.loss"]) == kept
    # No run of the comparison: nothing has judged it.
    assert Tracker(out).finished_runs() == []
    assert not [name for name in run.data.metrics if "test" in name or "human" in name]


def test_it_is_made_once(make_cells, tmp_path, monkeypatch):
    data, out = make_cells(train=24, val=8), tmp_path / "out"
    folder = make(data, out)
    monkeypatch.setattr(trials, "fit", None)
    trial(folder, data, out, "parent")
    assert standing_of(folder).done


def test_two_trials_have_two_identities(tmp_path):
    """Two of one search, two studies, two searches with the same study, two draws."""
    folders = [tmp_path / h / s / n for h in "ab" for s in "cd" for n in "01"]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "settings.json").write_text("{}")
    found = [identity(folder) for folder in folders]
    assert standing_of(folders[0]).val == []
    (folders[0] / "settings.json").write_text('{"epochs": 2}')
    assert len({*found, identity(folders[0])}) == len(folders) + 1


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"digest": "", "content": {}}', b"half"])
def test_a_record_that_is_not_whole_is_said_and_made_again(make_cells, tmp_path, capsys, content):
    data, out = make_cells(train=24, val=8), tmp_path / "out"
    folder = make(data, out)
    whole = standing_of(folder)
    (folder / "progress.json").write_bytes(content)
    assert not standing_of(folder).done
    capsys.readouterr()
    trial(folder, data, out, "parent")
    said = [line for line in capsys.readouterr().out.splitlines() if "progress.json" in line]
    assert len(said) == 1
    assert "does not count" in said[0]
    assert (standing_of(folder).val, standing_of(folder).done) == (whole.val, True)
