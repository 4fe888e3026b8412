"""Locks between processes and within one; records that are read back with proof."""

import multiprocessing
import time
from contextlib import suppress

import pytest

from experiments.errors import UserError
from experiments.files import (
    DamagedError,
    free_name,
    is_held,
    lock,
    read_checked,
    whole_folder,
    write_checked,
)


def hold(file, taken):
    with lock(file):
        taken.set()
        time.sleep(600)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a.lock."""
    context = multiprocessing.get_context("spawn")
    taken = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "a.lock", taken))
    process.start()
    assert taken.wait(60)
    yield process
    process.kill()
    process.join()


def test_a_lock_is_refused_while_another_process_holds_it(tmp_path, holder):
    file = tmp_path / "a.lock"
    assert is_held(file)
    with pytest.raises(UserError, match="busy"), lock(file, otherwise="busy"):
        raise AssertionError("two holders")
    holder.kill()
    holder.join()
    # Its holder is dead, and so it is free.
    assert not is_held(file)
    with lock(file):
        assert is_held(file)
    assert not is_held(file)


def test_who_waits_gets_it_in_the_end(tmp_path):
    context = multiprocessing.get_context("spawn")
    taken = context.Event()
    with lock(tmp_path / "a.lock"):
        waiting = context.Process(target=hold, args=(tmp_path / "a.lock", taken))
        waiting.start()
        assert not taken.wait(3)
    assert taken.wait(60)
    waiting.kill()
    waiting.join()


def test_an_error_within_frees_it(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "deep/er/a.lock"):
        raise ZeroDivisionError
    assert not is_held(tmp_path / "deep/er/a.lock")


CONTENT = {"rates": [0.1, 1e-5], "low": 0.1 + 0.2, "done": True}


def test_what_was_written_with_its_digest_comes_back(tmp_path):
    write_checked(tmp_path / "it.json", CONTENT)
    assert read_checked(tmp_path / "it.json") == CONTENT
    with pytest.raises(FileNotFoundError):
        read_checked(tmp_path / "other.json")


def test_no_bit_of_it_can_be_flipped_unnoticed(tmp_path):
    file = tmp_path / "it.json"
    write_checked(file, CONTENT)
    whole = file.read_bytes()
    for bit in range(0, 8 * len(whole), 7):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)
        with suppress(DamagedError):
            assert read_checked(file) == CONTENT


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 80, b"[]", b"{}", b'"digest"', b"1", b"[" * 100_000, b"\xff\xfe"]
)
def test_anything_else_is_named_as_damaged(tmp_path, content):
    file = tmp_path / "it.json"
    file.write_bytes(content)
    with pytest.raises(DamagedError, match=r"it\.json"):
        read_checked(file)


def test_a_folder_has_its_name_once_it_is_whole(tmp_path):
    folder = tmp_path / "made"
    with whole_folder(folder) as making:
        (making / "a").write_text("1")
        assert not folder.exists()
    assert (folder / "a").read_text() == "1"
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [file.name for file in tmp_path.iterdir()] == ["made"]


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path):
    def half() -> None:
        with whole_folder(tmp_path / "made") as making:
            (making / "a").write_text("1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "theirs").mkdir()
    for folder, reason in ((tmp_path / "theirs", "exists already"), (tmp_path / "a/b", "no such")):
        with pytest.raises(UserError, match=reason), whole_folder(folder):
            pytest.fail("nothing is to be made")
    assert [file.name for file in tmp_path.iterdir()] == ["theirs"]


def test_what_is_set_aside_within_a_second_has_names_of_its_own(tmp_path):
    names = []
    for _ in range(5):
        names.append(free_name(tmp_path / "mlflow.db", "before-move"))
        names[-1].touch(exist_ok=False)
    assert len(set(names)) == 5
    assert {one.suffix for one in names} == {".db"}
    assert all(one.name.startswith("mlflow-before-move-2") for one in names)
