"""Standard output and standard error as they may be: closed, full, without a reader, ASCII only."""

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator

from omrig.model import errors

_PLAIN = {
    "µ": "u",
    "μ": "u",
    "±": "+-",
    "\N{MULTIPLICATION SIGN}": "x",
    "·": "-",
    "…": "...",
    "\N{EN DASH}": "-",
    "█": "#",
    "▌": "#",
    "▐": "#",
    "▓": "#",
    "▒": "=",
    "░": "-",
}
"""What is written for letters that the terminal does not have; for others a question mark."""

_HANDLER = "omrig.plain"


class OutputError(Exception):
    """Standard output takes no more; the text says so, for a person."""


class _Unheard(io.FileIO):
    """Standard error: what nobody can hear any more must not end a run."""

    def write(self, data) -> int:  # type: ignore[no-untyped-def]
        """All of ``data``, or nothing where it cannot be written: there is nobody to be told."""
        try:
            return super().write(data) or 0
        except OSError:
            return len(data)


def prepare() -> None:
    """Make the process' own streams safe to write to, whatever they are and whatever is written.

    Text that the terminal's encoding lacks is replaced. Standard error never fails; standard output
    fails with OSError, also where it is closed, and no file is opened in its place.
    """
    codecs.register_error(_HANDLER, _replace)
    _occupy()
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_HANDLER)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = sys.stderr.encoding if sys.stderr else "utf-8"
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(_Unheard(2, "w", closefd=False)),
            encoding=encoding,
            errors=_HANDLER,
            line_buffering=True,
        )


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """What the block prints has been written when it ends.

    Nothing is said of a reader that has gone: ``omrig report RUN | head``. Raises
    :class:`OutputError` where standard output takes no more.
    """
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up()
    except OSError as error:
        # Of a file it would have the name.
        if error.filename is not None:
            raise
        _give_up()
        why = "it is closed" if error.errno == errno.EBADF else errors.reason(error)
        raise OutputError(f"standard output: {why}") from error


def _occupy() -> None:
    """Open the closed ones of descriptors 0 to 2, such that nothing can be written to them."""
    # The lowest free descriptor is taken: as soon as it is a higher one, none of them is free.
    while (descriptor := os.open(os.devnull, os.O_RDONLY)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _give_up() -> None:
    """What is still buffered is not to be tried again at the end of the process."""
    if sys.stdout is not sys.__stdout__ and sys.__stdout__ is not None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter, rest = error.object[error.start], error.start + 1
    if "\udc80" <= letter <= "\udcff":
        # A byte of a file's name that is not UTF-8: as it is the name can be copied.
        return bytes([ord(letter) - 0xDC00]), rest
    return _PLAIN.get(letter, "?"), rest
