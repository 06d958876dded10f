"""The connections of a service while they are stamped, in the place of a watcher: there is none in
a service. Which they are is told to a recorder, which may see their packets."""

import json
from collections.abc import Callable
from typing import Any

from omrig.measured.probes import connections
from omrig.measured.probes.stamp import now
from omrig.measured.probes.state import State


class Links:
    """What the probes tell a watcher."""

    capturing = False
    """The kernel's stamps are read here: nobody else tells when something arrived."""

    def __init__(self, transports: Callable[[], list[Any]]) -> None:
        self._transports = transports
        self._write: Callable[[str], None] | None = None

    def tell(self, write: Callable[[str], None] | None) -> None:
        """Say of each connection that is stamped, now or later, which it is; None: of none."""
        self._write = write
        if write is not None:
            for transport in self._transports():
                write(_line(transport))

    def add(self, number: int, descriptor: int, consumes: bool) -> None:  # noqa: ARG002
        """A connection is stamped from now on."""
        if self._write is None:
            return
        for transport in self._transports():
            if transport._omrig_link.number == number:
                self._write(_line(transport))

    def watch(self, number: int) -> None:
        """It consumes: nothing to do."""

    def drop(self, number: int) -> None:
        """It is stamped no more: nothing to do."""


def _line(transport: Any) -> str:
    link = transport._omrig_link
    about = {
        "number": link.number,
        "t_ns": now(),
        "local": list(transport.sock.getsockname()[:2]),
        "remote": list(transport.sock.getpeername()[:2]),
        "tls": link.tls_socket is not None,
        # Exact for a new connection; of one that was open before its reader says later how far.
        "offset": link.offset if link.tls_socket is None else connections.consumed(link.tls_socket),
    }
    return f"{json.dumps(about)}\n"


def known(state: State) -> list[Any]:
    """The connections that are open, whoever makes one meanwhile."""
    while True:
        try:
            return [each for each in list(state.transports) if each.sock is not None]
        except RuntimeError:
            # One was made within the copying.
            continue
