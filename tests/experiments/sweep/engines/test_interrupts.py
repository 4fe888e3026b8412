"""What would stop a process, sent to this one while a step must not be cut in two."""

import signal
import threading

import pytest

from experiments.sweep.engines.interrupts import interrupts_wait

STOPPING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class StoppedError(Exception):
    pass


@pytest.fixture(params=STOPPING, ids=lambda number: number.name)
def number(request):
    """A signal, whose handler raises; the others are ignored."""

    def stop(*_):
        raise StoppedError

    before = {number: signal.getsignal(number) for number in STOPPING}
    for other in STOPPING:
        signal.signal(other, stop if other == request.param else signal.SIG_IGN)
    yield request.param
    for other, handler in before.items():
        signal.signal(other, handler)


def handlers():
    return [signal.getsignal(number) for number in STOPPING]


def test_it_is_heard_at_the_end_and_once(number):
    before, did = handlers(), []

    def step():
        with interrupts_wait():
            signal.raise_signal(number)
            signal.raise_signal(number)
            did.append("all of it")

    with pytest.raises(StoppedError):
        step()
    assert did == ["all of it"]
    assert handlers() == before


def test_without_one_nothing_is_changed(number):
    before = handlers()
    with interrupts_wait():
        pass
    assert handlers() == before
    with pytest.raises(ZeroDivisionError), interrupts_wait():
        raise ZeroDivisionError
    assert handlers() == before
    with pytest.raises(StoppedError):
        signal.raise_signal(number)


def test_what_is_ignored_stays_ignored(number):
    with interrupts_wait():
        for other in set(STOPPING) - {number}:
            signal.raise_signal(other)


def test_in_another_thread_it_does_nothing(number):  # noqa: ARG001
    """Python hears signals in the main thread, and lets no other change who hears them."""
    did = []

    def step():
        with interrupts_wait():
            did.append("all of it")

    before = handlers()
    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert did == ["all of it"]
    assert handlers() == before
