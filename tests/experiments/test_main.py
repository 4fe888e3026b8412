"""The command line as a process of its own: wherever its user stands, whatever their locale is."""

import os
import subprocess
import sys

import pytest

from experiments.sweep.processes import CODE


def started(folder, *arguments, **environment):
    """The command in this folder, as the user of an environment that knows the project has it."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "experiments", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        check=False,
    )


@pytest.fixture
def elsewhere(tmp_path):
    """A folder of the user's own, with folders and a package that are called as ours are."""
    for name in ("models", "analysis", "losses"):
        (tmp_path / name).mkdir()
    (tmp_path / "losses/__init__.py").touch()
    return tmp_path


def test_folders_of_the_user_are_not_taken_for_the_packages(elsewhere):
    ended = started(
        elsewhere, "train", "--preset", "smoke", "--set", "epoch=3", PYTHONPATH=str(CODE)
    )
    # The settings know all losses and models: with those of the user they would not be there.
    assert ended.stderr == b"error: unknown config key 'epoch'; did you mean 'epochs'?\n"
    assert ended.returncode == 2


def test_a_preset_is_utf8_in_a_locale_that_is_not(tmp_path):
    (tmp_path / "größe.toml").write_text("# für später: ½\n[run]\nepochs = 1\n", encoding="utf-8")
    ended = started(
        tmp_path,
        *("train", "--preset", "größe.toml", "--set", "epoch=3"),
        **{"PYTHONPATH": str(CODE), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert ended.stderr == b"error: unknown config key 'epoch'; did you mean 'epochs'?\n"
