"""What the pages for people say of the tree holds: links, targets, commands, versions."""

import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from typer.main import get_command

from experiments.__main__ import app

ROOT = Path(__file__).parents[1]
HIDDEN = {path.name for path in ROOT.iterdir() if path.name.startswith(".")} | {"outputs"}
PAGES = sorted(
    file
    for file in ROOT.rglob("*.md")
    if not HIDDEN & set(file.relative_to(ROOT).parts[:1])
)  # fmt: skip


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(\s*([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_code_that_is_named_is_there(page):
    for path in re.findall(r"`([a-z_/]+\.py)`", page.read_text(encoding="utf-8")):
        assert (page.parent / path).exists() or (ROOT / path).exists(), f"{page}: {path}"


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_targets_and_presets_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`|&& )make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets
    presets = {file.stem for file in (ROOT / "experiments/configs").glob("*.toml")}
    assert set(re.findall(r"PRESET=([a-z_]+)\b(?!\.)", text)) <= presets


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_commands_and_options_that_are_named_exist(page):
    commands = get_command(app).commands  # type: ignore[attr-defined]
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for command, rest in re.findall(r"head-to-head ([a-z]+)([^\n`#|]*)", text):
        known = {name for option in commands[command].params for name in option.opts}
        assert set(re.findall(r"(--[a-z]+)", rest)) <= known, f"{page}: {command}{rest}"


def test_the_readme_is_short_enough_to_be_read():
    assert len(text_of("README.md").splitlines()) <= 170


def test_one_version_everywhere():
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    assert f"version: {version}\n" in text_of("CITATION.cff")
    assert re.search(rf"^## .*\b{re.escape(version)}\b", text_of("CHANGELOG.md"), re.MULTILINE)
    ruff = re.search(r"^ruff==(.*)$", text_of("constraints.txt"), re.MULTILINE)
    assert ruff is not None
    assert f"rev: v{ruff[1]}\n" in text_of(".pre-commit-config.yaml")


def test_the_figure_on_the_front_page_shows_what_the_results_say():
    # A row of the table is: arm | difference in points | "low to high".
    rows = re.findall(r"^\| .* \| ([+-][\d.]+) \| ([+-][\d.]+) to ([+-][\d.]+) \|$",
                      text_of("RESULTS.md"), re.MULTILINE)  # fmt: skip
    stated = {tuple(map(float, row)) for row in rows}
    drawn = pd.read_csv(ROOT / "analysis/reference/lead.csv")
    drawn = drawn[~drawn["first"].str.endswith("ten seeds")]  # tests/analysis/test_reference.py
    points = (100 * drawn[["estimate", "low", "high"]]).round(1)
    assert set(points.itertuples(index=False, name=None)) <= stated
