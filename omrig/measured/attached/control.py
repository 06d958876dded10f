"""The socket over which a recorder asks a process of a service: one JSON object a packet.

One native thread sleeps in ``accept()``; each connection has one of its own, as long as it is open.
Nothing here is what eventlet patches, and nothing imports.
"""

import _socket
import json
import posix
from collections.abc import Callable
from typing import Any, Protocol

from omrig.model.values import Json

NAME = "control"
"""The socket in the folder of a process."""

_PACKET_BYTES = 1 << 16
_LOOK_SECONDS = 1.0
"""How often is looked whether all is well while stamps are in."""

_BACKLOG = 8

StartThread = Callable[[Callable[..., object], tuple[object, ...]], object]


class Answering(Protocol):
    """Who answers."""

    def answer(self, asked: dict[str, Json], asker: object) -> dict[str, Json]:
        """The answer to what was asked, over the connection ``asker``."""

    def look(self) -> None:
        """Time has passed."""

    def let_go(self, asker: object) -> None:
        """Whoever asked is gone."""

    @property
    def is_alone(self) -> bool:
        """Whether stamps are in though nobody who is connected asked for it."""


class Control:
    """The socket of a process in its ``folder``."""

    def __init__(self, folder: str, answering: Answering, start_thread: StartThread) -> None:
        self._answering = answering
        self._start_thread = start_thread
        self._open: set[_socket.socket] = set()
        self.threads = 0
        """How many there are of ours."""
        self._listener: Any = _listener(folder)

    def start(self) -> None:
        """Answer from now on."""
        self._start_thread(self._serve, ())

    def close(self) -> None:
        """Let go of the descriptors: in a child they are copies of its parent's."""
        for each in [self._listener, *self._open]:
            each.close()

    def _serve(self) -> None:
        self.threads += 1
        while True:
            try:
                self._listener.settimeout(_LOOK_SECONDS if self._answering.is_alone else None)
                descriptor, _ = self._listener._accept()
            except TimeoutError:
                self._answering.look()
                continue
            except OSError:
                # The service has closed it: nobody can ask any more.
                break
            self._start_thread(self._talk, (descriptor,))
        self.threads -= 1

    def _talk(self, descriptor: int) -> None:
        self.threads += 1
        peer = _socket.socket(fileno=descriptor)
        self._open.add(peer)
        try:
            # Not what the service may have set for all sockets.
            peer.settimeout(_LOOK_SECONDS)
            while asked := self._asked(peer):
                answer = self._answering.answer(asked, peer)
                peer.send(json.dumps(answer).encode())
        except OSError:
            # Whoever asked has not waited for the answer.
            pass
        finally:
            self._open.discard(peer)
            peer.close()
            self._answering.let_go(peer)
            self.threads -= 1

    def _asked(self, peer: _socket.socket) -> dict[str, Json] | None:
        """What is asked next; None once the other end is closed."""
        while True:
            try:
                packet = peer.recv(_PACKET_BYTES)
            except TimeoutError:
                self._answering.look()
                continue
            if not packet:
                return None
            try:
                asked = json.loads(packet)
            except ValueError:
                asked = None
            return asked if isinstance(asked, dict) else {"do": None}


def _listener(folder: str) -> _socket.socket:
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    descriptor = posix.open(folder, posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC)
    try:
        # The path of a socket has 107 bytes at most; the one through the descriptor is short.
        listener.bind(f"/proc/self/fd/{descriptor}/{NAME}")
        posix.chmod(f"{folder}/{NAME}", 0o600)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    finally:
        posix.close(descriptor)
    return listener
