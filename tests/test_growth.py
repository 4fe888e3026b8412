"""The suite grows by one new file at a time, and what was finished before stays finished."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "tests/templates"
# Where each template is copied to; CONTRIBUTING.md lists the same.
HOMES = {
    "loss": "losses",
    "decoder": "models/decoders",
    "backbone": "models/trunks",
    "augmentation": "experiments/data/augmentation",
    "optimizer": "experiments/optimizers",
    "chapter": "analysis/sections",
}
RUN = """
[run]
epochs = 1
batch_size = 4
width_stride = 4
hidden = 8
image = { height = 16, width = 64 }
"""
BEFORE = f'seeds = 2{RUN}[[grid]]\nloss = ["ctc", "ce_stop"]\n'
NEW = f"""{RUN}[[grid]]
loss = ["template_loss"]
decoder = ["template_decoder"]
backbone = ["template_backbone"]
augmentation = ["template_augmentation"]
optimizer = ["template_optimizer"]
"""


def test_every_kind_has_a_template_and_contributing_lists_its_home():
    assert {file.stem for file in TEMPLATES.glob("*.py")} == set(HOMES)
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name, home in HOMES.items():
        assert f"tests/templates/{name}.py" in text
        assert f"`{home}/`" in text


@pytest.mark.long
def test_a_new_file_is_all_that_it_takes_and_finished_runs_are_skipped(make_cells, tmp_path):
    tree = tmp_path / "tree"
    for package in ("experiments", "models", "losses", "analysis"):
        shutil.copytree(
            ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    data = make_cells(train=16, dev=6, val=4, human=2, name="growing")
    (tree / "before.toml").write_text(BEFORE, encoding="utf-8")
    (tree / "new.toml").write_text(NEW, encoding="utf-8")

    def ablation(preset: str) -> str:
        command = [sys.executable, "-m", "experiments", "ablation", "--preset", preset]
        ended = subprocess.run(
            [*command, "--data", str(data), "--out", "out", "--jobs", "2"],
            cwd=tree,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr + ended.stdout
        return ended.stdout

    assert "4 made, 0 finished before" in ablation("before.toml")
    report = tree / "out/report/report.md"
    assert "Template chapter" not in report.read_text(encoding="utf-8")
    for name, home in HOMES.items():
        shutil.copyfile(TEMPLATES / f"{name}.py", tree / home / f"template_{name}.py")
    assert "0 made, 4 finished before" in ablation("before.toml")
    assert "1 made, 0 finished before" in ablation("new.toml")
    text = report.read_text(encoding="utf-8")
    assert "Template chapter" in text
    assert "template_decoder" in text
    # Seeds of an arm made before stand beside each other as before: two arms of two seeds.
    runs = (tree / "out/report/runs.csv").read_text(encoding="utf-8")
    assert runs.count("\n") == 6
