"""What make hands on is what its user gave, whatever characters are in it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
# In place of the command: says with which arguments it was called, and with which storage.
SAYS = f"""#!{sys.executable} -IS
import json, os, sys
storage = os.environ.get("HEAD_TO_HEAD_STORAGE")
print(json.dumps(sys.argv[1:] + ([] if storage is None else [storage])))
"""
NAMES = [
    *(
        "why?1",
        "a%20b",
        "it's",
        'say "hi"',
        "a b",
        "$HOME",
        "$(x)",
        "$",
        "a$(b)c",
        "`id`",
        "a;b",
        "a&b|c",
    ),
    *("*", "a\\b", "ä", "#1", "~", "a=b", "(x", "-a"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A clone whose environment has a command that only says how it was called."""
    clone = tmp_path_factory.mktemp("clone")
    shutil.copy(MAKEFILE, clone)
    for name in ("pyproject.toml", "constraints.txt"):
        (clone / name).touch()
    command = clone / ".venv/bin/head-to-head"
    command.parent.mkdir(parents=True)
    command.write_text(SAYS)
    command.chmod(0o755)
    (clone / ".venv/ready").touch()
    return clone


def called(folder, *arguments):
    """What the command was called with."""
    ended = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", NAMES)
def test_names_arrive_as_they_are(folder, name):
    for target in ("ablation", "search", "audit"):
        heard = called(folder, target, f"OUT={name}", f"DATA={name}", f"PRESET={name}")
        assert heard[heard.index("--out") + 1] == name
        assert heard[heard.index("--data") + 1] == name
        assert heard[heard.index("--preset") + 1] == name
    heard = called(folder, "predict", f"IMAGES={name}", f"OUTPUT={name}", f"OUT={name}")
    assert heard[-2:] == ["--", name]
    assert heard[heard.index("--output") + 1] == heard[heard.index("--out") + 1] == name
    heard = called(folder, "review", f"IMAGES={name}", f"OUTPUT={name}", f"ACCURACY={name}")
    assert heard[-2:] == ["--", name]
    assert heard[heard.index("--output") + 1] == heard[heard.index("--accuracy") + 1] == name
    heard = called(folder, "review", f"DATA={name}", "OUTPUT=x")
    assert heard[heard.index("--data") + 1 :] == [name, "--"]
    for target, variable in (
        *(
            ("predict", "RUN"),
            ("predict", "ACCURACY"),
            ("predict", "FORMAT"),
            ("ablation", "JOBS"),
            ("ablation", "ENGINE"),
            ("speedrun", "ENGINE"),
            ("search", "ENGINE"),
            ("ablation", "SEEDS"),
        ),
        *(("serve", "PORT"), ("ui", "PORT"), ("search", "ARM"), ("search", "TRIALS")),
    ):
        heard = called(folder, target, f"{variable}={name}", "IMAGES=x")
        assert heard[heard.index(f"--{variable.lower()}") + 1] == name


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", NAMES)
def test_two_runs_are_given_with_a_comma(folder, name):
    heard = called(folder, "demo", f"RUN={name},other", f"PORT={name}")
    assert heard == ["demo", "--port", name, "--out", "outputs", "--run", name, "--run", "other"]
    # One alone, or three, is for the command to refuse.
    assert called(folder, "demo", f"RUN={name}")[-4:] == ["--run", name, "--run", name]
    assert called(folder, "demo", f"RUN={name},b,c")[-4:] == ["--run", name, "--run", "b,c"]
    assert "--run" not in called(folder, "demo")


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", NAMES)
def test_several_readers_are_given_with_commas(folder, name):
    heard = called(folder, "predict", f"RUN={name},b,c d", f"IMAGES={name}", f"OUT={name}")
    runs = ["--run", name, "--run", "b", "--run", "c d"]
    assert heard == ["predict", *runs, "--out", name, "--", name]
    assert "--run" not in called(folder, "predict", "IMAGES=x")


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["best", "speedrun"])
def test_a_preset_with_a_target_of_its_own_is_an_ablation(folder, target, name):
    heard = called(folder, target, *(f"{key}={name}" for key in ("OUT", "DATA", "SEEDS", "JOBS")))
    common = ["--out", name, "--preset", target, "--data", name]
    assert heard == ["ablation", *common, "--jobs", name, "--seeds", name]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize(
    "target", ["data", "demo", "serve", "ui", "report", "suspects", "speedrun"]
)
def test_every_target_takes_out_as_it_is(folder, target):
    heard = called(folder, target, "OUT=$(x) '%?")
    assert heard[heard.index("--out") + 1] == "$(x) '%?"


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_what_is_not_given_is_not_handed_on(folder):
    assert called(folder, "ablation") == ["ablation", "--out", "outputs"]
    assert called(folder, "report", "OUT=here") == ["report", "--out", "here"]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("name", NAMES)
def test_no_list_of_processes_shows_the_password_of_a_storage(folder, name, monkeypatch):
    monkeypatch.delenv("HEAD_TO_HEAD_STORAGE", raising=False)
    # The last one is what the environment has.
    assert called(folder, "search", f"STORAGE={name}") == ["search", "--out", "outputs", name]
    assert called(folder, "search") == ["search", "--out", "outputs"]
