"""Files that the members of a fleet read on their hosts: there they are what they are here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig.fleet import digests
from omrig.fleet.hosts import Host
from omrig.model.errors import RunError, UsageError

if TYPE_CHECKING:
    from distributed import Client

ANSWER_S = 30.0
"""So long may a host take to read them."""


def read(names: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of those of these files that can be read on this host, by name."""
    found = {}
    for name in names:
        try:
            found[name] = digests.of_file(Path(name))
        except OSError:
            # What it is about is said of the file here, and of a host that has not the same.
            continue
    return found


def check(client: "Client", hosts: Sequence[Host], targets: Sequence[str]) -> None:
    """Raise ``UsageError`` for a file of ``--target`` that a host has not, or another one.

    What is no file here is left to who looks for it. Raises ``RunError`` where a host does not
    answer.
    """
    here = read(targets)
    if not here:
        return
    workers = [host.workers[0] for host in hosts]

    async def ask() -> dict[str, Any]:
        found: dict[str, Any] = await client.run(read, list(here), workers=workers)
        return found

    try:
        there: Mapping[str, Mapping[str, str]] = client.sync(ask, callback_timeout=ANSWER_S)
    except OSError as error:
        raise RunError(f"--target: not every host answers within {ANSWER_S:.0f} s") from error
    for host in hosts:
        theirs = there[host.workers[0]]
        for name, digest in here.items():
            if theirs.get(name) != digest:
                what = "another file" if name in theirs else "no such file"
                raise UsageError(
                    f"--target: {host.name} has {what} as {name}; copy it there, to the same place,"
                    " and give its whole path"
                )
