"""A connection to the broker on which one thread hears, and sends what other threads give it."""

import contextlib
import json
import queue
import select
import socket
from collections.abc import Mapping
from typing import Any

import amqp

_MORE_S = 0.001
"""After so long without anything, all that had come has been taken."""


class Line:
    """An open ``connection`` with a ``channel`` on it; :meth:`hear` is for one thread alone."""

    def __init__(self, connection: Any, channel: Any) -> None:
        self._connection = connection
        self._channel = channel
        self._outgoing: queue.SimpleQueue[tuple[amqp.Message, dict[str, Any]]] = queue.SimpleQueue()
        self._woken, self._wake = socket.socketpair()

    def send(
        self, value: Mapping[str, object], queue: str, *, mandatory: bool, **properties: str
    ) -> None:
        """Have ``value`` sent to a queue by the thread that hears; called by any thread.

        Where it is ``mandatory`` the channel hears of it if there is no such queue: of the broker's
        own for replies there never is.
        """
        message = amqp.Message(json.dumps(value), **properties)
        where = {"routing_key": queue, "mandatory": mandatory}
        self._outgoing.put((message, where))
        # Closed meanwhile: what was to be sent is sent on the next line, if it still matters.
        with contextlib.suppress(OSError):
            self._wake.send(b"!")

    def hear(self, seconds: float) -> bool:
        """Take what comes within ``seconds``, and send what was given; False when nothing was.

        Raises what py-amqp raises where the connection has ended.
        """
        sock = self._connection.transport.sock
        ready, _, _ = select.select([sock, self._woken], [], [], seconds)
        if self._woken in ready:
            self._woken.recv(4096)
        with contextlib.suppress(queue.Empty):
            while True:
                message, where = self._outgoing.get_nowait()
                self._channel.basic_publish(message, **where)
        with contextlib.suppress(TimeoutError):
            while True:
                self._connection.drain_events(_MORE_S)
        return bool(ready)

    def close(self) -> None:
        """Give back what it holds; the connection is not closed."""
        self._woken.close()
        self._wake.close()
