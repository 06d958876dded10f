"""When each TCP segment reached this host, noted by the kernel, without waking anybody.

A packet socket with a ring in shared memory: the kernel puts the time and the headers of the
segments that we ask for into the ring, and we look there now and then. Unlike the receive stamp of
the TCP socket it is taken of every segment, before the kernel merges what is unread; unlike a
watcher that wakes up for each message it takes nothing from what is measured. It needs
CAP_NET_RAW, which root has and so has a container by default.

Runs in the watcher process (:mod:`omrig.watcher.process`), and in that of ``omrig record``; it
imports nothing but light standard modules. :mod:`omrig.recordings.segments` reads what it writes.
No payload is written: the ring in memory holds the first 60 bytes of each segment, the log what
``layout.SEGMENT_COLUMNS`` names.

See packet(7) and Documentation/networking/packet_mmap.rst of Linux.
"""

import _socket
import mmap
import posix
import struct
import sys
import time
from array import array

from omrig.watcher.layout import CLOCK, FOLLOWED, SEGMENTS

# linux/if_packet.h, linux/if_ether.h, asm-generic/socket.h
_SOL_PACKET = 263
_PACKET_RX_RING = 5
_PACKET_STATISTICS = 6
_PACKET_VERSION = 10
_PACKET_IGNORE_OUTGOING = 23
_TPACKET_V2 = 1
_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26

_FRAME_BYTES = 256
_BLOCK_BYTES = 1 << 16
_BLOCKS = 64
_FRAMES = _BLOCKS * _BLOCK_BYTES // _FRAME_BYTES
_FRAME_WORDS = _FRAME_BYTES // 4
_AT_ONCE = 4096

_HEADERS_BYTES = 60
_NETWORK_WORD = 20
"""Where the IP header is in a frame: TPACKET_ALIGN(TPACKET2_HDRLEN) + 16 bytes, in words."""

_TCP4_WORD = _NETWORK_WORD + 5
_TCP6_WORD = _NETWORK_WORD + 10
_WORDS = (
    (1, 4, 5, _NETWORK_WORD)
    + (_TCP4_WORD, _TCP4_WORD + 1, _TCP4_WORD + 3)
    + (_TCP6_WORD, _TCP6_WORD + 1, _TCP6_WORD + 3)
)
"""Where ``SEGMENT_COLUMNS`` are in a frame (struct tpacket2_hdr begins it)."""

# Classic BPF, linux/bpf_common.h and linux/filter.h
_LD_W, _LD_H, _LD_B = 0x20, 0x28, 0x30
_LD_H_X, _LD_B_X = 0x48, 0x50
_LD_LEN, _LD_MEMORY, _LDX, _LDX_MEMORY, _ST, _STX = 0x80, 0x60, 0x01, 0x61, 0x02, 0x03
_ADD_X, _SUB_X, _LSH, _RSH = 0x0C, 0x1C, 0x64, 0x74
_JA, _JEQ, _JSET, _RET = 0x05, 0x15, 0x45, 0x06
_PROTOCOL, _PACKET_TYPE = 0xFFFFF000, 0xFFFFF004
_SYN = 0x02

_MOST_PORTS = 200
"""A conditional jump goes 255 instructions far; with more ports all of them are kept."""

_Step = tuple[str, int, str, str, int]
"""Label or nothing, code, where to go if true and if false (nothing: on), operand."""

_SELECT: tuple[_Step, ...] = (
    ("", _LD_W, "", "", _PACKET_TYPE),
    ("", _JEQ, "", "drop", 0),  # to this host
    ("", _LD_W, "", "", _PROTOCOL),
    ("", _JEQ, "", "not v4", 0x0800),
    ("", _LD_B, "", "", 0),
    ("", _JEQ, "", "drop", 0x45),
    ("", _LD_H, "", "", 6),
    ("", _JSET, "drop", "", 0x1FFF),  # a fragment has no ports
    ("", _LD_B, "", "", 9),
    ("", _LDX, "", "", 20),
    ("", _JEQ, "tcp", "drop", _socket.IPPROTO_TCP),
    ("not v4", _JEQ, "", "drop", 0x86DD),
    ("", _LD_B, "", "", 6),
    ("", _LDX, "", "", 40),
    ("", _JEQ, "tcp", "drop", _socket.IPPROTO_TCP),
    ("tcp", _STX, "", "", 0),
    ("", _LD_B_X, "", "", 13),
    ("", _JSET, "keep", "", _SYN),
    ("", _LD_B_X, "", "", 12),
    ("", _RSH, "", "", 4),
    ("", _LSH, "", "", 2),
    ("", _ADD_X, "", "", 0),
    ("", _ST, "", "", 1),
    ("", _LDX_MEMORY, "", "", 1),
    ("", _LD_LEN, "", "", 0),
    ("", _SUB_X, "", "", 0),
    ("", _JEQ, "drop", "", 0),  # nothing but an acknowledgement
    ("", _LDX_MEMORY, "", "", 0),
)
"""Segments with a SYN, which tell where a stream's numbering begins, and those with data, as far as
their ports are asked for. IPv4 without options and IPv6 without extension headers."""

_REMOTE_PORT, _LOCAL_PORT = 0, 2
"""Where the ports of a segment that comes in are in its TCP header."""


def _program(ports: "list[int]", place: int) -> bytes:
    """What the kernel is to keep, as an array of struct sock_filter."""
    steps = [*_SELECT, ("", _LD_H_X, "", "", place)]
    if len(ports) <= _MOST_PORTS:
        steps += [("", _JEQ, "keep", "", port) for port in ports]
        steps.append(("", _JA, "", "", 1))
    steps.append(("keep", _RET, "", "", _HEADERS_BYTES))
    steps.append(("drop", _RET, "", "", 0))
    labels = {step[0]: number for number, step in enumerate(steps)}

    def distance(number: int, label: str) -> int:
        return labels[label] - number - 1 if label else 0

    return b"".join(
        struct.pack("=HBBI", code, distance(number, true), distance(number, false), operand)
        for number, (_, code, true, false, operand) in enumerate(steps)
    )


def packet_socket() -> _socket.socket:
    """A socket that has all packets; raises OSError where that is not permitted."""
    return _socket.socket(_socket.AF_PACKET, _socket.SOCK_DGRAM, _socket.htons(_ETH_P_ALL))


class Capture:
    """The ring, and the logs that it is emptied into."""

    def __init__(
        self, folder: str, from_ports: bool = False, packets: _socket.socket | None = None
    ) -> None:
        """Begin to note connections that are made; raises OSError where that is not permitted.

        ``packets`` is a socket of :func:`packet_socket`, for who may make one only now.

        With ``from_ports`` it is the ports that segments come from which are asked for, by
        :meth:`listen`: the broker's, whichever process they go to.
        """
        if sys.byteorder == "big":
            raise OSError("the log is in the byte order of the wire and of little-endian machines")
        self._ports: dict[int, int] = {}
        self._place = _REMOTE_PORT if from_ports else _LOCAL_PORT
        self._head = 0
        self._dropped = 0
        self.segments = 0
        """Segments logged so far."""
        self._socket = packet_socket() if packets is None else packets
        # First, since the socket receives already; what came before the ring is thrown away.
        self._attach()
        self._socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        ring = struct.pack("=4I", _BLOCK_BYTES, _BLOCKS, _FRAME_BYTES, _FRAMES)
        self._socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, ring)
        self._ring = mmap.mmap(self._socket.fileno(), _BLOCKS * _BLOCK_BYTES)
        self._words = memoryview(self._ring).cast("I")
        self._status = self._words[::_FRAME_WORDS]
        self._files = {
            name: posix.open(
                f"{folder}/{name}",
                posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND | posix.O_CLOEXEC,
                0o644,
            )
            for name in (SEGMENTS, FOLLOWED, CLOCK)
        }
        self.note_clock()

    def follow(self, number: int, connection: _socket.socket, received_bytes: int) -> None:
        """Log what comes on a connection from now on; it has received so many bytes."""
        local, remote = connection.getsockname()[1], connection.getpeername()[1]
        since = time.monotonic_ns()
        self._ports[number] = local
        self._attach()
        row = array("Q", (number, since, local, remote, received_bytes))
        posix.write(self._files[FOLLOWED], row.tobytes())

    def forget(self, number: int) -> None:
        """Log no more of a connection."""
        if self._ports.pop(number, None) is not None:
            self._attach()

    def listen(self, ports: "list[int]") -> None:
        """Log from now on what comes from these ports, whichever connection it is on."""
        self._ports = dict(enumerate(ports))
        self._attach()

    def drain(self) -> None:
        """Move what the kernel has put into the ring to the log."""
        while ready := self._ready():
            head, width = self._head, len(_WORDS)
            rows = memoryview(array("I", bytes(4 * width * ready)))
            begin, end = head * _FRAME_WORDS, (head + ready) * _FRAME_WORDS
            for column, word in enumerate(_WORDS):
                rows[column::width] = self._words[begin + word : end : _FRAME_WORDS]
            self._status[head : head + ready] = memoryview(array("I", bytes(4 * ready)))
            self._head = (head + ready) % _FRAMES
            self.segments += ready
            _write(self._files[SEGMENTS], rows)

    def note_clock(self) -> None:
        """Log what both clocks say, the closest of some readings."""
        readings = []
        for _ in range(10):
            before = time.monotonic_ns()
            real = time.time_ns()
            after = time.monotonic_ns()
            readings.append((after - before, (before + after) // 2, real))
        posix.write(self._files[CLOCK], array("Q", min(readings)[1:]).tobytes())

    def dropped(self) -> int:
        """Segments for which the ring had no room."""
        told = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        # Each answer counts from the last one.
        self._dropped += struct.unpack("=II", told)[1]
        return self._dropped

    def close(self) -> None:
        """Give the ring and the logs back; nothing else may be called after it."""
        self._status.release()
        self._words.release()
        self._ring.close()
        self._socket.close()
        for descriptor in self._files.values():
            posix.close(descriptor)

    def _attach(self) -> None:
        program = _program(sorted(set(self._ports.values())), self._place)
        buffer = array("B", program)
        address, _ = buffer.buffer_info()
        header = struct.pack("HP", len(program) // 8, address)
        self._socket.setsockopt(_socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)

    def _ready(self) -> int:
        """How many frames from the head on, without a turn of the ring, the kernel has filled."""
        status = self._status[self._head : self._head + _AT_ONCE].tolist()
        try:
            return status.index(0)
        except ValueError:
            return len(status)


def _write(descriptor: int, rows: memoryview) -> None:
    rest = rows.cast("B")
    while rest:
        rest = rest[posix.write(descriptor, rest) :]
