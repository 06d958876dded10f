"""Where producers and consumers that are started one by one find each other.

What a run declares is its own, so a producer has to be told the topic of a consumer. They meet at
an exchange, :data:`EXCHANGE`, with ``--topic`` as routing key: each consumer has a queue there on
which it answers who it is, until a producer has claimed it. All of it is exclusive or deletes
itself, so it vanishes with the connection. This is spoken by the processes that started the sides,
not by those that are measured: a consumer answers however busy it is.

A message is a JSON object, ``ask`` says which: ``who`` (answered by a :class:`Consumer` and how
many producers it ``serves``), ``claim`` (with the ``serves`` that the producer has seen: another
one may have been faster; answered by ``accepted``; of another consumer of the group, which
``joins``), ``release``, and ``control`` of who has claimed
it: a question of the producer's measured process (:class:`omrig.model.events.Ask`), answered by
``number`` and ``values``.
"""

import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import amqp

from omrig.broker.amqp import refusals
from omrig.broker.amqp.cleanup import bounded
from omrig.broker.amqp.connection import cut, drop
from omrig.broker.amqp.line import Line
from omrig.broker.base import Consumer
from omrig.drivers import rabbit
from omrig.model import events
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import TAG_DIGITS
from omrig.model.transport import Login

EXCHANGE = "omrig.meet"

CONNECT_S = 5.0
"""How long the broker may take to let us in; then it is tried again."""

ANSWER_S = 3.0
"""How long the broker may take to answer."""

CONSUMER_S = 1.0
"""How long a consumer may take to answer."""

OTHERS_S = 0.3
"""How long to wait for the answers of other consumers after the first one."""

RETRY_S = 0.5

ASK_AGAIN_S = 2.0
"""After so long without an answer a question is asked again."""

REPLIES = "amq.rabbitmq.reply-to"
"""The broker's own name for answers on the same channel."""

BEGIN_IN = "begin_in_ns"
"""Of an answer: in how many ns all begin; the clocks of both ends need not be the same."""

FAILURES = (UsageError, OSError, amqp.AMQPError)
"""What a broker that cannot be used raises."""


def check_options(ours: Mapping[str, bool], consumer: Consumer) -> None:
    """Compare what both sides would declare.

    Raises ``UsageError`` where the broker would refuse the second of the two.
    """
    if rabbit.topic_exchange(ours) == rabbit.topic_exchange(consumer.options):
        return
    differing = [
        f"{rabbit.full(name)} is {ours[name]} here and {theirs} there"
        for name, theirs in consumer.options.items()
        if ours.get(name) != theirs
    ]
    raise UsageError(
        f"{consumer.who}, declares its exchange with other settings: {'; '.join(differing)};"
        " give both sides the same"
    )


class Found:
    """A consumer that a producer has claimed; ``answered`` consumers were there to choose from.

    What its measured processes are to hear is said by a thread, once :meth:`listen` was called. One
    that is not there yet is waited for.
    """

    def __init__(
        self, login: Login, producer: str, consumer: Consumer, answered: int, is_there: bool = True
    ) -> None:
        self.consumer = consumer
        self._is_there = is_there
        self.answered = answered
        self.name = consumer.who
        self._login = login
        self._producer = producer
        self._open: dict[int, Mapping[str, object]] = {}
        self._line: Line | None = None
        self._socket: socket.socket | None = None
        self._released = threading.Event()

    def listen(self, take: Callable[[events.Answer], None]) -> None:
        """Have ``take`` called, by another thread, with the answers to what is asked."""
        threading.Thread(target=self._stay, args=(take,), name="omrig asking", daemon=True).start()

    def tell(self, event: events.Ask | events.Answer) -> None:
        """Have the consumer's measured processes hear a question."""
        if isinstance(event, events.Ask):
            asked = {"ask": "control", "producer": self._producer, **vars(event)}
            self._open[event.number] = asked
            if self._line:
                self._send(self._line, asked)

    def _send(self, line: Line, asked: Mapping[str, object]) -> None:
        line.send(asked, queue_of(self.consumer.run_id), mandatory=True, reply_to=REPLIES)

    def _stay(self, take: Callable[[events.Answer], None]) -> None:
        while not self._released.is_set():
            # The broker is gone: whoever produces says so.
            with contextlib.suppress(*FAILURES):
                self._converse(take)
            self._released.wait(RETRY_S)

    def _converse(self, take: Callable[[events.Answer], None]) -> None:
        def heard(message: Any) -> None:
            if answer := self._answer(value_of(message)):
                take(answer)

        def returned(_error: Any, _exchange: str, _key: str, message: Any) -> None:
            if not self._is_there:
                # It has joined its group and declares its queues: it will be asked again.
                return
            # Nobody is there any more.
            if answer := self._answer({**value_of(message), "values": {}}):
                take(answer)

        connection = bounded(self._login, CONNECT_S, ANSWER_S)
        self._socket = connection.transport.sock
        try:
            channel = connection.channel()
            channel.basic_consume(REPLIES, no_ack=True, callback=heard)
            channel.events["basic_return"].add(returned)
            with contextlib.closing(Line(connection, channel)) as line:
                self._line = line
                while not self._released.is_set():
                    # What was asked on a connection that was lost, or of who ended meanwhile.
                    for asked in list(self._open.values()):
                        self._send(line, asked)
                    while line.hear(ASK_AGAIN_S):
                        pass
        finally:
            self._line = None
            drop(connection)

    def _answer(self, value: Mapping[str, Any]) -> events.Answer | None:
        """The answer in a message, if it is one to what was asked."""
        number, values = value.get("number"), value.get("values")
        if not isinstance(number, int) or not isinstance(values, dict):
            return None
        if self._open.pop(number, None) is None:
            return None
        self._is_there = True
        if isinstance(begin_in := value.get(BEGIN_IN), int):
            values[events.BEGIN_AT] = time.perf_counter_ns() + begin_in
        return events.Answer(number, values)

    def release(self) -> None:
        """Tell the consumer that this producer has ended; one that is gone is not told."""
        self._released.set()
        if self._socket is not None:
            # From under the thread that waits on it.
            cut(self._socket)
        with contextlib.suppress(*FAILURES), contextlib.ExitStack() as ending:
            connection = bounded(self._login, CONNECT_S, ANSWER_S)
            ending.callback(drop, connection)
            text = json.dumps({"ask": "release", "producer": self._producer})
            queue = queue_of(self.consumer.run_id)
            connection.channel().basic_publish(amqp.Message(text), routing_key=queue)
            connection.close()


class Lead:
    """That a consumer is the first of its group: nobody else can be as long as it is held.

    Raises :class:`amqp.ResourceLocked` where somebody is.
    """

    def __init__(self, login: Login, topic: str) -> None:
        self._connection = bounded(login, CONNECT_S, ANSWER_S)
        try:
            queue = f"{EXCHANGE}.first.{topic}"
            self._connection.channel().queue_declare(queue, exclusive=True, auto_delete=True)
        except FAILURES:
            drop(self._connection)
            raise

    def release(self) -> None:
        """Let others be the first."""
        drop(self._connection)


def group_key(topic: str) -> str:
    """The routing key by which the consumers of a group find the first of them."""
    return f"{topic} first"


def find(
    login: Login,
    topic: str,
    producer: str,
    wait_s: float,
    waiting: Callable[[float], None],
    joins: Consumer | None = None,
) -> Found:
    """The consumer of ``topic`` that serves the fewest producers, claimed for the run ``producer``.

    What ``joins`` the group of that consumer is one itself.

    ``waiting`` is called with the seconds that are left, again and again, while there is none.
    Raises ``RunError`` when none has answered within ``wait_s``.
    """
    deadline = time.monotonic() + wait_s
    problem = ""
    while True:
        try:
            connect_s = min(CONNECT_S, max(CONSUMER_S, deadline - time.monotonic()))
            with contextlib.closing(_Search(login, topic, producer, connect_s, joins)) as search:
                while True:
                    problem = ""
                    if (found := search.try_once(deadline)) is not None:
                        return found
                    _wait(deadline, waiting, search.problem, topic, wait_s)
        except FAILURES as error:
            problem = reason_of(error)
        _wait(deadline, waiting, problem, topic, wait_s)


def _wait(
    deadline: float, waiting: Callable[[float], None], problem: str, topic: str, wait_s: float
) -> None:
    left = deadline - time.monotonic()
    if left <= 0:
        reason = f" ({problem})" if problem else ""
        raise RunError(
            f"no consumer answered on topic {topic} within {wait_s:g} s{reason}; start one with the"
            f" same transport: omrig -c --topic {topic}, or use omrig run for both sides"
        )
    waiting(left)
    time.sleep(min(RETRY_S, left))


class _Search:
    """A producer's connection to the meeting."""

    def __init__(
        self, login: Login, topic: str, producer: str, connect_s: float, joins: Consumer | None
    ) -> None:
        self._login = login
        self._topic = topic
        self._joins = {} if joins is None else {"joins": dataclasses.asdict(joins)}
        self._producer = producer
        self._connection = bounded(login, connect_s, ANSWER_S)
        self._answers: list[dict[str, Any]] = []
        self._nobody = False
        self.problem = ""

    def close(self) -> None:
        """Leave."""
        drop(self._connection)

    def try_once(self, deadline: float) -> Found | None:
        """A consumer, if there is one that is not claimed by another again and again until then;
        ``problem`` says where it is."""
        self.problem = ""
        try:
            with self._channel() as channel:
                while answers := self._ask(channel):
                    consumer, serves = min(answers, key=lambda each: each[1])
                    if self._claim(channel, consumer, serves):
                        return Found(self._login, self._producer, consumer, len(answers))
                    self.problem = f"{consumer.who}, did not accept this producer"
                    if time.monotonic() >= deadline:
                        break
        except amqp.NotFound:
            # The exchange is there as long as a consumer is.
            pass
        return None

    @contextlib.contextmanager
    def _channel(self) -> Iterator[Any]:
        # One for each try: answers that come too late go with it.
        channel = self._connection.channel()
        channel.basic_consume(REPLIES, no_ack=True, callback=self._take)
        channel.events["basic_return"].add(self._returned)
        yield channel
        channel.close()

    def _take(self, message: Any) -> None:
        self._answers.append(value_of(message))

    def _returned(self, *_: Any) -> None:
        self._nobody = True

    def _ask(self, channel: Any) -> list[tuple[Consumer, int]]:
        self._send(channel, {"ask": "who"}, EXCHANGE, self._topic)
        self._drain(CONSUMER_S, until_first=True)
        if self._answers:
            self._drain(OTHERS_S, until_first=False)
        return [known for each in self._answers if (known := known_answer(each))]

    def _claim(self, channel: Any, consumer: Consumer, serves: int) -> bool:
        asked = {"ask": "claim", "producer": self._producer, "serves": serves, **self._joins}
        self._send(channel, asked, "", queue_of(consumer.run_id))
        self._drain(CONSUMER_S, until_first=True)
        return any(each.get("accepted") is True for each in self._answers)

    def _send(self, channel: Any, value: dict[str, Any], exchange: str, key: str) -> None:
        self._answers.clear()
        self._nobody = False
        message = amqp.Message(json.dumps(value), reply_to=REPLIES)
        channel.basic_publish(message, exchange=exchange, routing_key=key, mandatory=True)

    def _drain(self, seconds: float, until_first: bool) -> None:
        end = time.monotonic() + seconds
        while not self._nobody and not (until_first and self._answers):
            left = end - time.monotonic()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                self._connection.drain_events(left)


def known_answer(value: Mapping[str, Any]) -> tuple[Consumer, int] | None:
    """The consumer that an answer is of and how many it serves; None for what none of ours says.

    Whoever is let in by the broker can answer: no producer is sent to anything but what a run of
    omrig has declared for itself alone.
    """
    expected = {"run_id": str, "topic": str, "exchange": str, "host": str, "pid": int}
    given: dict[str, Any] = {name: value.get(name) for name in expected}
    serves, options = value.get("serves"), value.get("options")
    typed = [isinstance(given[name], kind) for name, kind in expected.items()]
    if not all(typed) or not isinstance(serves, int) or not isinstance(options, dict):
        return None
    consumer = Consumer(**given, options=rabbit.declaring_options(options))
    tag = consumer.run_id[:TAG_DIGITS]
    is_own = consumer.topic.startswith("omrig") and len(tag) == TAG_DIGITS and tag in consumer.topic
    if not is_own or consumer.exchange != consumer.topic or not consumer.host.isprintable():
        return None
    return consumer, serves


def queue_of(run_id: str) -> str:
    """Where the consumer of a run is asked."""
    return f"{EXCHANGE}.{run_id}"


def value_of(message: Any) -> dict[str, Any]:
    """The object in a message; empty for what is not of this protocol."""
    try:
        value = json.loads(message.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def reason_of(error: Exception) -> str:
    """Why the broker could not be used, in words."""
    return str(error) if isinstance(error, UsageError) else refusals.quoted(error)
