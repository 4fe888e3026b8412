"""Unpacking: what is wanted comes out as it was, and nothing else ever does."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import tarfile
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.data.published.archive import ArchiveError, Limits, unpack

TOP = "repo-abc"
WANTED = ("images", "lists/train.txt")
GOOD = {
    "README.md": b"not wanted",
    "images/1.jpg": b"one",
    "images/deep/er/2.jpg": b"two" * 1000,
    "lists/train.txt": b"1.jpg\n",
    "lists/other.txt": b"not wanted",
}
LIMITS = Limits(members=50, file=10_000, wanted=20_000, stream=1_000_000)


def member(name, kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def packed(*entries, top=TOP, form=tarfile.PAX_FORMAT):
    """The bytes of a tar: the good files, then entries as (TarInfo or name, content)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers={"comment": "0" * 40}) as tar:
        good = [(f"{top}/{name}", content) for name, content in GOOD.items()]
        for name, content in (*good, *entries):
            info = name if isinstance(name, tarfile.TarInfo) else member(name)
            if info.isreg() and not info.size:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return out.getvalue()


@pytest.fixture
def opened(tmp_path):
    """Unpack these bytes of a tar, or of a gzipped one; returns what is then in the folder."""

    def opened(content, limits=LIMITS, zipped=False):
        archive = tmp_path / "archive.tar.gz"
        archive.write_bytes(content if zipped else gzip.compress(content))
        unpack(archive, WANTED, tmp_path / "made", limits)
        return found(tmp_path / "made")

    return opened


def found(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


WANTED_FILES = {name: content for name, content in GOOD.items() if name.startswith("images/")} | {
    "lists/train.txt": GOOD["lists/train.txt"]
}


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_wanted_files_come_out_and_no_others(opened, form):
    assert opened(packed(form=form)) == WANTED_FILES


def test_links_elsewhere_are_passed_over(opened):
    # The published repository once had a Python environment in it.
    link = member(f"{TOP}/env/bin/python", tarfile.SYMTYPE, linkname="/usr/bin/python3")
    assert opened(packed((link, b""))) == WANTED_FILES


def test_a_long_path_and_the_mode_come_along(opened, tmp_path):
    long = "images/" + "/".join(["d" * 60] * 5) + "/tool"
    run = member(f"{TOP}/{long}", mode=0o775)
    plain = member(f"{TOP}/images/plain", mode=0o664)
    files = opened(packed((run, b"run"), (plain, b"plain")))
    assert files == WANTED_FILES | {long: b"run", "images/plain": b"plain"}
    assert (tmp_path / "made" / long).stat().st_mode & 0o111 == 0o100
    assert (tmp_path / "made/images/plain").stat().st_mode & 0o111 == 0


def test_a_path_that_is_not_there_is_no_error(opened):
    assert opened(packed(top=f"{TOP}/images")) == {
        f"images/{name}": content for name, content in GOOD.items()
    }


def lies_of_its_size(size):
    """An entry whose header says so, with nothing behind it."""
    return packed()[:-10240] + member(f"{TOP}/images/x", size=size).tobuf(tarfile.GNU_FORMAT)


def pax(name, **headers):
    return member(name, pax_headers=headers)


HOSTILE = {
    "a path out of the folder": (
        packed((f"{TOP}/images/../../../evil", b"x")),
        "'repo-abc/images/../../../evil' leads out of the archive's own folder",
    ),
    "a path out of the top": (
        packed(("../images/evil", b"x")),
        "'../images/evil' leads out of the archive's own folder",
    ),
    "a path out, elsewhere": (
        packed((f"{TOP}/docs/../../evil", b"x")),
        "'repo-abc/docs/../../evil' leads out of the archive's own folder",
    ),
    "an absolute path": (
        packed(("/tmp/images/evil", b"x")),
        "'/tmp/images/evil' leads out of the archive's own folder",
    ),
    "an absolute path in an extended header": (
        packed((pax("short", path="/images/evil"), b"x")),
        "'/images/evil' leads out of the archive's own folder",
    ),
    "a symbolic link": (
        packed((member(f"{TOP}/images/link", tarfile.SYMTYPE, linkname="/etc"), b"")),
        "'repo-abc/images/link' is a symbolic link; only plain files and folders are unpacked",
    ),
    "a symbolic link for the folder": (
        packed((member(f"{TOP}/lists", tarfile.SYMTYPE, linkname="/tmp"), b"")),
        "'repo-abc/lists' is a symbolic link; only plain files and folders are unpacked",
    ),
    "a hard link": (
        packed((member(f"{TOP}/images/link", tarfile.LNKTYPE, linkname="/etc/passwd"), b"")),
        "'repo-abc/images/link' is a hard link; only plain files and folders are unpacked",
    ),
    "a hard link elsewhere": (
        packed((member(f"{TOP}/x", tarfile.LNKTYPE, linkname=f"{TOP}/images/1.jpg"), b"")),
        "'repo-abc/x' is a hard link; only plain files and folders are unpacked",
    ),
    **{
        f"a device of type {kind!r}": (
            packed((member(f"{TOP}/images/dev", kind, devmajor=1, devminor=3), b"")),
            "'repo-abc/images/dev' is a device or of no known kind; "
            "only plain files and folders are unpacked",
        )
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    },
    "a file where a folder is wanted": (
        packed((f"{TOP}/lists", b"x")),
        "'repo-abc/lists' is a file; only plain files and folders are unpacked",
    ),
    "a name twice": (
        packed((f"{TOP}/images/1.jpg", b"x")),
        "'images/1.jpg' collides with 'images/1.jpg'",
    ),
    "a name twice, written in another way": (
        packed((f"{TOP}//images/./1.jpg", b"x")),
        "'images/1.jpg' collides with 'images/1.jpg'",
    ),
    "a name in other case": (
        packed((f"{TOP}/images/1.JPG", b"x")),
        "'images/1.JPG' collides with 'images/1.jpg'",
    ),
    "a folder in other case": (
        packed((f"{TOP}/images/Deep/3.jpg", b"x")),
        "'images/Deep/3.jpg' collides with 'images/deep/'",
    ),
    "a file of a folder's name": (
        packed((f"{TOP}/images/deep", b"x")),
        "'images/deep' collides with 'images/deep/'",
    ),
    "a folder of a file's name": (
        packed((f"{TOP}/images/1.jpg/x", b"x")),
        "'images/1.jpg/x' collides with 'images/1.jpg'",
    ),
    "a name that is not plain": (
        packed((f"{TOP}/images/a\\b\n", b"x")),
        r"'images/a\\b\n' has a name that is not plain",
    ),
    "a name that is too long": (
        packed((f"{TOP}/images/{'a' * 300}", b"x")),
        f"'images/{'a' * 300}' has a name that is not plain",
    ),
    "a path that is too deep": (
        packed((f"{TOP}/images/{'a/' * 400}x", b"x")),
        f"'images/{'a/' * 400}x' lies deeper than 8 folders",
    ),
    "too many entries": (
        packed(*[(f"{TOP}/docs/{i}", b"") for i in range(50)]),
        "has more than 50 entries",
    ),
    "a file that is too large": (
        packed((f"{TOP}/images/bomb", b"\0" * 10_001)),
        "'repo-abc/images/bomb' has more than 10,000 bytes",
    ),
    "files that are too large together": (
        packed(*[(f"{TOP}/images/{i}", b"\0" * 9_999) for i in "abc"]),
        "the wanted files have more than 20,000 bytes",
    ),
    "too much of what is not wanted": (
        packed(*[(f"{TOP}/docs/{i}", b"\0" * 600_000) for i in "ab"]),
        "unpacks to more than 1,000,000 bytes in all",
    ),
    "a size that is not there": (
        lies_of_its_size(9_000),
        "not a whole .tar.gz file (unexpected end of data)",
    ),
    "a size beyond all limits": (
        lies_of_its_size(1 << 60),
        "'repo-abc/images/x' has a size of 1,152,921,504,606,846,976 bytes",
    ),
    "a size below zero": (
        packed((pax(f"{TOP}/images/x", size="-512"), b"x")),
        "'repo-abc/images/x' has a size of -512 bytes",
    ),
    "a header that is a bomb": (
        packed((pax("x", path=f"{TOP}/images/" + "a" * 500_000), b"x")),
        "has a header of more than 65,536 bytes",
    ),
    "a header that is a bomb behind a folder that has a size": (
        packed(
            (member(f"{TOP}/docs", tarfile.DIRTYPE, size=900_000), b""),
            (pax("x", path=f"{TOP}/images/" + "a" * 500_000), b"x"),
        ),
        "has a header of more than 65,536 bytes",
    ),
    "a sparse file": (
        packed(
            (
                pax(
                    f"{TOP}/images/x",
                    **{"GNU.sparse.size": "9999999999999", "GNU.sparse.map": "0,1"},
                ),
                b"x",
            )
        ),
        "'repo-abc/images/x' has a size of 9,999,999,999,999 bytes",
    ),
    "a sparse file that is small": (
        packed(
            (pax(f"{TOP}/images/x", **{"GNU.sparse.size": "99", "GNU.sparse.map": "0,1"}), b"x")
        ),
        "'repo-abc/images/x' is a device or of no known kind; "
        "only plain files and folders are unpacked",
    ),
}


def refused(opened, tmp_path, *content, **options):
    """Unpacking fails; returns what is said of it. Nothing but plain files was made, and little."""
    with pytest.raises(ArchiveError) as caught:
        opened(*content, **options)
    assert {path.name for path in tmp_path.iterdir()} == {"archive.tar.gz", "made"}
    only_plain_files(tmp_path / "made")
    head, _, line = str(caught.value).partition(": ")
    assert head == str(tmp_path / "archive.tar.gz")
    assert "\n" not in line
    return line


def only_plain_files(folder):
    made = list(folder.rglob("*"))
    assert not [path for path in made if path.is_symlink() or not (path.is_file() or path.is_dir())]
    assert sum(path.stat().st_size for path in made if path.is_file()) <= LIMITS.wanted


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_gets_one_line(opened, tmp_path, case):
    content, line = HOSTILE[case]
    assert refused(opened, tmp_path, content) == line
    assert not Path("/tmp/images/evil").exists()


def test_what_stands_behind_the_end_is_never_read(opened):
    assert opened(packed() + b"\0" * 10_000_000) == WANTED_FILES


GZIPPED = gzip.compress(packed(("images/noise", random.Random(0).randbytes(9_000))))
BROKEN = {
    "nothing": (b"", "not a whole .tar.gz file (empty file)"),
    "a page": (b"<!DOCTYPE html>", "not a whole .tar.gz file (Not a gzipped file (b'<!'))"),
    "the half of it": (
        GZIPPED[: len(GZIPPED) // 2],
        "not a whole .tar.gz file "
        "(Compressed file ended before the end-of-stream marker was reached)",
    ),
    "its first byte": (GZIPPED[:1], "not a whole .tar.gz file (Not a gzipped file (b'\\x1f'))"),
    "a gzipped page": (
        gzip.compress(b"<!DOCTYPE html>" * 100),
        "not a whole .tar.gz file (invalid header)",
    ),
    "a tar that is not gzipped": (
        packed(),
        "not a whole .tar.gz file (Not a gzipped file (b'./'))",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_archive_gets_one_line(opened, tmp_path, case):
    content, line = BROKEN[case]
    assert refused(opened, tmp_path, content, zipped=True) == line


def test_an_archive_that_is_cut_off_anywhere_is_whole_or_refused(tmp_path):
    for at in range(0, len(GZIPPED), 397):
        whole_or_refused(tmp_path / str(at), GZIPPED[:at])


CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=24)))


@settings(max_examples=60)
@given(CHANGES, st.booleans())
def test_an_archive_that_is_changed_anywhere_is_unpacked_or_refused(changes, zipped):
    content = bytearray(GZIPPED if zipped else packed(*ENTRIES))
    for place, change in changes:
        # Most of a small tar is empty blocks behind its end.
        at = int(place * (len(content) if zipped else 12_000))
        content[at : at + len(change)] = change
    if not zipped:
        sign(content)
    with tempfile.TemporaryDirectory() as folder:
        changed = bytes(content) if zipped else gzip.compress(content, 1)
        whole_or_refused(Path(folder) / "case", changed)


def sign(content):
    """Put the headers' checksums right, or a changed header would not even be looked at."""
    for at in range(0, len(content), 512):
        if content[at + 257 : at + 262] == b"ustar":
            content[at + 148 : at + 156] = b" " * 8
            content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + 512])


# One of every kind of header.
ENTRIES = (
    (pax("x", path=f"{TOP}/images/" + "long" * 20, size="3"), b"abc"),
    (member(f"{TOP}/images", tarfile.DIRTYPE), b""),
    (member(f"{TOP}/env", tarfile.SYMTYPE, linkname="a" * 120), b""),
)


def whole_or_refused(folder, content):
    """No error but ArchiveError, nothing made but plain files below its own folder."""
    folder.mkdir()
    (folder / "archive.tar.gz").write_bytes(content)
    with contextlib.suppress(ArchiveError):
        unpack(folder / "archive.tar.gz", WANTED, folder / "made", LIMITS)
    assert {path.name for path in folder.iterdir()} == {"archive.tar.gz", "made"}
    only_plain_files(folder / "made")
