"""What a run declares on a broker, written down before it is declared.

A record is a file of JSON lines, one for a run and one for each of its trials: first the run and
the broker, then, by whichever process of the run declares something, its kind and name. It is
written before the broker is asked, so that whatever ends the run, a kill included, ``omrig clean``
knows what to look for; it is deleted when everything in it is.
"""

import contextlib
import dataclasses
import datetime
import errno
import functools
import inspect
import json
import os
import posix
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig.model.errors import RunError
from omrig.model.plan import Plan

if TYPE_CHECKING:
    from omrig.broker.amqp.connection import Login

SUFFIX = ".jsonl"

QUEUE, EXCHANGE, FILE = "queue", "exchange", "file"

_REPLY_QUEUE = re.compile(r"reply_[0-9a-f]{32}")
"""The driver's own name of a reply queue without the queue manager: a fresh random one."""


@dataclasses.dataclass(frozen=True)
class Thing:
    """Something that a run declared: a queue or an exchange of the broker, or a file of the driver.

    ``is_own`` is whether the run alone can have made it; else it is its consumer's.
    """

    kind: str
    name: str
    is_own: bool


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
    plan: Plan, login: "Login", *, broker_lasts: bool, trial: str = ""
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


def watch(record: str, tag: str) -> None:
    """Have py-amqp write down every queue and exchange before it asks the broker for it.

    For a process whose names have ``tag`` in them. Nothing is added to what a message passes.
    """
    import amqp

    noted = set[tuple[str, str]]()

    def wrap(kind: str, declare: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(declare)

        @functools.wraps(declare)
        def declaring(*positional: Any, **named: Any) -> Any:
            values = signature.bind(*positional, **named).arguments
            name = values.get(kind, "")
            is_ours_to_make = name and not name.startswith("amq.") and not values.get("passive")
            if is_ours_to_make and (kind, name) not in noted:
                note(record, kind, name, tag)
                noted.add((kind, name))
            return declare(*positional, **named)

        return declaring

    amqp.Channel.queue_declare = wrap(QUEUE, amqp.Channel.queue_declare)
    amqp.Channel.exchange_declare = wrap(EXCHANGE, amqp.Channel.exchange_declare)


def note(record: str, kind: str, name: str, tag: str) -> None:
    """Write down that something is about to be declared.

    Raises ``RunError`` when it cannot be: nothing is declared then.
    """
    is_own = tag in name or (kind == QUEUE and bool(_REPLY_QUEUE.fullmatch(name)))
    try:
        _append(Path(record), {"kind": kind, "name": name, "is_own": is_own})
    except OSError as error:
        raise RunError(
            f"{record}: {error.strerror}; what is declared on the broker is written down there"
        ) from error


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


def boot_id() -> str:
    """What tells this boot of the machine from all others."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _parse(line: str) -> Any:
    """The value in a line; None for half a line, after which nothing was declared."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _create(path: Path, first: dict[str, Any]) -> None:
    """Start a record; none is left where the first line finds no room."""
    try:
        _append(path, first)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _append(path: Path, value: dict[str, Any]) -> None:
    """Add a line in one piece: other processes add theirs. eventlet patches ``os.write``."""
    line = f"\n{json.dumps(value)}\n".encode()
    descriptor = posix.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if posix.write(descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        posix.close(descriptor)
