"""Data sets that no split suits, and damage to the cache of decoded images."""

from __future__ import annotations

import errno
import os
import shutil

import numpy as np

from experiments.data import images
from experiments.data.splits import make_split
from tests.experiments.data.damage.bench import LABELLED, case, config
from tests.experiments.data.damage.files import encoded, paint


@case("identical images with different labels")
def _(bench):
    shutil.copy(bench.images / "13.jpg", bench.images / "14.jpg")
    bench.row("13.jpg;1", 14)
    bench.row("14.jpg;2", 15)

    def check(found, _):
        split = make_split(found, config(()))
        two = {i for i, row in enumerate(found.rows) if row.filename in ("13.jpg", "14.jpg")}
        assert len(two & set(split.test)) == 2
        assert not two & split.clean

    return check


@case(
    "no test image that training has not",
    "cells: the test part",
    "split",
    settings=("split=clean",),
)
def _(bench):
    for number in range(13, 19):
        shutil.copy(bench.images / f"{number - 12}.jpg", bench.images / f"{number}.jpg")


@case(
    "too few images for a batch",
    "the training part has",
    "a batch 500",
    "set batch_size",
    settings=("batch_size=500",),
)
def _(bench):
    pass


@case(
    "all training images held back",
    "cells: the training part of the split is empty; add images",
    settings=("split=published",),
)
def _(bench):
    for number in range(2, 13):
        shutil.copy(bench.images / "1.jpg", bench.images / f"{number}.jpg")


@case(
    "fold that there is not",
    "fold: the last of 3 folds is 2",
    settings=("split=kfold", "folds=3", "fold=3"),
)
def _(bench):
    pass


@case(
    "more folds than groups",
    "cells: the test part",
    "folds",
    settings=("split=kfold", "folds=50", "fold=49"),
)
def _(bench):
    pass


# --- the cache of decoded images


@case("cache truncated", each=[0, 5, 200, 0.9])
def _(bench, length):
    file = bench.cached()
    content = file.read_bytes()
    file.write_bytes(content[: int(length * len(content)) if length == 0.9 else length])


@case("cache with a bit flipped", each=[3, 40, 200, -1, -5000])
def _(bench, place):
    file = bench.cached()
    content = bytearray(file.read_bytes())
    content[place] ^= 16
    file.write_bytes(content)


@case(
    "cache of garbage", each=[b"garbage", bytes(10**6), b"PK\3\4", b"\x93NUMPY\2\0\xff\xff\xff\xff"]
)
def _(bench, content):
    bench.cached().write_bytes(content)


@case("cache of another shape")
def _(bench):
    with bench.cached().open("wb") as file:
        np.save(file, np.zeros((3, 4)))


@case("cache of other images")
def _(bench):
    # Two records change places: each is whole, and neither is what belongs there.
    file = bench.cached()
    records = np.frombuffer(file.read_bytes(), dtype=np.uint8).reshape(21, -1).copy()
    records[[0, 1]] = records[[1, 0]]
    file.write_bytes(records.tobytes())


@case("cache left half-made by a kill")
def _(bench):
    file = bench.cached()
    left = file.with_name(f".{file.name}.0123456789abcdef.making")
    left.write_bytes(file.read_bytes()[:9000])
    file.unlink()


@case(
    "cache folder that cannot be written",
    ".records: the images cannot be kept there ({})",
    "set OUT",
    each=["Permission denied"],
)
def _(bench, _):
    bench.deny("open", errno.EACCES, lambda path: path.suffix in (".lock", ".making"))


@case(
    "disk full",
    ".records: the images cannot be kept there ({})",
    "has room",
    each=[os.strerror(errno.ENOSPC)],
)
def _(bench, _):
    bench.deny("replace", errno.ENOSPC, lambda path: path.suffix == ".making")


@case(
    "image changed while it is read",
    f"{LABELLED}/3.jpg: was changed while it was read; run it again",
)
def _(bench):
    true = images.decode

    def late(path, *size):
        if path == bench.image:
            path.write_bytes(encoded(paint(), "PNG"))
        return true(path, *size)

    bench.patch.setattr(images, "decode", late)
