"""A command is told to end, and ends: whatever was interrupted, and whatever that made of it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from training.exits import terminable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_library_makes_of_an_interrupt_is_an_interrupt(number: signal.Signals) -> None:
    told = threading.Event()
    with pytest.raises(KeyboardInterrupt) as found, terminable(told):  # noqa: PT012 - it is a block
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None
    assert isinstance(found.value.__cause__, ImportError)
    assert told.is_set()


def test_an_error_that_nobody_asked_for_stays_what_it_is() -> None:
    told = threading.Event()
    with pytest.raises(ImportError), terminable(told):
        raise ImportError("no module")
    assert not told.is_set()


def test_a_ctrl_c_that_is_ignored_stays_so_and_all_is_as_before_in_the_end() -> None:
    before = signal.getsignal(signal.SIGTERM)
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, heard)
    assert signal.getsignal(signal.SIGTERM) is before
