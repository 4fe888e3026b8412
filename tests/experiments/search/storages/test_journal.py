"""The journal of a search: a line of a writer that failed in the middle harms none after it."""

import json

import optuna
import pytest

from experiments.search.storages.journal import Journal


@pytest.mark.parametrize("again", [True, False])
def test_half_a_line_is_cut_off_before_the_next(tmp_path, again):
    at_work = Journal(tmp_path)
    study = optuna.create_study(storage=at_work.optuna, study_name="one")
    study.tell(study.ask(), 1.0)
    file = tmp_path / "journal.log"
    with file.open("ab") as other:  # another process, whose disk was full
        other.write(b'{"op_code": 4, "worker')
    if again:
        at_work = Journal(tmp_path)
        study = optuna.load_study(storage=at_work.optuna, study_name="one")
    trial = study.ask()
    assert trial.number == 1
    study.tell(trial, 2.0)
    assert all(json.loads(line) for line in file.read_bytes().splitlines())
    found = optuna.load_study(storage=Journal(tmp_path).optuna, study_name="one")
    assert [one.value for one in found.trials] == [1.0, 2.0]
