"""How far a run is comes back from its folder, or counts as nothing."""

import json

import pytest

from experiments.training.standing import (
    CHECKPOINT,
    Standing,
    epochs_kept,
    forget_standing,
    read_standing,
    write_standing,
)
from experiments.training.state import Progress

HISTORY = [{"val.exact_match": 0.25, "val.loss": 3.0}, {"val.exact_match": 0.5, "val.loss": 2.0}]
STANDING = Standing(Progress(HISTORY, best=1, seconds=2.5), done=True)


def test_it_comes_back(tmp_path):
    folder = tmp_path / "runs" / "one"
    assert read_standing(folder, "me") == Standing()
    write_standing(folder, STANDING, "me")
    assert read_standing(folder, "me") == STANDING
    assert STANDING.val == [0.25, 0.5]


@pytest.mark.parametrize("part", ["best", "progress", "done", "owner"])
def test_what_is_not_whole_counts_as_nothing_and_is_said_where_asked(tmp_path, capsys, part):
    write_standing(tmp_path, STANDING, "me")
    file = tmp_path / "progress.json"
    file.write_text(file.read_text().replace(f'"{part}"', '"other"'))
    assert json.loads(file.read_text())
    assert read_standing(tmp_path, "me") == Standing()
    assert capsys.readouterr().out == ""
    assert read_standing(tmp_path, "me", aloud=True) == Standing()
    said = capsys.readouterr().out
    assert str(file) in said
    assert said.count("\n") == 1


def test_that_of_another_run_counts_as_nothing(tmp_path, capsys):
    write_standing(tmp_path, STANDING, "me")
    assert read_standing(tmp_path, "you", aloud=True) == Standing()
    assert f"{tmp_path / 'progress.json'}: belongs to the run me" in capsys.readouterr().out


def test_epochs_count_as_trained_only_where_a_run_can_go_on_from_them(tmp_path):
    write_standing(tmp_path, STANDING, "me")
    assert epochs_kept(tmp_path, "me") == 0
    (tmp_path / CHECKPOINT).touch()
    assert epochs_kept(tmp_path, "me") == 2
    assert epochs_kept(tmp_path, "another") == 0
    forget_standing(tmp_path)
    forget_standing(tmp_path)
    assert read_standing(tmp_path, "me") == Standing()
