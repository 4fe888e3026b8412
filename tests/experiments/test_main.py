"""The command line as a process of its own: wherever its user stands, whatever their locale is."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from experiments import __main__ as command_line
from experiments.sweep.engines.process import CODE


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


@pytest.mark.slow
def test_folders_of_the_user_are_not_taken_for_the_packages(elsewhere):
    ended = started(
        elsewhere, "train", "--preset", "smoke", "--set", "epoch=3", PYTHONPATH=str(CODE)
    )
    # The settings know all losses and models: with those of the user they would not be there.
    assert ended.stderr == b"error: unknown config key 'epoch'; did you mean 'epochs'?\n"
    assert ended.returncode == 2


def test_it_follows_its_parent_before_it_works(monkeypatch):
    seen = []
    monkeypatch.setattr(command_line, "follow_parent", lambda: seen.append("follows"))
    monkeypatch.setattr(command_line, "app", lambda **_: seen.append("works"))
    monkeypatch.setattr(command_line, "_prepare_output", lambda: None)
    monkeypatch.setattr(command_line.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        command_line.main()
    assert seen == ["follows", "works"]


@pytest.mark.slow
def test_a_preset_is_utf8_in_a_locale_that_is_not(tmp_path):
    (tmp_path / "größe.toml").write_text("# für später: ½\n[run]\nepochs = 1\n", encoding="utf-8")
    ended = started(
        tmp_path,
        *("train", "--preset", "größe.toml", "--set", "epoch=3"),
        **{"PYTHONPATH": str(CODE), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    )
    assert ended.stderr == b"error: unknown config key 'epoch'; did you mean 'epochs'?\n"


# What takes a second and more to import.
HEAVY = {
    *("torch", "torchvision", "lightning_fabric", "mlflow", "pandas", "scipy", "sklearn"),
    *("statsmodels", "matplotlib", "seaborn", "optuna", "onnx", "fastapi", "mlxtend"),
}
IMPORTED = """
import sys
from experiments.__main__ import main
try:
    main()
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def imported_by(folder, *arguments):
    """The packages that a command loads."""
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTED, *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(CODE)},
        capture_output=True,
        check=True,
        text=True,
    )
    return set(ended.stderr.splitlines()[-1].split()), ended.stdout


@pytest.mark.parametrize("command", [(), ("predict",), ("demo",), ("ablation",)])
def test_help_imports_nothing_heavy(tmp_path, command):
    packages, said = imported_by(tmp_path, *command, "--help")
    assert "Usage" in said
    assert "typer" in packages
    assert packages & (HEAVY | {"onnxruntime", "numpy", "PIL"}) == set()


def test_a_reader_of_the_suite_reads_without_torch_and_mlflow(tmp_path):
    Image.new("L", (60, 34), 200).save(tmp_path / "1.png")
    for run in ((), ("--run", "ce_stop")):
        packages, said = imported_by(tmp_path, "predict", "1.png", *run)
        assert said.splitlines()[1].startswith("1.png")
        assert "onnxruntime" in packages
        assert packages & HEAVY == set()


@pytest.mark.slow
def test_what_trains_nothing_itself_waits_for_no_library_of_those_that_do():
    heavy = ["torchvision", "lightning_fabric", "torch._dynamo"]
    code = (
        "import json, sys, experiments.sweep.pipeline, experiments.deploy.model;"
        "from experiments.settings.presets import load_preset;"
        "load_preset('reference').expand([0]);"
        f"print(json.dumps([name for name in {heavy} if name in sys.modules]))"
    )
    said = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": str(CODE)},
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(said.stdout) == []
