"""The measured process' end of the watcher process (:mod:`omrig.watcher.process`).

What that one logs is turned into arrivals later: :mod:`omrig.recordings.arrivals`.
"""

import _socket
import posix
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from omrig.watcher import layout

_CONTROL = 3
_PATIENCE_S = 2.0


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
        """One of ``layout.SCHEDULING``, empty when there was never a watcher."""
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

    def start(self, folder: Path, environment: Mapping[str, str], capture: bool = True) -> None:
        """Start the process, which logs into ``folder``, and wait until it is ready (2 s).

        ``environment`` is all that it gets of ours: let no password be in it. Without ``capture``
        it wakes up for every message even where the kernel would note them.

        From the main thread: the process ends with the thread that started it. The descriptors
        given to :meth:`add` are those of this process, not of a fork of it. Without a watcher in
        the end ``alive`` stays False; raises OSError when there is no folder or no Python.
        """
        folder.stat()
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        try:
            self.pid = _spawn(theirs.fileno(), folder, environment, capture)
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
        self._send(layout.ADD, connection_id, watch, descriptor)

    def watch(self, connection_id: int) -> None:
        """Log the arrivals of a connection that has only been added, from now on."""
        self._send(layout.WATCH, connection_id)

    def drop(self, connection_id: int) -> None:
        """Forget a connection that is about to be closed: only so is it closed at once.

        One that was shut down, or closed without this (noticed within a second), is dropped too.
        """
        self._send(layout.DROP, connection_id)

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
        packet = layout.COMMAND.pack(command, watch, passed, connection_id)
        rights = []
        if command == layout.ADD:
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
            packet = self._control.recv(layout.REPORT.size)
        except OSError:
            packet = b""
        if not packet:
            self.alive = False
            return
        number, self.info_bytes, self.events, self.cpu_ns, capturing, self.dropped = (
            layout.REPORT.unpack(packet)
        )
        self.capturing = bool(capturing)
        self.scheduling = layout.SCHEDULING[number]


def _spawn(control: int, folder: Path, environment: Mapping[str, str], capture: bool) -> int:
    # Not subprocess, of which eventlet patches the half; what else would be inherited the watcher
    # closes itself.
    # Isolated: nothing of what the measured process would import, but our own package.
    root = Path(__file__).parents[2]
    program = (
        f"import sys; sys.path.append({str(root)!r}); from omrig.watcher import process;"
        f" process.main({capture})"
    )
    arguments = ["-I", "-S", "-c", program, str(_CONTROL), str(folder)]
    return posix.posix_spawn(
        sys.executable,
        [sys.executable, *arguments],
        environment,
        file_actions=[
            (posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDONLY, 0),
            (posix.POSIX_SPAWN_DUP2, control, _CONTROL),
            (posix.POSIX_SPAWN_DUP2, 2, 1),
        ],
        setsigmask=(),
    )
