"""The arrival clock: when the bytes of a message reached our kernel, read or not.

:class:`Watcher` is the measured process' end of the watcher process
(:mod:`omrig.watcher.process`); the functions turn the logs of that process into arrivals, later.

An arrival found here is an upper bound, and so is the time at which our process read the message:
the smaller of the two is the arrival. The watcher sees nothing of what our process read before
the watcher woke up; the read came at once then, and is the better bound.
"""

import _socket
import posix
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omrig.model import interpreter, stamps
from omrig.watcher import capture, process

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Integers = NDArray[numpy.int64]

    Log = dict[int, tuple[Integers, Integers]]
    """By connection: times (CLOCK_MONOTONIC, ns), and the bytes received by each."""

_CONTROL = 3
_PATIENCE_S = 2.0

_SERIES = ("t_ns", "rtt_us", "unread_bytes", "send_queue_bytes", "rwnd_limited_us")


class Watcher:
    """Starts the watcher process and tells it about connections.

    Nothing here raises into the driver, blocks it or goes through a module that eventlet patches:
    a watcher that has died is ``alive = False``, a command it had no room for is ``missed``.
    """

    def __init__(self) -> None:
        self.alive = False
        self.missed = 0
        self.pid = 0
        """The watcher process, 0 before :meth:`start`."""
        self.scheduling = ""
        """One of ``process.SCHEDULING``, empty when there was never a watcher."""
        self.info_bytes = 0
        """How much of ``struct tcp_info`` the kernel knows, in bytes."""
        self.events = 0
        """Arrivals logged, known after :meth:`finish`."""
        self.cpu_ns = 0
        """CPU time of the watcher process, known after :meth:`finish`."""
        self.capturing = False
        """Whether the kernel notes every segment, so that receive stamps are not needed."""
        self.dropped = 0
        """Segments that the kernel had no room to note, known after :meth:`finish`."""
        self._control: _socket.socket | None = None

    def start(self, folder: Path, capture: bool = True) -> None:
        """Start the process, which logs into ``folder``, and wait until it is ready (2 s).

        Without ``capture`` it wakes up for every message even where the kernel would note them.

        From the main thread: the process ends with the thread that started it. The descriptors
        given to :meth:`add` are those of this process, not of a fork of it. Without a watcher in
        the end ``alive`` stays False; raises OSError when there is no folder or no Python.
        """
        folder.stat()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            self.pid = _spawn(theirs.fileno(), folder, capture)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._control = ours
        self.alive = True
        self._receive_report()
        ours.setblocking(False)

    def add(self, connection_id: int, descriptor: int, watch: bool) -> None:
        """Sample a connection every second and, if ``watch``, log its arrivals from now on."""
        self._send(process.ADD, connection_id, watch, descriptor)

    def watch(self, connection_id: int) -> None:
        """Log the arrivals of a connection that has only been added, from now on."""
        self._send(process.WATCH, connection_id)

    def drop(self, connection_id: int) -> None:
        """Forget a connection that is about to be closed: only so is it closed at once.

        One that was shut down, or closed without this (noticed within a second), is dropped too.
        """
        self._send(process.DROP, connection_id)

    def finish(self) -> str:
        """Complete the logs and end the process; how it was scheduled.

        Blocks for at most 2 s, without yielding to other green threads.
        """
        if self._control is None:
            return self.scheduling
        if self.alive:
            # Unlike a command, the end of the commands needs no room in the queue.
            self._control.shutdown(_socket.SHUT_WR)
            self._receive_report()
        self._control.close()
        self._control = None
        if not self.alive:
            posix.kill(self.pid, signal.SIGKILL)
        posix.waitpid(self.pid, 0)
        return self.scheduling

    def _send(
        self, command: int, connection_id: int, watch: bool = False, passed: int = -1
    ) -> None:
        if self._control is None or not self.alive:
            return
        packet = process.COMMAND.pack(command, watch, passed, connection_id)
        rights = []
        if command == process.ADD:
            data = passed.to_bytes(4, sys.byteorder, signed=True)
            rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, data)]
        flags = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL
        try:
            self._control.sendmsg([packet], rights, flags)
        except ConnectionError:
            self.alive = False
        except OSError:
            # No room in the queue, or the connection has just been closed.
            self.missed += 1

    def _receive_report(self) -> None:
        if self._control is None:
            return
        self._control.settimeout(_PATIENCE_S)
        try:
            packet = self._control.recv(process.REPORT.size)
        except OSError:
            packet = b""
        if not packet:
            self.alive = False
            return
        number, self.info_bytes, self.events, self.cpu_ns, capturing, self.dropped = (
            process.REPORT.unpack(packet)
        )
        self.capturing = bool(capturing)
        self.scheduling = process.SCHEDULING[number]


def _spawn(control: int, folder: Path, capture: bool) -> int:
    # Not subprocess, of which eventlet patches the half; what else would be inherited the watcher
    # closes itself.
    # Isolated: nothing of what the measured process would import, but our own package.
    root = Path(process.__file__).parents[2]
    program = (
        f"import sys; sys.path.append({str(root)!r}); from omrig.watcher import process;"
        f" process.main({capture})"
    )
    arguments = ["-I", "-S", "-c", program, str(_CONTROL), str(folder)]
    return posix.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        interpreter.without_options(),
        file_actions=[
            (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
            (posix.POSIX_SPAWN_DUP2, control, _CONTROL),
            (posix.POSIX_SPAWN_DUP2, 2, 1),
        ],
        setsigmask=(),
    )


def read_arrivals(folder: Path) -> "Log":
    """The arrivals that a watcher logged: sorted by time, the bytes never falling.

    Connections that were never watched are not in it. Raises OSError without a log.
    """
    import numpy

    if (folder / capture.SEGMENTS).exists():
        from omrig.recordings import segments

        return segments.read(folder)
    rows = _read_rows(folder / process.ARRIVALS, len(process.ARRIVAL_COLUMNS))
    rows = rows[numpy.lexsort((rows[:, 1], rows[:, 0]))]
    return {
        int(part[0, 0]): (part[:, 1], numpy.maximum.accumulate(part[:, 2]))
        for part in _by_connection(rows)
    }


def arrival_times(log: "Log", connections: "Integers", offsets: "Integers") -> "Integers":
    """When each message had arrived, CLOCK_MONOTONIC ns; 0 where the log does not say.

    A message is its connection and its end offset: the number of bytes of that connection's
    stream, from the very first, up to and including its last.
    """
    return arrival_brackets(log, connections, offsets)[1]


def arrival_brackets(
    log: "Log", connections: "Integers", offsets: "Integers"
) -> "tuple[Integers, Integers]":
    """When each message had not arrived yet, and when it had; 0 where the log does not say.

    Messages as in :func:`arrival_times`: it arrived after the first of the two times, of the last
    event with fewer bytes, and by the second, of the first event with so many.
    """
    import numpy

    absent = numpy.zeros(len(offsets), dtype=numpy.int64)
    found = numpy.zeros(len(offsets), dtype=numpy.int64)
    for connection in numpy.unique(connections):
        if int(connection) not in log:
            continue
        times, received = log[int(connection)]
        chosen = connections == connection
        event = numpy.searchsorted(received, offsets[chosen], side="left")
        found[chosen] = numpy.append(times, 0)[event]
        absent[chosen] = numpy.insert(times, 0, 0)[event]
    return absent, found


def read_cpu(folder: Path) -> "tuple[Integers, Integers]":
    """The CPU time of the measured process: times (CLOCK_MONOTONIC, ns), and ns used by each.

    Raises OSError without a log.
    """
    import numpy

    rows = _read_rows(folder / stamps.CPU, len(stamps.CPU_COLUMNS))
    rows = rows[numpy.argsort(rows[:, 0], kind="stable")]
    return rows[:, 0], numpy.maximum.accumulate(rows[:, 1])


def read_tcp_info(folder: Path) -> list[dict[str, Any]]:
    """What the samples of each connection say: the network's part, and ours, in a delay.

    Per connection: ``connection``, ``first_ns``, ``last_ns``; ``rtt_us`` ``_mean`` and ``_max``,
    ``min_rtt_us``;
    ``unread_bytes`` ``_mean`` and ``_max``; ``send_queue_bytes_max``; over the time sampled
    ``retransmits``, ``busy_us`` and the parts of it in which the peer's receive window
    (``rwnd_limited_us``) or our send buffer (``sndbuf_limited_us``) held us up; and ``series``,
    the samples themselves by column. None is what this kernel does not tell. Raises OSError
    without a log.
    """
    rows = _read_rows(folder / process.TCP_INFO, len(process.TCP_INFO_COLUMNS))
    return [_summary(part) for part in _by_connection(rows)]


def _summary(rows: "Integers") -> dict[str, Any]:
    column = dict(zip(process.TCP_INFO_COLUMNS, rows.T, strict=True))
    known = int(column["info_bytes"].min())

    def told(name: str) -> bool:
        return process.INFO_ENDS.get(name, 0) <= known

    def grown(name: str) -> int | None:
        return int(column[name][-1] - column[name][0]) if told(name) else None

    return {
        "connection": int(rows[0, 0]),
        "first_ns": int(column["t_ns"][0]),
        "last_ns": int(column["t_ns"][-1]),
        "rtt_us_mean": float(column["rtt_us"].mean()),
        "rtt_us_max": int(column["rtt_us"].max()),
        "min_rtt_us": int(column["min_rtt_us"].min()) if told("min_rtt_us") else None,
        "unread_bytes_mean": float(column["unread_bytes"].mean()),
        "unread_bytes_max": int(column["unread_bytes"].max()),
        "send_queue_bytes_max": int(column["send_queue_bytes"].max()),
        "retransmits": grown("retransmits"),
        "busy_us": grown("busy_us"),
        "rwnd_limited_us": grown("rwnd_limited_us"),
        "sndbuf_limited_us": grown("sndbuf_limited_us"),
        "series": {name: column[name].tolist() if told(name) else None for name in _SERIES},
    }


def _read_rows(path: Path, columns: int) -> "Integers":
    """A log as a table; what a killed watcher left of a last row is left out."""
    import numpy

    words = numpy.fromfile(path, dtype="<u8")
    whole = len(words) - len(words) % columns
    return words[:whole].reshape(-1, columns).astype(numpy.int64)


def _by_connection(rows: "Integers") -> "list[Integers]":
    """The rows of each connection, in their order."""
    import numpy

    if not len(rows):
        return []
    rows = rows[numpy.argsort(rows[:, 0], kind="stable")]
    return numpy.split(rows, numpy.flatnonzero(numpy.diff(rows[:, 0])) + 1)
