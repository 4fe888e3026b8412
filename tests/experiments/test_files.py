"""Locks between processes, and within one."""

import multiprocessing
import time

import pytest

from experiments.errors import UserError
from experiments.files import is_held, lock


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
