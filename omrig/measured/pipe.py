"""The ends of the pipes between a measured process and the one that started it."""

import contextlib
import os
import posix
from collections.abc import Iterator

from omrig.model import events
from omrig.model.events import Emit, Event


def emitter(descriptor: int) -> Emit:
    """A function that says an event on the pipe ``descriptor``.

    It writes with the operating system's own call, which eventlet does not patch, so that it can
    be called from any thread; a line is shorter than a pipe's atomic write of 4096 bytes unless
    it carries a long text.
    """

    def emit(event: Event) -> None:
        data = events.encode(event).encode()
        # A parent that is gone hears nothing; what was measured is still written.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[posix.write(descriptor, data) :]

    return emit


def lines(descriptor: int) -> Iterator[str]:
    """What is said on the pipe ``descriptor``, a line at a time, until it is closed.

    Green threads run on while one waits here: the system's own call is not to block then, and is
    made through ``os``, which eventlet patches.
    """
    rest = b""
    while data := os.read(descriptor, 65536):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode()
