"""The calls that an endpoint makes before it answers, and the server that serves them.

The server is another one in the consumer's process, with a topic and an executor of its own. The
calls are a load of their own: numbered, timed by the load's clock and stamped, as a producer's are.
"""

import array
import itertools
import types
import uuid
from typing import Any

from omrig.measured.load import rpc
from omrig.measured.load.side import Errors
from omrig.measured.probes.stamp import clock
from omrig.model.payload import METHOD
from omrig.model.plan import Plan
from omrig.model.values import Json


class Nested:
    """The nested calls of a consumer, and their server.

    Those for messages before the load are made, and not counted.
    """

    def __init__(self, plan: Plan) -> None:
        topic = f"{plan.queue_topic}.inner"
        self._plan = plan.with_transport(served_topic=topic, served_exchange=topic)
        self._id = uuid.uuid4().hex
        self._numbers = itertools.count()
        # Three a call: its number, when it began and when it ended; of those that failed as well.
        self._ended: array.array[int] = array.array("Q")
        self._failed: array.array[int] = array.array("Q")
        self._served: list[None] = []
        self._errors = Errors()

    def connect(self, transport: Any) -> None:
        """Start the server and make its client.

        Raises what oslo.messaging raises when it cannot listen.
        """
        served = types.SimpleNamespace(message=self._serve)
        self._server = rpc.serve(transport, self._plan, served)
        # This process' own server: another consumer may have ended before this one.
        own = rpc.server_name()
        self._client = rpc.client(transport, self._plan).prepare(server=own)

    def _serve(self, _context: Any, seq: int, producer: str, **_payload: Any) -> int:
        if seq >= 0 and producer == self._id:
            clock.entered()
            self._served.append(None)
        return seq

    def call(self, seq: int, arguments: dict[str, Any]) -> None:
        """Make a call with these arguments, for the message with this number.

        Raises what oslo.messaging raises, and ``ReplyMismatch``.
        """
        if seq < 0:
            self._client.call({}, METHOD, seq=seq, producer=self._id, **arguments)
            return
        number = next(self._numbers)
        began = clock.begin(number)
        try:
            reply = self._client.call({}, METHOD, seq=number, producer=self._id, **arguments)
            if reply != number:
                raise rpc.ReplyMismatch(f"nested call {number} got the reply {reply!r}")
        except Exception as error:
            self._failed.extend((number, began, clock.end()))
            self._errors.add(error)
            raise
        self._ended.extend((number, began, clock.end()))

    def about(self) -> dict[str, Json]:
        """What was counted: as a producer and its consumer say it."""
        ended, failed = len(self._ended) // 3, len(self._failed) // 3
        return {
            "producer_id": self._id,
            "sent": ended + failed,
            "done": ended,
            "errors": self._errors.by_name(),
            "received": len(self._served),
        }

    def columns(self) -> dict[str, "array.array[int]"]:
        """When each call began and ended, as a producer keeps it of its messages."""
        ended, failed = self._ended[:], self._failed[:]
        count = max([-1, *ended[::3], *failed[::3]]) + 1
        started, ends = (array.array("Q", bytes(8 * count)) for _ in range(2))
        for rows in (ended, failed):
            for number, began in zip(rows[::3], rows[1::3], strict=True):
                started[number] = began
        for number, end in zip(ended[::3], ended[2::3], strict=True):
            ends[number] = end
        return {
            "start_ns": started,
            "end_ns": ends,
            "failed_seq": failed[::3],
            "failed_ns": failed[2::3],
        }

    def stop(self) -> None:
        """Stop the server; whoever calls it still gets no reply."""
        self._server.stop()
        self._server.wait()
