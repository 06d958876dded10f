"""A link of known length: a TCP proxy that hands every byte on a given time after it came.

    tools/proxy.py HOST:PORT

Prints the port on 127.0.0.1 on which it listens, and ends with its standard input, on which it
takes commands, a line each: `delay MILLISECONDS` (each way, from now on) and `cut` (close all
connections at once; new ones are taken). Order and bandwidth are the original's.

Threads that sleep, not an event loop: the loop's timers are whole milliseconds, and the delay is
what other times are compared with.
"""

import contextlib
import ctypes
import queue
import socket
import sys
import threading
import time

_PR_SET_TIMERSLACK = 29  # linux/prctl.h
_CHUNK_BYTES = 256 * 1024


class Link:
    """What all connections share: the delay in seconds, and the sockets to cut."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def join(self, near: socket.socket, far: socket.socket) -> None:
        """Carry bytes between the two sockets, both ways, until either end closes."""
        with self._lock:
            self._sockets += [near, far]
        for source, target in ((near, far), (far, near)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            chunks: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
            threading.Thread(target=self._take, args=(source, chunks), daemon=True).start()
            threading.Thread(target=self._give, args=(target, chunks), daemon=True).start()

    def cut(self) -> None:
        """Close all connections, in the middle of whatever they carry."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _close(each)

    def _take(
        self, source: socket.socket, chunks: "queue.SimpleQueue[tuple[float, bytes]]"
    ) -> None:
        data = b"."
        while data:
            try:
                data = source.recv(_CHUNK_BYTES)
            except OSError:
                data = b""
            chunks.put((time.monotonic() + self.delay_s, data))

    def _give(
        self, target: socket.socket, chunks: "queue.SimpleQueue[tuple[float, bytes]]"
    ) -> None:
        # The kernel rounds sleeps by 50 us otherwise.
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
        while True:
            due, data = chunks.get()
            left = due - time.monotonic()
            if left > 0:
                time.sleep(left)
            if not data:
                _close(target)
                return
            try:
                target.sendall(data)
            except OSError:
                # The other end is gone: what still comes has nowhere to go.
                return


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Wakes the threads that wait for it, which closing does not.
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def main() -> None:
    """Listen, and obey standard input until it ends."""
    host, _, port = sys.argv[1].rpartition(":")
    link = Link()
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            near, _address = listener.accept()
            try:
                far = socket.create_connection((host, int(port)))
            except OSError:
                near.close()
            else:
                link.join(near, far)

    threading.Thread(target=accept, daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for line in sys.stdin:
        match line.split():
            case ["delay", milliseconds]:
                link.delay_s = float(milliseconds) / 1000
            case ["cut"]:
                link.cut()


if __name__ == "__main__":
    main()
