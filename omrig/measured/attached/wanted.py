"""Which recording is wanted: the file that a recorder keeps in its folder while it records."""

import dataclasses
import json
import posix

from omrig.measured.attached import files

NAME = "on"
"""The file: JSON with the fields of :class:`Wanted`."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A recording, and who wants it: process ``pid``, begun at ``start`` (field 22 of its
    ``/proc/PID/stat``). One message in ``sample`` is kept, in tables of ``limit_bytes`` each."""

    recording: str
    pid: int
    start: int
    sample: int
    limit_bytes: int

    @property
    def is_alive(self) -> bool:
        """Whether who wants it is still there."""
        return begun_at(self.pid) == self.start

    def write(self, folder: str) -> None:
        """Write it into ``folder``, whole. Raises ``OSError``."""
        files.replace(folder, NAME, json.dumps(dataclasses.asdict(self)))


def read(folder: str) -> Wanted | None:
    """What is wanted in ``folder``; None for nothing, or by somebody who is gone.

    Raises ``ValueError`` for a file that is not one.
    """
    try:
        text = files.read(f"{folder}/{NAME}")
    except OSError:
        return None
    try:
        wanted = Wanted(**json.loads(text))
    except TypeError as error:
        raise ValueError(f"{folder}/{NAME}: {error}") from error
    return wanted if wanted.is_alive else None


def begun_at(pid: int) -> int:
    """When a process began, in clock ticks since the machine did; 0 for none."""
    try:
        stat = files.read(f"/proc/{pid}/stat")
    except OSError:
        return 0
    # The second field is a name in parentheses, which may have any letters.
    fields = stat[stat.rindex(")") + 2 :].split()
    return 0 if fields[0] in "ZX" else int(fields[19])


def own(recording: str, sample: int, limit_bytes: int) -> Wanted:
    """A recording that this process itself wants, as long as it lives."""
    pid = posix.getpid()
    return Wanted(recording, pid, begun_at(pid), sample, limit_bytes)
