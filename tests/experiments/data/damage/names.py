"""Damage to what lists name: images, and the folder that they stand in."""

from __future__ import annotations

import errno
import os
import shutil
import unicodedata

import pytest

from experiments.data.images import Images
from tests.experiments.data.damage.bench import DEV, LABELLED, TRAIN, Check, case


@case("two values for an image", "row 20: 3.jpg has a second value, unlike that of row 4; keep one")
@case("two values for an image", "row 20: 3.jpg has a second value", lists=False)
def _(bench):
    bench.append(f"3.jpg{bench.separator}-0.12")


@case("the same value twice")
@case("the same value twice", lists=False)
def _(bench):
    bench.append(bench.values.read_text().splitlines()[3])


_TWICE = [(TRAIN, 13), (DEV, 7)]


@case(
    "image twice in the lists",
    "{}, row {}: 3.jpg is already in the train list; keep one",
    each=_TWICE,
)
def _(bench, file, _):
    bench.append("3.jpg 1", file)


@case("image without a value", f"{TRAIN}, row 13: 99.jpg has no value; add it to")
def _(bench):
    bench.append("99.jpg 1", TRAIN)


@case("image in no list")
def _(bench):
    bench.append("99.jpg;not even a number")
    (bench.images / "99.jpg").write_bytes(b"no image")


_FORMS = [("NFC", "NFD"), ("NFD", "NFC")]


@case(
    "name in another form of Unicode",
    "listed but absent; the same name in another Unicode form is there",
    "write one as the other",
    each=_FORMS,
)
@case("name in another form of Unicode", "Unicode form", each=_FORMS, lists=False)
def _(bench, listed, there):
    bench.rename(unicodedata.normalize(listed, "Gerät 3.jpg"))
    bench.image.rename(bench.image.with_name(unicodedata.normalize(there, "Gerät 3.jpg")))


@case(
    "name in another form of Unicode than its value",
    "has no value; the same name in another Unicode form is there",
    "write one as the other",
    each=_FORMS,
)
def _(bench, listed, there):
    name = unicodedata.normalize(there, "é3.jpg")
    bench.rename(name)
    bench.image.rename(bench.image.with_name(name))
    bench.row(f"{unicodedata.normalize(listed, name)} 1", 3, TRAIN)


@case(
    "image absent",
    "{}: listed but absent; add the image or remove its rows",
    each=[f"{LABELLED}/3.jpg", "cell_images/validation_set/2.jpg"],
)
@case("image absent", "{}: listed but absent", each=["3.jpg"], lists=False)
def _(bench, file):
    (bench.folder / file).unlink()


@case("image absent", "cells/1: listed but absent", lists=False)
def _(bench):
    # Neither header nor suffix: its row must not be taken for a header.
    rows = bench.values.read_text().splitlines()[1:]
    bench.values.write_text("\n".join(row.replace(".jpg", "") for row in rows))


@case("suffix in another case", f"{LABELLED}/3.JPG: listed but absent")
def _(bench):
    if (bench.images / "3.JPG").exists():
        pytest.skip("this file system takes both for one")
    bench.rename("3.JPG")


@case("folder in place of an image", f"{LABELLED}/3.jpg: listed but no file; add the image")
def _(bench):
    bench.replace(bench.image).mkdir()


@case("pipe in place of an image", f"{LABELLED}/3.jpg: listed but no file; add the image")
def _(bench):
    os.mkfifo(bench.replace(bench.image))


@case("device in place of an image", f"{LABELLED}/3.jpg: listed but no file; add the image")
def _(bench):
    bench.replace(bench.image).symlink_to("/dev/zero")


@case("link to nowhere", f"{LABELLED}/3.jpg: listed but absent; add the image")
def _(bench):
    bench.replace(bench.image).symlink_to("nowhere.jpg")


@case("links in a circle", f"{LABELLED}/3.jpg: listed but", os.strerror(errno.ELOOP))
def _(bench):
    bench.replace(bench.image).symlink_to(bench.image)


@case("link to an image")
def _(bench):
    elsewhere = bench.image.rename(bench.folder / "elsewhere")
    bench.image.symlink_to(elsewhere)


_OUT = ["../training_set/3.jpg", "sub/../../3.jpg", "/etc/hostname"]


@case(
    "name that leads out of the folder", "row 4: {} leads out of", "keep images below it", each=_OUT
)
def _(bench, name):
    bench.rename(name)


@case("name too long for a file system", "xxx.jpg: listed but", os.strerror(errno.ENAMETOOLONG))
def _(bench):
    bench.rename("x" * 300 + ".jpg")


_ODD = ["my cell  3.jpg", "sub folder/3.jpg", "№ 3 é \u202f.jpg", "~3 #%.jpg", "3"]


@case("spaces, folders, Unicode or no suffix in a name", each=_ODD)
@case("spaces, folders, Unicode or no suffix in a name", each=_ODD, lists=False)
def _(bench, name):
    (bench.images / name).parent.mkdir(exist_ok=True)
    bench.image.rename(bench.images / name)
    bench.rename(name)
    return renamed(name)


_QUOTED = [
    (name, row, at)
    for name, row in (("3;a,b.jpg", '"3;a,b.jpg",'), ('3"a".jpg', '"3""a"".jpg",'))
    for at in (4, 1)
]


@case("separator or quotes in a quoted name", each=_QUOTED, lists=False)
def _(bench, name, row, at):
    bench.image.rename(bench.images / name)
    row += bench.label_of(3)
    bench.row("", 4)
    bench.row(row, at)  # the first row shows the separator as well
    return renamed(name)


@case("';' in a .csv file, with decimal commas", settings=('charset="0123456789,-"',), lists=False)
def _(bench):
    text = bench.values.read_text()
    bench.values.write_text(text.replace(",", ";").replace(".", ",").replace(",jpg", ".jpg"))

    def check(found, plain):
        before = [(row.label or "").replace(".", ",") for row in plain.rows]
        assert [row.label for row in found.rows] == before

    return check


@case("image under two spellings of its name", lists=False)
def _(bench):
    bench.append(f"./3.jpg,{bench.label_of(3)}")

    def check(found, _):
        one, other = (i for i, row in enumerate(found.rows) if row.path.name == "3.jpg")
        assert found.groups[one] == found.groups[other]

    return check


def renamed(name: str) -> Check:
    """The image that was 3.jpg has this name; all else is as it was."""

    def check(found: Images, plain: Images) -> None:
        pixels = {
            (row.part, row.filename): (row.label, at.tobytes())
            for row, at in zip(plain.rows, plain.pixels.numpy(), strict=True)
        }
        for row, at in zip(found.rows, found.pixels.numpy(), strict=True):
            key = (row.part, "3.jpg" if row.filename == name else row.filename)
            assert pixels.pop(key) == (row.label, at.tobytes())
        assert not pixels

    return check


# --- folders


@case("data folder absent", "{}: no such folder; set DATA (--data)", each=["cells"])
def _(bench, _):
    shutil.rmtree(bench.folder)


@case("file in place of the data folder", "{}: is no folder; set DATA (--data)", each=["cells"])
def _(bench, _):
    shutil.rmtree(bench.folder)
    bench.folder.write_text("filename;value\n")


@case(
    "folder without lists and .csv file",
    "cells: no .csv file and no",
    "give it one .csv",
    lists=False,
)
def _(bench):
    bench.values.rename(bench.folder / "labels.txt")


@case(
    "folder with two .csv files",
    "cells: labels.csv and more.CSV and no",
    "give it one",
    lists=False,
)
def _(bench):
    shutil.copy(bench.values, bench.folder / "more.CSV")


@case("hidden .csv file beside the other", lists=False)
def _(bench):
    (bench.folder / "._labels.csv").write_bytes(b"\0\5\x16\7")


@case(
    ".csv file of one column",
    "labels.csv, row 1: 'filename' has one column; write filename,value",
    lists=False,
)
def _(bench):
    bench.values.write_text("filename\n1.jpg\n")


@case(
    "spreadsheet under the name of a .csv file", "labels.csv, row 1: holds a zero byte", lists=False
)
def _(bench):
    bench.values.write_bytes(b"PK\x03\x04\x14\0\6\0\x08\0\0\0!\0")
