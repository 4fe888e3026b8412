"""What tests share: one thread, the command line, small data sets in the published layout."""

from __future__ import annotations

import gc
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol
from unittest.mock import patch

import hypothesis
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

import experiments.records.store
from analysis.page.page import Chart, Drawn
from analysis.record import STORE
from analysis.sections.chapter import Chapter
from experiments.__main__ import main
from experiments.settings.config import run_config
from tests.in_process import InProcess

# A busy machine is slow, and no property is about that.
hypothesis.settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("any machine")

WIDTH, HEIGHT = 60, 34

CLI = Callable[..., tuple[int, str, str]]


class MakeCells(Protocol):
    """Write a data set into a fresh folder of this name and return the folder.

    train, val, dev, human: images a part; without val there is no val.txt, without human no
        human images and no readings.
    duplicates: of the training images, how many (the last ones) are copies of the first ones.
    leaked: of the dev images, how many (the last ones) are copies of training images.
    human_leaked: of the human images, how many (the last ones) are copies of training images.
    seed: decides labels and pixels; the same seed gives the same bytes.
    """

    def __call__(
        self,
        train: int = 12,
        dev: int = 6,
        val: int = 0,
        human: int = 4,
        *,
        duplicates: int = 2,
        leaked: int = 1,
        human_leaked: int = 1,
        seed: int = 0,
        name: str = "cells",
    ) -> Path: ...


@pytest.fixture(scope="session", autouse=True)
def frozen() -> None:
    """What libraries hold is looked through for garbage once, not at every collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums in one order everywhere, and no fight for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


MakeStore = Callable[[Path], None]


@pytest.fixture(scope="session", autouse=True)
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStore]:
    """The making of a store as it is; in the tests a new one is a copy of the first.

    MLflow makes its tables in dozens of steps, which take two seconds.
    """
    made = experiments.records.store._make
    first = tmp_path_factory.mktemp("first")

    def copied(out: Path) -> None:
        if not (first / STORE).exists():
            made(first)
        shutil.copyfile(first / STORE, out / STORE)
        artifacts = (out.resolve() / "artifacts").as_uri(), (first / "artifacts").as_uri()
        with closing(sqlite3.connect(out / STORE)) as database, database:
            database.execute(
                "update experiments set artifact_location = ? where artifact_location = ?",
                artifacts,
            )

    with patch.object(experiments.records.store, "_make", copied):
        yield made


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CLI:
    """Run a command line in this process; returns the exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["head-to-head", *map(str, arguments)])
        capsys.readouterr()  # what was said before is not the command's
        before = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            signal.signal(signal.SIGTERM, before)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def make_cells(tmp_path_factory: pytest.TempPathFactory) -> MakeCells:
    """A factory of data sets; see MakeCells."""

    def make(
        train: int = 12,
        dev: int = 6,
        val: int = 0,
        human: int = 4,
        *,
        duplicates: int = 2,
        leaked: int = 1,
        human_leaked: int = 1,
        seed: int = 0,
        name: str = "cells",
    ) -> Path:
        assert duplicates <= train // 2
        assert leaked <= min(train, dev)
        assert human_leaked <= min(train, human)
        folder = tmp_path_factory.mktemp("data") / name
        labelled = folder / "cell_images/training_set"
        labelled.mkdir(parents=True)
        lists = folder / "crnn_labels"
        lists.mkdir()
        rng = random.Random(seed)

        number = 0
        values: list[tuple[str, str]] = []
        originals: list[tuple[str, str]] = []  # of the training part, in order
        for part, count, copies in (
            ("train", train, duplicates),
            ("val", val, 0),
            ("dev", dev, leaked),
        ):
            rows = []
            for index in range(count):
                number += 1
                filename = f"{number}.jpg"
                if index >= count - copies:
                    source, label = originals[index - (count - copies)]
                    shutil.copyfile(labelled / source, labelled / filename)
                else:
                    label = _label(rng)
                    _draw(label, rng).save(labelled / filename, quality=95)
                if part == "train":
                    originals.append((filename, label))
                values.append((filename, label))
                # As published: class numbers follow the name, and are to be ignored.
                rows.append(f"{filename} {' '.join(str(rng.randrange(10)) for _ in label)}")
            if count or part != "val":
                (lists / f"{part}.txt").write_text("".join(f"{row}\n" for row in rows))
        _write_values(folder / "cell_images/training_set_values.txt", values)

        if human:
            images, output = folder / "cell_images/validation_set", folder / "output"
            images.mkdir()
            output.mkdir()
            truths = []
            for index in range(human):
                filename = f"{index + 1}.jpg"
                if index >= human - human_leaked:
                    source, label = originals[index - (human - human_leaked)]
                    shutil.copyfile(labelled / source, images / filename)
                else:
                    label = _label(rng)
                    _draw(label, rng).save(images / filename, quality=95)
                truths.append((filename, label))
            # human1 is always right; the others misread one image each.
            _write_values(output / "human1.txt", truths)
            for place, reader in enumerate(("human2", "output1", "output2")):
                read = [(f, t + "0" if i == place else t) for i, (f, t) in enumerate(truths)]
                _write_values(output / f"{reader}.txt", read)
        return folder

    return make


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report's figures are empty: they have tests of their own, and take seconds to draw."""

    def chart(self: Chapter, figure: object, data: object, name: str, *words: str) -> Chart:  # noqa: ARG001
        return Chart(f"{self.prefix}{name}", lambda: Drawn(b"<svg/>", b""), *words, data="")

    monkeypatch.setattr(Chapter, "chart", chart)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs of an ablation or a search are made in this process."""
    monkeypatch.setattr("experiments.sweep.engines.engine.LocalProcesses", InProcess)


class Store(NamedTuple):
    """An `out` folder with a barely trained run a decoder, and the data that they saw."""

    out: Path
    data: Path
    runs: dict[str, str]

    @property
    def images(self) -> Path:
        """The folder of the labelled images."""
        return self.data / "cell_images/training_set"

    def artifacts(self, decoder: str) -> Path:
        """Of the run with this decoder."""
        return self.out / "artifacts" / self.runs[decoder] / "artifacts"


@pytest.fixture(scope="session")
def store(make_cells: MakeCells, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Two finished runs, made once; a test that changes anything puts it back."""
    from experiments.training.run import run

    data = make_cells(train=24, dev=6, val=8, human=2)
    out = tmp_path_factory.mktemp("store")
    shared = {"epochs": 1, "batch_size": 8, "width_stride": 8, "hidden": 16}
    size = {"image.height": 32, "image.width": 80}
    # One of them padded: wherever new images are read, that must not be forgotten.
    runs = {
        decoder: run(
            run_config(shared | {"loss": loss, "decoder": decoder}, size | {"image.pad": pad}),
            data,
            out,
        )
        for loss, decoder, pad in (("ctc", "columns", 9), ("ce_stop", "latent_lstm", 0))
    }
    return Store(out, data, runs)


def _label(rng: random.Random) -> str:
    """One to three digits, now and then behind a '-' or with a '.' before the last."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 3)))
    if len(digits) > 1 and rng.random() < 0.2:
        digits = f"{digits[:-1]}.{digits[-1]}"
    return f"-{digits}" if rng.random() < 0.05 else digits


def _draw(label: str, rng: random.Random) -> Image.Image:
    """Dark print on grey paper with a little noise, so that no two drawn cells are identical."""
    paper = rng.randint(170, 220)
    cell = Image.new("RGB", (WIDTH, HEIGHT), (paper, paper, paper - 5))
    pen = ImageDraw.Draw(cell)
    # The font that Pillow embeds: the same on every machine.
    font = ImageFont.load_default(size=22)
    at = (rng.randint(2, 6), rng.randint(2, 7))
    ink = rng.randint(20, 60)
    pen.text(at, label, fill=(ink, ink, ink + 10), font=font)
    for _ in range(40):
        grey = paper + rng.randint(-12, 12)
        pen.point((rng.randrange(WIDTH), rng.randrange(HEIGHT)), fill=(grey, grey, grey))
    return cell


def _write_values(file: Path, rows: list[tuple[str, str]]) -> None:
    file.write_text("filename;value\n" + "".join(f"{name};{value}\n" for name, value in rows))
