"""How far a run is comes back from its folder, or counts as nothing."""

import json

import pytest

from experiments.training.standing import Standing, read_standing, write_standing
from experiments.training.state import Progress

HISTORY = [{"val.exact_match": 0.25, "val.loss": 3.0}, {"val.exact_match": 0.5, "val.loss": 2.0}]
STANDING = Standing(Progress(HISTORY, best=1, seconds=2.5), done=True)


def test_it_comes_back(tmp_path):
    folder = tmp_path / "runs" / "one"
    assert read_standing(folder) == Standing()
    write_standing(folder, STANDING)
    assert read_standing(folder) == STANDING
    assert STANDING.val == [0.25, 0.5]


@pytest.mark.parametrize("part", ["best", "progress", "done"])
def test_what_is_not_whole_counts_as_nothing_and_is_said_where_asked(tmp_path, capsys, part):
    write_standing(tmp_path, STANDING)
    file = tmp_path / "progress.json"
    file.write_text(file.read_text().replace(f'"{part}"', '"other"'))
    assert json.loads(file.read_text())
    assert read_standing(tmp_path) == Standing()
    assert capsys.readouterr().out == ""
    assert read_standing(tmp_path, aloud=True) == Standing()
    said = capsys.readouterr().out
    assert str(file) in said
    assert said.count("\n") == 1
