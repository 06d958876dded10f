"""What answers for a consumer that was started by itself: see :mod:`omrig.broker.amqp.meeting`."""

import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from omrig.broker.amqp import meeting
from omrig.broker.amqp.cleanup import bounded
from omrig.broker.amqp.connection import cut, drop
from omrig.broker.amqp.line import Line
from omrig.broker.base import Consumer, Group, Hearer
from omrig.model import events
from omrig.model.transport import Login
from omrig.model.values import Json

CHECK_S = 10.0
"""How often a consumer that is not asked makes sure that it still could be."""


class Host:
    """Answers for a consumer, in a thread of its own, until it is closed.

    ``tell`` is called by that thread with a line for a person, when producers cannot reach the
    consumer and when they can again; ``asked`` with what those that it serves ask. Of a ``group``
    of several the first answers producers once all are there, and the others answer the first.
    """

    def __init__(
        self,
        login: Login,
        topic: str,
        about: Consumer,
        tell: Callable[[str], None],
        asked: Callable[[Hearer, events.Ask], None],
        group: Group,
    ) -> None:
        self._login = login
        self._topic = topic
        self._about = about
        self._tell = tell
        self._asked = asked
        self._line: Line | None = None
        self._group = group
        self._claims: set[str] = {group.leader} if group.leader else set()
        self._missing = group.size - 1
        self._closed = threading.Event()
        self._socket: socket.socket | None = None
        self._failed = False
        self._queue = meeting.queue_of(about.run_id)
        threading.Thread(target=self._stay, name="omrig meeting", daemon=True).start()

    def close(self) -> None:
        """Answer no more; what was declared vanishes."""
        self._closed.set()
        if self._socket is not None:
            # From under the thread that waits on it.
            cut(self._socket)

    def _stay(self) -> None:
        while not self._closed.is_set():
            try:
                self._answer()
            except meeting.FAILURES as error:
                if self._closed.is_set():
                    return
                if not self._failed:
                    self._failed = True
                    self._tell(
                        f"no producer finds this consumer, exchange {meeting.EXCHANGE} cannot be"
                        f" used: {meeting.reason_of(error)}; it is tried again and again"
                    )
            self._closed.wait(meeting.RETRY_S)

    def _answer(self) -> None:
        connection = bounded(self._login, meeting.CONNECT_S, meeting.ANSWER_S)
        self._socket = connection.transport.sock
        try:
            channel = connection.channel()
            channel.exchange_declare(meeting.EXCHANGE, "direct", durable=False, auto_delete=True)
            channel.queue_declare(self._queue, exclusive=True, auto_delete=True)
            for key in self._keys():
                channel.queue_bind(self._queue, meeting.EXCHANGE, key)
            channel.basic_consume(self._queue, no_ack=True, callback=self._take)
            if self._failed:
                self._failed = False
                self._tell("producers find this consumer again")
            self._channel = channel
            with contextlib.closing(Line(connection, channel)) as self._line:
                while not self._closed.is_set():
                    if not self._line.hear(CHECK_S):
                        channel.queue_declare(self._queue, passive=True)
        finally:
            drop(connection)

    def _keys(self) -> list[str]:
        """What is asked of this consumer: by the others of its group, and by producers."""
        if self._group.leader:
            return []
        keys = [meeting.group_key(self._topic)] if self._group.size > 1 else []
        return keys if self._missing > 0 else [*keys, self._topic]

    def _accepts(self, asked: Mapping[str, Any]) -> bool:
        """Whether who asks has seen all others, and is no consumer more than the group has."""
        is_seen = asked.get("serves") == len(self._claims)
        return is_seen and ("joins" not in asked or self._missing > 0)

    def _join(self, asked: Mapping[str, Any]) -> None:
        """Count in another consumer of the group that has claimed this one."""
        joining = meeting.known_answer({**asked["joins"], "serves": 0})
        if joining is None:
            return
        self._missing -= 1
        self._group.joined(joining[0])
        if not self._missing:
            # No answer is waited for in the midst of what comes.
            self._channel.queue_bind(self._queue, meeting.EXCHANGE, self._topic, nowait=True)

    def _take(self, message: Any) -> None:
        asked = meeting.value_of(message)
        reply_to = str(message.properties.get("reply_to"))
        answer: dict[str, Any]
        if asked.get("ask") == "who":
            answer = dataclasses.asdict(self._about)
        elif asked.get("ask") == "claim":
            producer = str(asked.get("producer"))
            accepted = producer in self._claims or self._accepts(asked)
            if accepted and producer not in self._claims:
                self._claims.add(producer)
                if "joins" in asked:
                    self._join(asked)
            answer = {"accepted": accepted}
        elif asked.get("ask") == "control":
            self._pass_on(asked, reply_to)
            return
        else:
            self._claims.discard(str(asked.get("producer")))
            return
        self._answer_to(reply_to, {**answer, "serves": len(self._claims)})

    def _pass_on(self, asked: Mapping[str, Any], reply_to: str) -> None:
        """Have a question of a producer that is served answered; others' are not heard."""
        number, method, arguments = (asked.get(name) for name in ("number", "method", "arguments"))
        known = asked.get("producer") in self._claims and method in events.METHODS
        if known and isinstance(number, int) and isinstance(arguments, dict):
            self._asked(_Producer(self, reply_to), events.Ask(number, str(method), arguments))

    def _answer_to(self, reply_to: str, answer: Mapping[str, Any]) -> None:
        # The broker makes it longer: no queue is written to that others have named.
        if self._line and reply_to.startswith(f"{meeting.REPLIES}."):
            self._line.send(answer, reply_to, mandatory=False)


class _Producer:
    """A producer that was started by another command, as who answers it sees it."""

    def __init__(self, host: Host, reply_to: str) -> None:
        self.name = reply_to
        self._host = host

    def tell(self, event: events.Ask | events.Answer) -> None:
        """Have its measured process hear an answer."""
        values = dict(event.values) if isinstance(event, events.Answer) else {}
        begin_at = values.pop(events.BEGIN_AT, None)
        answer: dict[str, Json] = {"number": event.number, "values": values}
        if begin_at is not None:
            # Its clock need not be ours.
            answer[meeting.BEGIN_IN] = int(str(begin_at)) - time.perf_counter_ns()
        self._host._answer_to(self.name, answer)
