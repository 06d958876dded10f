"""The trial before a run: what the driver will ask of the broker, asked on names of our own.

The driver tries for ever what a broker refuses, and says why at best in its log. So what a side
needs is tried once, with the driver's own arguments, before any process of the load is started:
exchanges and queues are declared and bound, messages published and consumed, and all of it deleted.
"""

import dataclasses
import re
import shlex
import time
import uuid
from pathlib import Path
from typing import Any

from omrig.broker import declared
from omrig.broker.amqp import cleanup, refusals
from omrig.broker.amqp.connection import call_within, drop
from omrig.broker.base import Needs, PublishersBlocked, Refused
from omrig.drivers import rabbit
from omrig.drivers.rabbit import Queue
from omrig.model import errors
from omrig.model.declared import EXCHANGE, QUEUE, Thing, note
from omrig.model.errors import RunError, UsageError
from omrig.model.transport import Endpoint, Login

SAFE_BYTES = 64 * 1024
"""No broker is known to take less: the size of larger messages is tried."""

EXPIRES_MS = 60_000
"""The queues that a killed omrig leaves of its trial are gone after so long; a stream takes no such
limit, and an exchange that was never bound none either: the record of the trial has them."""

_DELETE_S = 2.0

_TOO_LARGE = re.compile(r"message size (\d+) is larger than (?:configured )?max size (\d+)")


class Blocked(Exception):
    """The broker takes nothing from those that publish, for the reason in its own words."""


def perform(
    connection: Any, endpoint: Endpoint, login: Login, needs: Needs, deadline_s: float
) -> None:
    """Try what ``needs`` says on an open ``amqp.Connection``, and delete it again.

    Takes ``deadline_s`` seconds, and some more to delete when the broker does not answer. Raises
    ``UsageError``, one line, for what does not work, :class:`Refused` where that
    is the broker's answer, and :class:`PublishersBlocked` when it has blocked those that publish.
    """
    trial = _Trial(connection, needs, login)
    deleted = False
    end = time.monotonic() + deadline_s
    try:
        call_within(deadline_s, trial.run)
        call_within(max(_DELETE_S, end - time.monotonic()), trial.delete)
        deleted = True
    except Exception as error:
        raise _explain(error, trial, endpoint, login.vhost, deadline_s) from error
    finally:
        if not deleted:
            # What was not asked again on the way must not be answered after it was deleted.
            drop(connection)
            deleted = _delete_anew(trial, dataclasses.replace(login, endpoints=(endpoint,)))
        if deleted and trial.record:
            trial.record.unlink(missing_ok=True)


def _delete_anew(trial: "_Trial", login: Login) -> bool:
    """Delete on another connection; whether nothing is left. What is stays in the record."""
    things = [Thing(QUEUE, name, is_own=True) for name in trial.queues]
    things += [Thing(EXCHANGE, name, is_own=True) for name in trial.exchanges]
    try:
        return not call_within(_DELETE_S, lambda: cleanup.remove(login, things))
    except TimeoutError:
        return False


def _explain(
    error: Exception, trial: "_Trial", endpoint: Endpoint, vhost: str, seconds: float
) -> Exception:
    """A failure in words, with what to do about it."""
    import amqp

    where = f"the broker {endpoint.address}"
    if isinstance(error, Blocked):
        return PublishersBlocked(
            f"{where} has blocked its publishers ({refusals.said(error)}): free what it is short"
            " of, or wait until it has"
        )
    if isinstance(error, TimeoutError):
        return UsageError(
            f"{where} did not answer within {seconds:.0f} s when omrig tried to {trial.doing}: see"
            " the broker's log for the reason"
        )
    if isinstance(error, amqp.AMQPError) and refusals.is_broker_s(error):
        kind = UsageError if refusals.is_limit(refusals.said(error)) else Refused
        return kind(f"{where} {_refusal(error, trial.doing, endpoint.username, vhost)}")
    if isinstance(error, amqp.AMQPError | amqp.exceptions.MessageNacked | OSError):
        return UsageError(
            f"{where} did not let omrig {trial.doing} ({refusals.quoted(error)}): see the"
            " broker's log for the reason"
        )
    return error


def _refusal(error: Any, doing: str, user: str, vhost: str) -> str:
    words = refusals.said(error)
    if sizes := _TOO_LARGE.search(words):
        size, most = sizes.groups()
        return (
            f"takes messages up to {most} bytes, one is {size}: lower -s, or raise max_message_size"
            " in the broker's configuration"
        )
    if missing := refusals.permission(error):
        what, name = missing
        return (
            f"did not let omrig {doing} ({words}): the {what} permission is missing; `rabbitmqctl"
            f" set_permissions -p {shlex.quote(vhost)} {shlex.quote(user)} CONFIGURE WRITE READ`"
            f" with a {what.upper()} that matches {_family(name)}"
        )
    return f"did not let omrig {doing} ({words}): {refusals.advice(words, user, vhost)}"


def _family(name: str) -> str:
    """A pattern for all names like this one."""
    for beginning in ("reply_", "omrig"):
        if name.startswith(beginning):
            return f"'^{beginning}.*'"
    return repr(name)


class _Trial:
    """What is asked, and what there is to delete.

    Raises ``RunError`` when that cannot be written down.
    """

    def __init__(self, connection: Any, needs: Needs, login: Login) -> None:
        self.doing = "open a channel"
        self.queues: list[str] = []
        self.exchanges: list[str] = []
        self._connection = connection
        self._needs = needs
        # Of this trial alone: another one of the same run may be under way.
        self._tag = uuid.uuid4().hex[:12]
        self._topic = f"omrig.check.{self._tag}"
        self.record = self._begin_record(login)
        _hear_blocked(connection)

    def _begin_record(self, login: Login) -> Path | None:
        if not self._needs.plan:
            return None
        try:
            return declared.begin(self._needs.plan, login, broker_lasts=True, trial=self._tag)[0]
        except OSError as error:
            raise RunError(
                "what a trial declares on the broker is written down, and cannot be:"
                f" {errors.in_words(error)}"
            ) from error

    def _note(self, kind: str, name: str) -> None:
        if self.record:
            note(str(self.record), kind, name, self._tag)

    def run(self) -> None:
        """Everything that the sides need. Raises what py-amqp raises, and :class:`Blocked`."""
        channel = self._connection.channel()
        options, sides = self._needs.options, self._needs.sides
        self._declare_exchange(channel, self._topic, "topic")
        queues = []
        if self._needs.priority:
            queues.append(rabbit.notified(self._topic, self._needs.priority, options))
        if "consumer" in sides and self._needs.rpc:
            queues += [
                each
                for each in rabbit.served(self._topic, options)
                if self._needs.streams or not each.is_stream
            ]
        fanout = f"{self._topic}_fanout"
        sends_copies = self._needs.copies and "producer" in sides
        if sends_copies or any(each.exchange == fanout for each in queues):
            self._declare_exchange(channel, fanout, "fanout")
        if "producer" in sides and self._needs.rpc:
            queues.append(rabbit.reply(f"reply_{self._topic}", options))
        for queue in queues:
            self._declare_queue(channel, queue)
        if "producer" in sides:
            self._publish(channel, self._topic, "topic")
            self._publish_large(channel)
        if sends_copies:
            self._publish(channel, fanout, "fanout")
        if "consumer" in sides and self._needs.rpc:
            self.doing = "publish a reply to the default exchange"
            self._send(channel, "", f"reply_{self._topic}", 1)
        # Also what was confirmed before the broker said that it is blocked: now it has said so.
        self._consume(channel, queues)

    def delete(self) -> None:
        """Delete all that was declared, on a channel of its own."""
        self.doing = "delete what it had declared"
        channel = self._connection.channel()
        while self.queues:
            channel.queue_delete(self.queues[-1])
            self.queues.pop()
        while self.exchanges:
            channel.exchange_delete(self.exchanges[-1])
            self.exchanges.pop()

    def _declare_exchange(self, channel: Any, name: str, kind: str) -> None:
        options = self._needs.options
        self.doing = f"declare a {kind} exchange"
        durable = (
            rabbit.is_durable(options) if kind == "topic" else rabbit.is_fanout_durable(options)
        )
        self._note(EXCHANGE, name)
        self.exchanges.append(name)
        # With the last queue goes the exchange, also where nobody is left to delete it.
        channel.exchange_declare(name, kind, durable=durable, auto_delete=True)

    def _declare_queue(self, channel: Any, queue: Queue) -> None:
        self.doing = f"declare {_description(queue)}"
        self._note(QUEUE, queue.name)
        self.queues.append(queue.name)
        channel.queue_declare(
            queue.name,
            durable=queue.durable,
            auto_delete=queue.auto_delete,
            arguments=queue.arguments if queue.is_stream else _expiring(queue.arguments),
        )
        if queue.exchange:
            self.doing = "bind a queue to an exchange"
            channel.queue_bind(queue.name, queue.exchange, self._topic)

    def _publish(self, channel: Any, exchange: str, kind: str) -> None:
        self.doing = f"publish a message to a {kind} exchange"
        self._send(channel, exchange, self._topic, 1)

    def _publish_large(self, channel: Any) -> None:
        if self._needs.body_bytes > SAFE_BYTES:
            self.doing = f"publish a message of {self._needs.body_bytes} bytes"
            # With a key that is bound to nothing: confirmed, and stored nowhere.
            self._send(channel, self._topic, "nowhere", self._needs.body_bytes)

    def _send(self, channel: Any, exchange: str, key: str, size: int) -> None:
        import amqp

        message = amqp.Message(body=b"x" * size, delivery_mode=2)
        channel.basic_publish_confirm(message, exchange, key)

    def _consume(self, channel: Any, queues: list[Queue]) -> None:
        if (prefetch := self._needs.options.get("rabbit_qos_prefetch_count") or 0) > 0:
            self.doing = f"have {prefetch} messages prefetched"
            channel.basic_qos(0, prefetch, False)
        for queue in queues:
            self.doing = f"consume from {_description(queue)}"
            arguments = queue.consumer_arguments
            channel.basic_cancel(
                channel.basic_consume(queue.name, callback=_ignore, arguments=arguments)
            )


def _ignore(_message: Any) -> None:
    """What comes is deleted with its queue."""


def _hear_blocked(connection: Any) -> None:
    """Raise :class:`Blocked` from whatever waits when the broker says so, with its reason.

    py-amqp knows the method and drops the reason.
    """
    from amqp import spec

    def blocked(reason: str) -> None:
        raise Blocked(reason)

    method = spec.Connection.Blocked
    connection._METHODS = {**connection._METHODS, method: spec.method(method, "s")}
    connection._callbacks[method] = blocked


def _expiring(arguments: rabbit.Arguments) -> rabbit.Arguments:
    expires_ms = int(arguments.get("x-expires", EXPIRES_MS))
    return {**arguments, "x-expires": min(EXPIRES_MS, expires_ms)}


def _description(queue: Queue) -> str:
    kind = queue.arguments.get("x-queue-type", "durable" if queue.durable else "transient")
    return f"a {kind} queue"
