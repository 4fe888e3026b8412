"""Every kind of damage in experiments/data/DAMAGE.md, given to a run and to the audit.

What a kind gets is read from that table; how the damage is made, and the words that its one line
must have, stand in the folder damage beside this file.
"""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

import pytest
import torch

from experiments.data import decode
from experiments.data.audit.findings import audit
from experiments.data.splits import make_split
from experiments.errors import UserError
from experiments.settings.presets import parse_override
from experiments.training.run import load_data
from tests.experiments.data.damage.bench import CASES, LABELLED, SIZE, VALUES, Bench, config

TABLE = Path(decode.__file__).with_name("DAMAGE.md")


def table() -> dict[str, tuple[str, str]]:
    """Kind -> what it gets from a run, what it gets from the audit."""
    # The first table; what follows is not about data sets.
    first = TABLE.read_text(encoding="utf-8").partition("\n## ")[0]
    lines = [line for line in first.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    assert all(len(row) == 3 for row in rows)
    kinds = [row[0] for row in rows[2:]]
    assert len(set(kinds)) == len(kinds)
    return {kind: (run, audit) for kind, run, audit in rows[2:]}


@pytest.fixture(scope="module")
def whole(make_cells, tmp_path_factory):
    """The undamaged data set, with lists and with a .csv file."""
    published = make_cells(train=12, dev=6, human=3)
    folder = tmp_path_factory.mktemp("csv") / "cells"
    shutil.copytree(published / LABELLED, folder)
    text = (published / VALUES).read_text()
    (folder / "labels.csv").write_text(text.replace(";", ","))
    return {True: published, False: folder}


@pytest.fixture(scope="module")
def plain(whole):
    """What the undamaged data set is."""
    return {lists: load_data(config(()), folder, folder.parent) for lists, folder in whole.items()}


@pytest.fixture(autouse=True)
def no_waiting():
    """A pipe that is read never ends: fail, rather than wait."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits for ever"))
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_tests_that_hold_other_kinds_exist():
    named = re.findall(r"\[([a-z0-9 ]+)\]\(([./a-z_]+\.py)\) \|", TABLE.read_text(encoding="utf-8"))
    assert len(named) > 30
    for name, file in named:
        source = (TABLE.parent / file).read_text(encoding="utf-8")
        assert f"def test_{name.replace(' ', '_')}(" in source, (name, file)


def test_every_kind_has_a_row_and_a_case():
    assert {name for name, _ in CASES} == set(table())


@pytest.fixture(scope="module")
def outs(tmp_path_factory):
    return tmp_path_factory.mktemp("outs")


@pytest.fixture
def bench(made, whole, outs, tmp_path_factory, monkeypatch):
    """The data set that the case damages."""
    # Not tmp_path, which has the name of the test and so of the damage: no line may owe it a word.
    place = tmp_path_factory.mktemp("bench")
    shutil.copytree(whole[made.lists], place / "cells")
    # Where a run gets as far as MLflow, it takes seconds to make the store: they share one.
    out = outs if made.settings else place / "out"
    return Bench(place / "cells", out, monkeypatch, made.lists)


every = pytest.mark.parametrize(("kind", "made"), CASES, ids=[name for name, _ in CASES])


@every
def test_what_a_run_gets(bench, kind, made, plain, cli):
    wanted = table()[kind][0]
    check = made.damage(bench)
    before = sorted(bench.folder.rglob("*"))
    if wanted.startswith("refused"):
        settings = [word for setting in (*SIZE, *made.settings) for word in ("--set", setting)]
        place = ("--data", bench.folder, "--out", bench.out)
        code, _, said = cli("train", "--preset", "smoke", *place, *settings)
        assert code == 2
        assert said.startswith("error: ")
        assert len(said.splitlines()) == 1
        assert len(said) < 2000
        assert [word for word in made.words if word not in said] == []
        assert not list(bench.out.glob("cache/*.making"))
    else:
        assert wanted.startswith("accepted")
        assert not made.words
        chosen = config(made.settings)
        found = load_data(chosen, bench.folder, bench.out)
        split = make_split(found, chosen).digest(found)
        if check is not None:
            check(found, plain[made.lists])
        else:
            assert found.digest == plain[made.lists].digest
            assert torch.equal(found.pixels, plain[made.lists].pixels)
            assert split == make_split(plain[made.lists], chosen).digest(plain[made.lists])
    assert sorted(bench.folder.rglob("*")) == before


@every
def test_what_the_audit_gets(bench, kind, made, plain):
    wanted = table()[kind][1]
    made.damage(bench)
    given = dict(map(parse_override, made.settings))
    charset = str(given.get("charset", "0123456789.-"))
    if wanted == "the same line":
        with pytest.raises(UserError) as stopped:
            audit(bench.folder, charset, (1, 32, 64), backbones=())
        assert [word for word in made.words if word not in str(stopped.value)] == []
        return
    facts = audit(bench.folder, charset, (1, 32, 64), backbones=()).facts
    kinds = set(re.findall("`(.*?)`", wanted))
    found = set(facts["problems"])
    # The image of a row that cannot be read may be missed in a list.
    assert found - ({"no value"} if "malformed row" in found else set()) == kinds
    assert kinds or wanted in ("accepted", "nothing: a matter of the run")
    # It goes on: all other images are there.
    listed = facts["images"] - facts["parts"].get("unlisted", 0)
    assert listed >= len(plain[made.lists].rows) - max(1, len(facts["problem_rows"]))
    for message in facts["problem_rows"]:
        assert "\n" not in message
    if kinds:
        assert [word for word in made.words if word not in facts["problem_rows"][0]] == []
