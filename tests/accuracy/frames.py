"""An independent count of AMQP: a TCP proxy that keeps every byte, and reads frames out of them."""

import contextlib
import socket
import threading
from collections import defaultdict
from collections.abc import Iterator

from omrig.model.counts import METHODS

_CHUNK_BYTES = 65536
_PROGRAMS = (b"omrig-producer-", b"omrig-consumer-")
_PROTOCOL_BYTES, _FRAME_BYTES = 8, 8

Counted = dict[tuple[str, str], list[int]]
"""By direction and method: how many, their frames, their bytes."""


class Tap:
    """All bytes of all connections, each way by itself."""

    def __init__(self) -> None:
        self.connections: list[dict[str, bytearray]] = []
        self.port = 0

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Hand bytes on both ways until either end closes."""
        kept = {"sent": bytearray(), "received": bytearray()}
        self.connections.append(kept)
        for source, target, name in ((near, far, "sent"), (far, near, "received")):
            threading.Thread(target=self._pump, args=(source, target, kept[name])).start()

    def counted(self) -> Counted:
        """What the connections of measured processes carried; heartbeats left out."""
        found: Counted = defaultdict(lambda: [0, 0, 0])
        for kept in self.connections:
            own: Counted = defaultdict(lambda: [0, 0, 0])
            for direction, data in kept.items():
                _read(direction, data, own)
            # The driver tells the broker the name of its program.
            if any(name in kept["sent"] for name in _PROGRAMS):
                for name, values in own.items():
                    found[name] = [a + b for a, b in zip(found[name], values, strict=True)]
        return dict(found)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK_BYTES):
                kept += data
                target.sendall(data)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _read(direction: str, data: bytearray, found: Counted) -> None:
    at = 0
    if direction == "sent":
        at = _PROTOCOL_BYTES
        found[direction, "protocol header"][2] += _PROTOCOL_BYTES
    last: dict[int, str] = {}
    while at < len(data):
        kind, channel = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
        size = int.from_bytes(data[at + 3 : at + 7], "big") + _FRAME_BYTES
        if kind == 1:
            last[channel] = METHODS[int.from_bytes(data[at + 7 : at + 11], "big")]
            found[direction, last[channel]][0] += 1
        if kind != 8:
            found[direction, last[channel]][1] += 1
            found[direction, last[channel]][2] += size
        at += size


@contextlib.contextmanager
def tapped(port: int) -> Iterator[Tap]:
    """A tap on the way to a port of this host, on a port of its own."""
    tap = Tap()
    with socket.create_server(("127.0.0.1", 0)) as server:
        tap.port = server.getsockname()[1]

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = server.accept()
                    tap.carry(near, socket.create_connection(("127.0.0.1", port)))

        threading.Thread(target=accept, daemon=True).start()
        yield tap
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
