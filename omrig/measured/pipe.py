"""The end of the pipe on which a measured process says how it is getting on."""

import contextlib
import posix

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
