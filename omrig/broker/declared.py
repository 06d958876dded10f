"""The records of what runs declare on a broker: begun before, read after.

A record is a file of JSON lines, one for a run and one for each of its trials: first the run and
the broker, then, by whichever process of the run declares something, its kind and name. It is
written before the broker is asked, so that whatever ends the run, a kill included, ``omrig clean``
knows what to look for; it is deleted when everything in it is.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omrig.model.boot import boot_id
from omrig.model.declared import Thing, append
from omrig.model.plan import Plan
from omrig.model.transport import Login

SUFFIX = ".jsonl"


@dataclasses.dataclass(frozen=True)
class Record:
    """A record as it was read.

    ``addresses`` are ``host:port`` of the broker; where it does not last longer than the run, only
    files are left of one.
    """

    path: Path
    run_id: str
    addresses: tuple[str, ...]
    vhost: str
    broker_lasts: bool
    host: str
    pid: int
    start_time: int
    boot_id: str
    started_at: str
    things: tuple[Thing, ...]

    @property
    def is_of_this_host(self) -> bool:
        """Whether the run was here, so that it is known whether it is over."""
        return self.host == socket.gethostname()

    @property
    def is_over(self) -> bool:
        """Whether the process that started the run has ended."""
        if self.boot_id != boot_id():
            return True
        return start_time(self.pid) != self.start_time


def state_folder() -> Path:
    """Where the records of this user's runs are; ``XDG_STATE_HOME`` moves it."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "omrig" / "declared"


def begin(
    plan: Plan, login: Login, *, broker_lasts: bool, trial: str = ""
) -> tuple[Path, str | None]:
    """Start the record of a run: its path, and why it is not where ``omrig clean`` looks.

    That is a line for a person; the record is in the run folder then. With ``trial`` it is the one
    of a trial of that name for the run. Raises OSError when it cannot be written there either.
    """
    now = datetime.datetime.now(datetime.UTC)
    first = {
        "run_id": plan.run_id,
        "addresses": [endpoint.address for endpoint in login.endpoints],
        "vhost": login.vhost,
        "broker_lasts": broker_lasts,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "start_time": start_time(os.getpid()),
        "boot_id": boot_id(),
        "started_at": now.isoformat(timespec="seconds"),
    }
    ending = f".{trial}{SUFFIX}" if trial else SUFFIX
    name = f"{plan.run_id}{ending}"
    try:
        # RuntimeError: there is no home at all.
        folder = state_folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(folder / name, first)
    except (OSError, RuntimeError) as error:
        path = Path(plan.output.folder) / f"declared{ending}"
        _create(path, first)
        return path, (
            f"no record of what is declared can be written below the home ({error}): if this run is"
            f" killed, `omrig clean {path}` removes what it left"
        )
    return folder / name, None


def read(path: Path) -> Record:
    """The record in ``path``; a thing that both sides declared is there once.

    Raises OSError, and ValueError when it is no record.
    """
    lines = path.read_text(errors="replace").splitlines()
    first, *others = [_parse(line) for line in lines if line] or [None]
    try:
        first["addresses"] = tuple(first["addresses"])
        things = tuple(dict.fromkeys(Thing(**each) for each in others if each is not None))
        return Record(path=path, things=things, **first)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} is no record of what a run declared") from error


def records() -> Iterator[Path]:
    """The records of this user's runs that are not over or left something."""
    return iter(sorted(state_folder().glob(f"*{SUFFIX}")))


def start_time(pid: int) -> int | None:
    """When a process started, in ticks since the machine did; None when there is none."""
    try:
        # The name of the program, in brackets, may have spaces in it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    # A process that has ended and is not waited for holds nothing any more.
    return None if fields[0] in "ZX" else int(fields[19])


def _parse(line: str) -> Any:
    """The value in a line; None for half a line, after which nothing was declared."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _create(path: Path, first: Mapping[str, object]) -> None:
    """Start a record; none is left where the first line finds no room."""
    try:
        append(path, first)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
