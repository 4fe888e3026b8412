"""Files that are whole or not there: under failing disks, killed writers and other writers."""

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analysis.files import whole, write_whole


def test_a_text_is_written_as_utf8_and_nothing_lies_beside_it(tmp_path):
    write_whole(tmp_path / "a.txt", "−½")
    assert (tmp_path / "a.txt").read_bytes() == "−½".encode()
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a.txt"
    write_whole(file, "old")

    def full(path, content):
        with open(path, "wb") as handle:
            handle.write(content[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "new and longer")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_content_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    happened = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (happened.append("sync"), sync(handle)))

    def renaming(path, target):
        happened.append("rename")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", renaming)
    write_whole(tmp_path / "a.txt", "new")
    # The content, the name, and then the folder that holds the name.
    assert happened == ["sync", "rename", "sync"]


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    file = tmp_path / "a.txt"
    texts = [letter * 200_000 for letter in "ab"]

    def write(text):
        for _ in range(10):
            write_whole(file, text)

    writers = [threading.Thread(target=write, args=(text,)) for text in texts]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert file.read_text() in texts
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_that_may_not_be_replaced_is_not(tmp_path):
    file = tmp_path / "a.txt"
    making = whole(file, replace=False)
    making.__enter__().write_text("ours")
    file.write_text("theirs")
    with pytest.raises(FileExistsError):
        making.__exit__(None, None, None)
    assert file.read_text() == "theirs"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_file_is_new_on_a_disk_without_links_too(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    file = tmp_path / "a.txt"
    with whole(file, replace=False) as making:
        making.write_text("ours")
    assert file.read_text() == "ours"
    with pytest.raises(FileExistsError), whole(file, replace=False) as making:
        making.write_text("later")
    assert file.read_text() == "ours"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_a_killed_writer_left_is_removed_once_it_is_old(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; from analysis.files import whole\n"
        "with whole(Path(sys.argv[1])) as making:\n"
        "    making.write_text('half')\n"
        "    os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.txt"], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".making")
    other = tmp_path / "b.txt"
    write_whole(tmp_path / "a.txt", "whole")
    assert left.exists()  # another process might be at it
    old = time.time() - 7200
    os.utime(left, (old, old))
    write_whole(other, "of another file")
    assert left.exists()
    write_whole(tmp_path / "a.txt", "whole")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


def test_under_a_lock_it_is_removed_at_once(tmp_path):
    (tmp_path / ".a.txt.0123456789abcdef.making").touch()
    with whole(tmp_path / "a.txt", alone=True) as making:
        making.write_text("whole")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_name_as_long_as_names_can_be(tmp_path):
    file = tmp_path / ("a" * 251 + ".txt")
    write_whole(file, "whole")
    assert os.listdir(tmp_path) == [file.name]
