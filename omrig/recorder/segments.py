"""One capture for all processes of the host: when segments from the broker reached it.

A thread of the recorder empties the ring that the kernel fills (:mod:`omrig.watcher.capture`); it
ends with the recorder, and nothing of it is in the processes of the service.
"""

import dataclasses
import errno
import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from omrig.model import errors
from omrig.model.recorded import CAPTURE, Captured
from omrig.recorder import owner
from omrig.watcher.capture import Capture, packet_socket

LINKS = "links.jsonl"
"""Where a process notes the connections that it stamps."""

NOT_ASKED_FOR = "not asked for"

_DRAIN_S = 0.2
"""How often the ring is emptied: 16384 segments fit."""

_CLOCKS_EVERY_S = 1.0
_END_S = 5.0


class Segments:
    """A capture under way into the folder ``capture`` of a recording."""

    def __init__(self, recording: Path) -> None:
        """Begin; raises ``OSError`` where that is not permitted."""
        with owner.root_again():
            packets = packet_socket()
        folder = recording / CAPTURE
        folder.mkdir(mode=0o700)
        self._capture = Capture(str(folder), from_ports=True, packets=packets)
        self._ports: tuple[int, ...] = ()
        self._failure = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="omrig capture", daemon=True)
        self._thread.start()

    def listen(self, ports: Iterable[int]) -> None:
        """Note what comes from these ports too."""
        known = tuple(sorted({*self._ports, *ports}))
        if known != self._ports and self._thread.is_alive():
            self._capture.listen(list(known))
            self._ports = known

    def end(self) -> Captured:
        """Complete the logs; what came of it."""
        self._ended.set()
        self._thread.join(_END_S)
        if self._thread.is_alive():
            return Captured(why_not=f"its logs were not written within {_END_S:g} s")
        found = Captured(
            used=self._capture.segments > 0,
            why_not=self._failure or self._nothing(),
            segments=self._capture.segments,
            dropped=self._capture.dropped(),
            ports=self._ports,
        )
        self._capture.close()
        return found

    def _nothing(self) -> str:
        if self._capture.segments:
            return ""
        if not self._ports:
            return "no process had a connection to a broker"
        ports = ", ".join(map(str, self._ports))
        return f"no segment came from port {ports} in the network namespace of the recorder"

    def _run(self) -> None:
        try:
            noted = time.monotonic()
            is_over = False
            while not is_over:
                is_over = self._ended.wait(_DRAIN_S)
                self._capture.drain()
                if is_over or time.monotonic() - noted >= _CLOCKS_EVERY_S:
                    self._capture.note_clock()
                    noted = time.monotonic()
        except OSError as error:
            self._failure = f"it ended early: {errors.in_words(error)}"


def begin(recording: Path, wanted: bool) -> Segments | str:
    """The capture into ``recording``, or why there is none."""
    if not wanted:
        return NOT_ASKED_FOR
    try:
        return Segments(recording)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            return "it needs CAP_NET_RAW, which root has"
        return errors.in_words(error)


@dataclasses.dataclass
class Links:
    """The connections that the processes of a recording have noted, read as they are noted."""

    recording: Path
    _read_bytes: dict[Path, int] = dataclasses.field(default_factory=dict)

    def new_ports(self) -> set[int]:
        """The ports at the other end of connections noted since the last time."""
        found = set()
        for path in self.recording.glob(f"*/{LINKS}"):
            with path.open("rb") as file:
                file.seek(self._read_bytes.get(path, 0))
                # What has no end yet is still being written.
                lines = file.read().rpartition(b"\n")[0]
            if not lines:
                continue
            self._read_bytes[path] = self._read_bytes.get(path, 0) + len(lines) + 1
            found |= {int(json.loads(line)["remote"][1]) for line in lines.splitlines()}
        return found
