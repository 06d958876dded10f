"""Who serves a topic of RPC, by what a broker tells without anything being declared or changed.

Each server of a topic has a queue of its own, ``TOPIC.SERVER``, and shares ``TOPIC``; while one
listens there is the exchange ``TOPIC_fanout``. A passive declaration tells whether a name is there,
and how many take from a queue. Names are told by the management API alone: without it those are
tried that this host may have.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from omrig.broker.amqp import management
from omrig.broker.amqp.connection import call_within, drop, open_first
from omrig.broker.amqp.management import NoManagement
from omrig.model.errors import UsageError
from omrig.model.ping import Server
from omrig.model.transport import Login

LOOK_S = 10.0
"""How long the broker may take to tell all of it."""

MANAGEMENT_S = 3.0
"""How long the management API may take."""


@dataclasses.dataclass(frozen=True)
class Found:
    """The exchange, the servers, how they were found and what could not be known, in words."""

    exchange: str
    servers: tuple[Server, ...]
    how: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()


def find(
    login: Login,
    targets: Sequence[str],
    exchanges: Sequence[str],
    hosts: Sequence[str],
    ask_management: bool = False,
) -> Found:
    """The servers that ``targets`` (``TOPIC`` or ``TOPIC.SERVER``) name, on the first of
    ``exchanges`` that is there.

    ``hosts`` are names that a server may have; the management API is asked for others only with
    ``ask_management``. Raises ``UsageError`` where there is no such
    exchange, where nobody was ever called so, and for a broker that does not let us in.
    """
    connection, endpoint = open_first(login, LOOK_S)
    try:
        looking = _Looking(connection, login, hosts, ask_management)
        return call_within(LOOK_S, lambda: looking.find(targets, exchanges))
    except TimeoutError:
        raise UsageError(
            f"the broker {endpoint.address} did not answer within {LOOK_S:.0f} s when it was asked"
            " which queues there are: see the broker's log for the reason"
        ) from None
    finally:
        drop(connection)


class _Looking:
    def __init__(
        self, connection: Any, login: Login, hosts: Sequence[str], ask_management: bool
    ) -> None:
        self._connection = connection
        self._login = login
        self._hosts = hosts
        self._ask_management = ask_management
        self._how: list[str] = []
        self._not_seen: list[str] = []

    def find(self, targets: Sequence[str], exchanges: Sequence[str]) -> Found:
        exchange = next((each for each in exchanges if self._has_exchange(each)), None)
        if exchange is None:
            raise UsageError(
                f"--exchange: the broker has no exchange {' and no '.join(map(repr, exchanges))} in"
                f" the virtual host {self._login.vhost!r}; give the control_exchange of the service"
            )
        found: dict[str, Server] = {}
        for target in targets:
            for server in self._of_target(target):
                found.setdefault(server.key, server)
        return Found(exchange, tuple(found.values()), tuple(self._how), tuple(self._not_seen))

    def _of_target(self, target: str) -> list[Server]:
        if self._is_topic(target):
            return self._of_topic(target)
        consumers = self._consumers(target)
        topic = next(filter(self._is_topic, _beginnings(target)), "")
        if topic:
            return [_server(target, topic, consumers)]
        if consumers is None:
            raise UsageError(
                f"{target}: the virtual host {self._login.vhost!r} has no queue of this name, and"
                " nobody listens to such a topic; correct the name, or the transport URL"
            )
        # Nobody listens to the topic any more: its own queue tells where it ends, if it is there.
        topic = next(
            (each for each in _beginnings(target) if self._consumers(each) is not None), ""
        )
        if topic:
            return [_server(target, topic, consumers)]
        return [Server(topic=target, consumers=consumers, found="the queue of the topic")]

    def _of_topic(self, topic: str) -> list[Server]:
        """Each server by its name as far as that is known, and the topic for those without."""
        shared = self._consumers(topic) or 0
        servers = self._named(topic)
        # Of a server with several processes each takes from both queues.
        known = sum(each.consumers or 0 for each in servers)
        if known >= shared and servers:
            return servers
        self._not_seen.append(
            f"{shared} take from {topic}, and the names of {shared - known} of them are not known:"
            " calls to the topic go to all of them in turn, and a reply does not say whose it is;"
            f" name them to have each asked: omrig ping {topic}.SERVER"
        )
        whole = Server(topic=topic, consumers=shared, found="the queue that its servers share")
        return [*servers, whole]

    def _named(self, topic: str) -> list[Server]:
        beginning = f"{topic}."
        try:
            if not self._ask_management:
                raise NoManagement("--management asks the broker's management API for all names")
            names = management.queues(self._login, beginning, MANAGEMENT_S)
        except NoManagement as error:
            names = [f"{beginning}{host}" for host in self._hosts]
            self._how.append(f"names of this host were tried ({error})")
            how = "a queue with the name of this host"
        else:
            self._how.append(f"the management API told the queues of {topic}")
            how = "the management API"
        servers = []
        for name in dict.fromkeys(names):
            # ironic.conductor is no server of the topic ironic, but a topic.
            if any(self._is_topic(each) for each in (name, *_beginnings(name)) if each != topic):
                continue
            consumers = self._consumers(name)
            if consumers is not None:
                servers.append(_server(name, topic, consumers, how))
        return servers

    def _is_topic(self, name: str) -> bool:
        return self._has_exchange(f"{name}_fanout")

    def _has_exchange(self, name: str) -> bool:
        with self._asked() as channel:
            channel.exchange_declare(name, "topic", passive=True)
            return True
        return False

    def _consumers(self, queue: str) -> int | None:
        """How many take from a queue; None where there is none."""
        with self._asked() as channel:
            return int(channel.queue_declare(queue, passive=True).consumer_count)
        return None

    @contextlib.contextmanager
    def _asked(self) -> Iterator[Any]:
        """A channel of its own for a question: the broker closes it with the answer that there is
        no such thing, which ends the block."""
        import amqp

        channel = self._connection.channel()
        with contextlib.suppress(amqp.NotFound):
            yield channel
            channel.close()


def _server(key: str, topic: str, consumers: int | None, how: str = "named") -> Server:
    return Server(topic=topic, name=key[len(topic) + 1 :], consumers=consumers, found=how)


def _beginnings(name: str) -> list[str]:
    """What a name may be the topic of: all before one of its dots, the longest first."""
    return [name[:at] for at in range(len(name) - 1, 0, -1) if name[at] == "."]
