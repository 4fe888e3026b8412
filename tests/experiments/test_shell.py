"""Commands that messages name, in a shell that knows nothing of this environment."""

import shlex
import subprocess

from experiments.options import OUT
from experiments.shell import make, ours, python


def run(command, folder):
    bare = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, shell=True, cwd=folder, env=bare, capture_output=True, check=False
    )


def test_our_program_is_found_from_any_folder(tmp_path):
    done = run(ours("audit", "--help"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"--strict" in done.stdout


def test_python_is_the_one_that_has_the_libraries(tmp_path):
    assert run(python("-c", "import mlflow"), tmp_path).returncode == 0


def test_a_target_has_its_variables_whole_and_the_usual_folder_is_left_out(tmp_path):
    folder = tmp_path / "it's my cells; echo"
    words = shlex.split(make("suspects", tmp_path / "a b", DATA=folder, PRESET=None))
    assert words == ["make", "suspects", f"DATA={folder}", f"OUT={tmp_path / 'a b'}"]
    assert make("ablation", OUT, PRESET="suspects") == "make ablation PRESET=suspects"
