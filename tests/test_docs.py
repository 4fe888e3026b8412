"""What the pages for people say of the tree holds: links, targets, commands, versions."""

import re
import tomllib
from pathlib import Path

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
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(\s*([^)#\s]*)#?([^)\s]*)[^)]*\)", text):
        if "://" not in target:
            leads_to = page.parent / target if target else page
            assert leads_to.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(leads_to), f"{page}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """Those of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


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
    assert set(re.findall(r"PRESET=([a-z0-9_]+)\b(?!\.)", text)) <= presets


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


def test_what_the_results_say_in_short_they_say_at_length():
    short, _, rest = text_of("RESULTS.md").partition("\n## ")[2].partition("\n## ")
    said = re.sub(r"\]\([^)]*\)", "]", short.partition("| --- |")[2])
    for number in re.findall(r"\d[\d.,]*\d|\d", said):
        assert re.search(rf"(?<![\d.,]){re.escape(number)}(?![\d]|[.,]\d)", rest), number
