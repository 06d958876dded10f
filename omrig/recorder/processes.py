"""Processes that were started under ``omrig exec``, with an agent or without a connection yet."""

import dataclasses
import os
import time
from pathlib import Path

from omrig.model.boot import boot_id
from omrig.model.units import NS
from omrig.recorder.agents import Attached
from omrig.recorder.folder import start_of

VARIABLE = "OMRIG_EXEC"
"""The variable in the environment of such a process that names its folder."""

_NAME = "OMRIG_EXEC_NAME"
_PROC = Path("/proc")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Started:
    """A process that was started under ``omrig exec``, and what it was called there."""

    pid: int
    name: str

    @property
    def label(self) -> str:
        """How a line calls it."""
        return f"{self.name} {self.pid}"


def started(folder: Path) -> list[Started]:
    """The living processes whose environment names ``folder``, but us and those that started us.

    Those of other users are not seen without root.
    """
    wanted, own, found = os.path.realpath(folder), _ancestors(), []
    for path in _PROC.iterdir():
        if not path.name.isdecimal() or int(path.name) in own:
            continue
        try:
            environment = _environment(path)
        except OSError:
            # It has ended, or is somebody else's.
            continue
        if (named := environment.get(VARIABLE)) and os.path.realpath(named) == wanted:
            name = environment.get(_NAME) or _command(path)
            found.append(Started(pid=int(path.name), name=name))
    return sorted(found, key=lambda each: each.pid)


def is_alive(about: Attached) -> bool:
    """Whether the process lives on this host, and not only another one with its pid."""
    start = start_of(about.pid)
    if start is None or about.boot_id not in ("", boot_id()):
        return False
    # Ticks since the boot, of a clock that goes on while the machine sleeps.
    asleep_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    began_ns = start * (NS // os.sysconf("SC_CLK_TCK")) - asleep_ns
    return not about.started_ns or began_ns <= about.started_ns + NS


def _environment(process: Path) -> dict[str, str]:
    pairs = (each.partition(b"=") for each in (process / "environ").read_bytes().split(b"\0"))
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"


def _ancestors() -> set[int]:
    """Us, and whoever started us: a shell in which the variable is set is no service."""
    pid, found = os.getpid(), set()
    while pid > 0:
        found.add(pid)
        try:
            text = (_PROC / str(pid) / "stat").read_bytes()
        except OSError:
            break
        pid = int(text[text.rindex(b")") + 2 :].split()[1])
    return found
