"""Files by the system's calls themselves: what is patched for green threads is not used."""

import posix

_OWN = 0o600
_READ_BYTES = 1 << 16


def read(path: str) -> str:
    """The text in a file. Raises ``OSError``."""
    descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        parts = []
        while part := posix.read(descriptor, _READ_BYTES):
            parts.append(part)
    finally:
        posix.close(descriptor)
    return b"".join(parts).decode(errors="replace")


def append(path: str, text: str) -> None:
    """Add ``text`` to a file, in one piece; only its user can read it. Raises ``OSError``."""
    _write(path, text, posix.O_APPEND)


def replace(folder: str, name: str, text: str) -> None:
    """Put ``text`` into a file of ``folder``, in place of what there was. Raises ``OSError``."""
    part = f"{folder}/.{name}.{posix.getpid()}.part"
    _write(part, text, posix.O_TRUNC)
    posix.replace(part, f"{folder}/{name}")


def _write(path: str, text: str, how: int) -> None:
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_CLOEXEC | how
    descriptor = posix.open(path, flags, _OWN)
    try:
        rest = memoryview(text.encode())
        while rest:
            rest = rest[posix.write(descriptor, rest) :]
    finally:
        posix.close(descriptor)
