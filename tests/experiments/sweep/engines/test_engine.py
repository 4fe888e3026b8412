"""Which engine makes the jobs, and what is said where there is none."""

import sys

import pytest

from experiments.errors import UserError
from experiments.sweep.engines.engine import engine
from experiments.sweep.engines.processes import LocalProcesses


def test_by_default_processes_of_this_machine():
    with engine("local") as runner:
        assert isinstance(runner, LocalProcesses)


@pytest.mark.parametrize("command", ["ablation", "search"])
def test_another_name_is_refused_before_anything_is_made(cli, tmp_path, command):
    out = tmp_path / "out"
    code, _, err = cli(command, "--engine", "slurm", "--out", out)
    assert code == 2
    assert err == "error: --engine slurm: there is no such engine; choose local or ray\n"
    assert not out.exists()


def test_without_ray_the_line_says_how_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "experiments.sweep.engines.ray_tasks", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install .*'\.\[ray\]'"), engine("ray"):
        pass


def test_on_windows_a_line_says_where_else(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UserError, match="WSL 2"), engine("local"):
        pass


def test_a_module_of_ours_that_is_missing_is_a_bug(monkeypatch):
    monkeypatch.setitem(sys.modules, "experiments.sweep.engines.ray_tasks", None)
    with pytest.raises(ModuleNotFoundError, match="ray_tasks"), engine("ray"):
        pass
