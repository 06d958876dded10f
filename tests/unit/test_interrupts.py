"""Signals that ask for the end."""

import os
import signal

import pytest

from omrig.interrupts import ASKING, Interrupts


@pytest.mark.parametrize("number", ASKING)
def test_a_signal_interrupts_or_is_counted(number):
    interrupts = Interrupts()
    before = signal.getsignal(number)
    with interrupts.handled():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        with interrupts.deferring():
            os.kill(os.getpid(), number)
            with interrupts.deferring(False), pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    assert interrupts.count == 3
    assert signal.getsignal(number) == before


def test_who_ignores_the_end_of_the_terminal_goes_on_to():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts().handled():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
