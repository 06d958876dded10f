"""The clean-up after a run: delete what it declared, as its record says."""

import contextlib
import shlex
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from omrig.broker import leftovers
from omrig.broker.amqp import reaching, refusals
from omrig.broker.amqp.connection import drop, open_first
from omrig.broker.leftovers import Left, of_kind
from omrig.model.declared import EXCHANGE, QUEUE, Thing
from omrig.model.errors import UsageError
from omrig.model.transport import Login

if TYPE_CHECKING:
    import amqp

CONNECT_S = 4.0
"""How long the broker may take to let us in."""

ANSWER_S = 3.0
"""How long it may take to answer."""

DELETE_S = 10.0
"""How long it may take to delete a queue: of a quorum queue it waits for nodes that are gone."""

BUSY_S = 5.0
"""How long our own connections, which have ended, may still count as users."""

_RETRY_S = 0.2

_NODE_IS_DOWN = "is down or inaccessible"
"""What a broker says of a durable queue that only a node has which is gone."""


class Busy(Exception):
    """It is in use, and by whom: not deleted."""


def remove(login: Login, things: Sequence[Thing]) -> list[Left]:
    """Delete what a run declared; what was left behind.

    What other connections consume or bind stays; only of a stream the broker does not tell. What
    is not the run's own is deleted only where nobody uses it, and is not told of. Where a node of
    the broker is gone, what still counts as a consumer of the run's own queues are the run's, which
    were connected there. A thing that is not there counts as deleted. Each is tried alone: neither
    one that fails nor a broker that is gone keeps the others from being tried or raises anything. A
    ``login`` that names no broker is for files alone. Takes up to 13 seconds, and up to 13 more for
    each thing at which the broker hangs.
    """
    left = leftovers.remove_files(things)
    if not login.endpoints:
        return left
    # Queues first: an exchange with a bound queue counts as used.
    wanted = [each for each in of_kind(QUEUE, things) if each.is_own] + of_kind(EXCHANGE, things)
    with _Connection(login) as broker:
        deadline = time.monotonic() + BUSY_S
        for thing in wanted:
            reason = _delete(broker, thing, deadline, login)
            if reason and thing.is_own:
                left.append(not_deleted(login.vhost, thing, reason))
    strange = [each for each in of_kind(QUEUE, things) if not each.is_own]
    return left + [
        not_deleted(login.vhost, each, "this run need not have made it") for each in strange
    ]


def remaining(login: Login, things: Sequence[Thing]) -> list[Thing]:
    """Those of a run's own things that are there, or may be: a broker that stops answering is no
    reason to raise anything.

    Raises UsageError where one has to be asked and does not let us in. Without a lasting broker
    ``login`` names none, and files alone are looked for.
    """
    import amqp

    found = leftovers.remaining_files(things)
    if not login.endpoints:
        return found
    with _Connection(login) as broker:
        for thing in of_kind(QUEUE, things) + of_kind(EXCHANGE, things):
            try:
                is_there = broker.consumers(thing) is not None
            except (OSError, amqp.AMQPError, Busy):
                # Nothing was learnt of it: the attempt to delete it will say why.
                is_there = True
            if thing.is_own and is_there:
                found.append(thing)
    return found


def bounded(login: Login, connect_s: float, answer_s: float) -> "amqp.Connection":
    """An open connection on which no answer is waited for longer than ``answer_s``.

    Raises UsageError when the broker does not let us in.
    """
    connection, _ = open_first(login, connect_s)
    # Once the login is over py-amqp waits for ever.
    connection.transport.sock.settimeout(answer_s)
    return connection


class _Connection:
    """A connection that is opened when it is needed, and anew when the broker has closed it."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._connection: amqp.Connection | None = None
        self._refusal: UsageError | None = None

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        """Close the connection without waiting for the broker."""
        if self._connection is not None:
            drop(self._connection)
            self._connection = None

    @contextlib.contextmanager
    def channel(self) -> Iterator[Any]:
        """A channel for one request: the broker closes it on an error, or the whole connection."""
        import amqp

        if self._refusal:
            raise self._refusal
        if self._connection is None:
            try:
                self._connection = bounded(self._login, CONNECT_S, ANSWER_S)
            except UsageError as error:
                # Once is enough: each thing would wait as long.
                self._refusal = error
                raise
        try:
            channel = self._connection.channel()
            yield channel
            channel.close()
        except amqp.ChannelError:
            raise
        except (OSError, amqp.AMQPError):
            self.drop()
            raise

    def consumers(self, thing: Thing) -> int | None:
        """How many consume a queue, 0 for an exchange; None when it is not there.

        Raises :class:`Busy` where its node is down, with which it comes back.
        """
        import amqp

        try:
            with self.channel() as channel:
                if thing.kind == EXCHANGE:
                    channel.exchange_declare(thing.name, "topic", passive=True)
                    return 0
                return int(channel.queue_declare(thing.name, passive=True).consumer_count)
        except amqp.NotFound as error:
            if _NODE_IS_DOWN in refusals.said(error):
                raise Busy(refusals.said(error)) from error
            return None

    def delete(self, thing: Thing, used: bool = False) -> None:
        """Delete it unless it is used, or also if it is ``used``.

        Raises :class:`Busy` where it is not to be, and what py-amqp raises.
        """
        import amqp

        try:
            # Asked first: who may not delete is refused whether it is there or not.
            consumers = self.consumers(thing)
            if consumers is None:
                return
            if thing.kind == EXCHANGE:
                with self.channel() as channel:
                    channel.exchange_delete(thing.name, if_unused=True)
                return
            if consumers and not used:
                raise Busy(f"{consumers} other{'s consume' if consumers > 1 else ' consumes'} it")
            self._delete_queue(thing.name, if_unused=not used)
        except amqp.NotFound:
            return
        except amqp.PreconditionFailed as error:
            raise Busy("it is in use") from error

    def _delete_queue(self, name: str, if_unused: bool) -> None:
        import amqp

        try:
            with self.channel() as channel:
                # It has just answered: it is at work.
                channel.connection.transport.sock.settimeout(DELETE_S)
                channel.queue_delete(name, if_unused=if_unused)
                channel.connection.transport.sock.settimeout(ANSWER_S)
        except amqp.AMQPNotImplementedError:
            # Quorum queues and streams know no if-unused, and end the connection for it.
            self._delete_queue(name, if_unused=False)


def not_deleted(vhost: str, thing: Thing, reason: str) -> Left:
    """``thing`` with what the operator of the broker runs to delete it."""
    if thing.kind == QUEUE:
        command = ["rabbitmqctl", "delete_queue", "-p", vhost, thing.name]
    else:
        resource = f'rabbit_misc:r(<<"{vhost}">>,exchange,<<"{thing.name}">>)'
        delete = f'rabbit_exchange:delete({resource},false,<<"omrig">>).'
        command = ["rabbitmqctl", "eval", delete]
    return Left(thing, reason, shlex.join(command))


def _delete(broker: _Connection, thing: Thing, deadline: float, login: Login) -> str:
    """Delete a thing; why it is still there, empty when it is not."""
    import amqp

    used = False
    while True:
        try:
            broker.delete(thing, used)
        except Busy as error:
            reason = str(error)
        except UsageError as error:
            return str(error)
        except amqp.AMQPError as error:
            return refusals.quoted(error)
        except OSError as error:
            return f"the broker did not answer ({type(error).__name__})"
        else:
            return ""
        # Another's queue or exchange is only looked at: it may be in use for long.
        if not thing.is_own or (time.monotonic() > deadline and used):
            return reason
        if time.monotonic() > deadline:
            used = thing.kind == QUEUE and reaching.has_lost_one(login.endpoints)
            if not used:
                return reason
        time.sleep(_RETRY_S)
