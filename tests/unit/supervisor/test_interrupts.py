"""Signals that ask for the end."""

import contextlib
import os
import signal

import pytest

from omrig.supervisor.interrupts import ASKING, Interrupts


@contextlib.contextmanager
def handling(number, handler):
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_interrupts_or_is_counted(number):
    interrupts = Interrupts()
    # As in the foreground, wherever the tests run.
    with handling(number, signal.default_int_handler):
        with interrupts.handled():
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
            with interrupts.deferring():
                os.kill(os.getpid(), number)
                with interrupts.deferring(False), pytest.raises(KeyboardInterrupt):
                    os.kill(os.getpid(), number)
        assert interrupts.count == 3
        assert signal.getsignal(number) == signal.default_int_handler


@pytest.mark.parametrize("number", ASKING)
def test_what_is_ignored_stays_ignored(number):
    interrupts = Interrupts()
    with handling(number, signal.SIG_IGN), interrupts.handled():
        os.kill(os.getpid(), number)
        assert signal.getsignal(number) == signal.SIG_IGN
    assert interrupts.count == 0
