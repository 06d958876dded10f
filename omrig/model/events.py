"""What a measured process tells the process that started it: one JSON object a line on a pipe."""

import contextlib
import json
import posix
from collections.abc import Callable
from typing import Any

Emit = Callable[..., None]


def emitter(descriptor: int) -> Emit:
    """A function ``emit(event, **values)`` that writes to the pipe ``descriptor``.

    It writes with the operating system's own call, which eventlet does not patch, so that it can
    be called from any thread; a line is shorter than a pipe's atomic write of 4096 bytes unless
    it carries a long text.
    """

    def emit(event: str, **values: Any) -> None:
        line = json.dumps({"event": event, **values}) + "\n"
        data = line.encode()
        # A parent that is gone hears nothing; what was measured is still written.
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[posix.write(descriptor, data) :]

    return emit
