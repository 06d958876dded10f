"""Counts what py-amqp sends and receives: methods by kind, their frames and bytes, and its waits.

Whole frames as the transport writes and reads them, so that it is the same for every version of
py-amqp and kombu. Content frames count as their method's. Each thread, or greenlet, has a count of
its own: nothing is lost where two count at once.
"""

from collections import Counter
from typing import Any

import greenlet

from omrig.measured.profilers.entered import RECEIVES, Entered
from omrig.model.counts import DELIVER, METHODS

SENT, RECEIVED = "sent", "received"

PROTOCOL = "protocol header"
"""What a client sends first: 8 bytes that are no frame."""

_HEADER_BYTES, _FRAME_BYTES = 8, 8
_METHOD, _HEARTBEAT = 1, 8

_current = greenlet.getcurrent

Shard = dict[tuple[str, str], list[int]]


class Frames:
    """The counts of a process, by phase of its run; ``entered`` is told of messages that come."""

    def __init__(self, entered: Entered) -> None:
        self._entered = entered
        self._phase = "start"
        self._shards: dict[tuple[str, int], Shard] = {}

    def enter(self, phase: str) -> None:
        """What is counted from now on is of another phase."""
        self._phase = phase

    def install(self) -> bool:
        """Count in every connection that is made from now on; False where there is no py-amqp."""
        try:
            from amqp import abstract_channel, transport
        except ImportError:
            return False
        self._wrap_transport(transport._AbstractTransport)
        self._wrap_wait(abstract_channel.AbstractChannel)
        return True

    def of(self, phase: str) -> dict[str, dict[str, list[int]]]:
        """By direction and method: how many, their frames, their bytes."""
        found: dict[str, dict[str, list[int]]] = {SENT: {}, RECEIVED: {}}
        for (which, _), shard in list(self._shards.items()):
            if which != phase:
                continue
            for (direction, method), counted in list(shard.items()):
                if direction in found:
                    into = found[direction].setdefault(method, [0, 0, 0])
                    for number, value in enumerate(counted):
                        into[number] += value
        return found

    def apart(self, name: str) -> dict[str, int]:
        """How many ``waits``, or ``heartbeats``, by phase."""
        found: Counter[str] = Counter()
        for (phase, _), shard in list(self._shards.items()):
            found[phase] += shard.get((name, ""), [0])[0]
        return dict(found)

    def _entry(self, direction: str, method: str) -> list[int]:
        shard = self._shards.setdefault((self._phase, id(_current())), {})
        return shard.setdefault((direction, method), [0, 0, 0])

    def _frame(
        self, direction: str, kind: int, channel: int, payload: Any, last: dict[int, str]
    ) -> None:
        """A frame went; ``payload`` begins with its content, ``last`` is by channel."""
        if kind == _HEARTBEAT:
            self._entry("heartbeats", "")[0] += 1
            return
        if kind == _METHOD:
            number = int.from_bytes(payload[:4], "big")
            last[channel] = METHODS.get(number, f"{number >> 16}.{number & 0xFFFF}")
            counted = self._entry(direction, last[channel])
            counted[0] += 1
            if number == DELIVER and direction == RECEIVED:
                self._entered.mark(RECEIVES)
        else:
            counted = self._entry(direction, last[channel])
        counted[1] += 1
        counted[2] += len(payload) + _FRAME_BYTES

    def _wrap_transport(self, transport: Any) -> None:
        write, read_frame, begin = transport.write, transport.read_frame, transport._init_socket

        def counting_write(this: Any, data: Any) -> None:
            write(this, data)
            last = this.__dict__.setdefault("omrig_sent", {})
            at, view = 0, memoryview(data)
            while at < len(view):
                size = int.from_bytes(view[at + 3 : at + 7], "big")
                channel = int.from_bytes(view[at + 1 : at + 3], "big")
                payload = view[at + 7 : at + 7 + size]
                self._frame(SENT, view[at], channel, payload, last)
                at += size + _FRAME_BYTES

        def counting_read_frame(this: Any, *args: Any, **kwargs: Any) -> Any:
            task, at = self._entered.reads()
            try:
                frame = read_frame(this, *args, **kwargs)
            except OSError:
                self._entered.found_none(task, at)
                raise
            kind, channel, payload = frame
            last = this.__dict__.setdefault("omrig_received", {})
            self._frame(RECEIVED, kind, channel, payload, last)
            return frame

        def counting_begin(this: Any, *args: Any, **kwargs: Any) -> None:
            begin(this, *args, **kwargs)
            # A connection that is made again numbers its channels anew.
            this.omrig_sent, this.omrig_received = {}, {}
            self._entry(SENT, PROTOCOL)[2] += _HEADER_BYTES

        transport.write, transport.read_frame = counting_write, counting_read_frame
        transport._init_socket = counting_begin

    def _wrap_wait(self, channel: Any) -> None:
        wait = channel.wait

        def counting_wait(this: Any, *args: Any, **kwargs: Any) -> Any:
            found = wait(this, *args, **kwargs)
            self._entry("waits", "")[0] += 1
            return found

        channel.wait = counting_wait
