"""A Kafka cluster, as the process that the user started asks it; and a mock of one."""

import contextlib
import importlib
import re
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omrig.broker import leftovers, process
from omrig.broker.base import (
    BrokerInfo,
    Consumer,
    Group,
    Hearer,
    Held,
    Host,
    Met,
    Needs,
    QueueState,
    Refused,
)
from omrig.broker.leftovers import Left
from omrig.drivers.kafka import MOCK_HOST, MOCK_PRODUCT, consumer_group, topic
from omrig.model.declared import GROUP, TOPIC, Thing, note
from omrig.model.errors import RunError, UsageError
from omrig.model.events import Ask
from omrig.model.plan import Plan
from omrig.model.run import BrokerProcess
from omrig.model.transport import Endpoint, Login

CONNECT_S = 4.0
"""How long the cluster may take to let us in when it is cleaned up."""

ANSWER_S = 5.0
"""How long it may take to delete what a run made."""

_MOCK_CLUSTER = "mockCluster"
"""How the ids of librdkafka's mock clusters begin."""

_MOCK_URL = re.compile(rf"kafka://{MOCK_HOST}/?(\?.*)?")

_ALONE = (
    "over Kafka one side alone finds nobody: a producer and its consumer meet by queues of AMQP;"
    " use omrig run"
)


class KafkaBroker:
    """See :class:`omrig.broker.base.Broker`."""

    one_process = False

    def __init__(self, login: Login) -> None:
        self._login = login

    def check(self, deadline_s: float, needs: Needs | None = None) -> BrokerInfo:
        """What the cluster says of itself; it is asked for no more, whatever the run ``needs``."""
        if needs and len(needs.sides) == 1:
            raise UsageError(_ALONE)
        cluster = _metadata(self._login, deadline_s)
        first = min(cluster.brokers.values(), key=lambda broker: broker.id)
        return BrokerInfo(
            product=MOCK_PRODUCT if _is_mock(cluster) else "Kafka",
            version="",
            platform="",
            cluster_name=str(cluster.cluster_id or ""),
            vhost="",
            host=first.host,
            port=first.port,
        )

    def reachable(self) -> bool:
        """Whether any address takes a TCP connection."""
        return any(_takes_connections(endpoint) for endpoint in self._login.endpoints)

    def state(self, queue: str) -> QueueState | None:
        """Nothing: topics are not queues, and keep what was read."""

    def meet(self, plan: Plan, waiting: Callable[[float], None]) -> Met | None:  # noqa: ARG002
        """Nobody can be met."""
        raise UsageError(_ALONE)

    def host(
        self,
        plan: Plan,  # noqa: ARG002
        tell: Callable[[str], None],  # noqa: ARG002
        asked: Callable[[Hearer, Ask], None],  # noqa: ARG002
        group: Group,  # noqa: ARG002
    ) -> Host | None:
        """Nobody can come."""
        raise UsageError(_ALONE)

    def join(
        self,
        plan: Plan,  # noqa: ARG002
        waiting: Callable[[float], None],  # noqa: ARG002
    ) -> tuple[Held, Consumer | None]:
        """Nobody can come."""
        raise UsageError(_ALONE)

    def reach(self, plan: Plan, consumer: Consumer) -> Met:  # noqa: ARG002
        """Nobody can be met."""
        raise UsageError(_ALONE)

    def locate(self, info: BrokerInfo) -> BrokerProcess:
        """The process that listens where the cluster answered."""
        if info.product == MOCK_PRODUCT:
            return BrokerProcess(reason=f"{info.product} is no process of its own")
        return process.locate(info.host, info.port, info.product)

    def prepare(self, plan: Plan) -> None:
        """Make the run's topic, with a partition for each consumer; written down before.

        A consumer that listens to a topic that is not there has to wait until somebody looks again.
        """
        name = topic(plan.queue_topic, plan.priority)
        note(plan.transport.record, TOPIC, name, plan.tag)
        note(plan.transport.record, GROUP, consumer_group(plan.tag), plan.tag)
        create(self._login, name, plan.load.consumers)

    def clean_up(self, things: Sequence[Thing]) -> list[Left]:
        """Delete the topics and the consumer group of the run."""
        return remove(self._login, things)


def create(login: Login, name: str, partitions: int) -> None:
    """Make a topic. Raises ``UsageError`` where the cluster does not make it."""
    kafka, admin = library(), _admin(login)
    new: Any = importlib.import_module("confluent_kafka.admin").NewTopic
    try:
        if _is_mock(admin.list_topics(timeout=CONNECT_S)):
            # It makes what it is asked for, and takes no other orders.
            admin.list_topics(name, timeout=ANSWER_S)
            return
        asked = new(name, num_partitions=partitions, replication_factor=-1)
        admin.create_topics([asked], request_timeout=ANSWER_S)[name].result(ANSWER_S)
    except kafka.KafkaException as error:
        raise UsageError(
            f"the Kafka cluster {_where(login)} did not make the topic {name} ({_words(error)}):"
            " the user has to be allowed to create and delete topics"
        ) from error


def _is_mock(cluster: Any) -> bool:
    return str(cluster.cluster_id or "").startswith(_MOCK_CLUSTER)


def _where(login: Login) -> str:
    return ", ".join(endpoint.address for endpoint in login.endpoints)


def remove(login: Login, things: Sequence[Thing]) -> list[Left]:
    """Delete what a run made; what was left behind. Never raises for want of a cluster."""
    left = leftovers.remove_files(things)
    topics, groups = leftovers.of_kind(TOPIC, things), leftovers.of_kind(GROUP, things)
    if not topics and not groups:
        return left
    try:
        cluster = _metadata(login, CONNECT_S)
    except (UsageError, RunError) as error:
        return left + [_left(login, each, str(error)) for each in (*topics, *groups)]
    if _is_mock(cluster):
        # Nothing of it outlives the process that started it.
        return left
    there = [each for each in topics if each.name in cluster.topics]
    admin = _admin(login)
    for kind, delete in ((there, admin.delete_topics), (groups, admin.delete_consumer_groups)):
        if kind:
            asked = delete([each.name for each in kind], request_timeout=ANSWER_S)
            left += _refused(login, kind, asked)
    return left


def remaining(login: Login, things: Sequence[Thing]) -> list[Thing]:
    """Those of a run's things that are there. Raises UsageError where the cluster is not."""
    found = leftovers.remaining_files(things)
    topics = leftovers.of_kind(TOPIC, things)
    if topics:
        known = _metadata(login, CONNECT_S).topics
        found += [each for each in topics if each.name in known]
    return found


def asks_for_mock(url: str) -> bool:
    """Whether a transport URL asks for a cluster of our own."""
    return bool(_MOCK_URL.fullmatch(url))


@contextlib.contextmanager
def mock_cluster(url: str) -> Iterator[str]:
    """A cluster within this process, for the length of the block: its transport URL.

    It has the query of the ``url`` that asks for it.

    Raises ``UsageError`` where confluent-kafka is not installed, ``RunError`` where it does not
    come up.
    """
    kafka = library()
    # The addresses it is given here are not used; without its log, which tells that.
    asked = {"test.mock.num.brokers": 1, "bootstrap.servers": MOCK_HOST, "log_level": 0}
    cluster = kafka.Producer(asked)
    try:
        brokers = cluster.list_topics(timeout=ANSWER_S).brokers.values()
    except kafka.KafkaException as error:
        raise RunError(f"librdkafka's mock cluster did not come up: {_words(error)}") from error
    addresses = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    _, mark, query = url.partition("?")
    yield f"kafka://{addresses}/{mark}{query}"
    # It ends with what started it.
    del cluster


def library() -> Any:
    """The client library. Raises ``UsageError`` where it is not installed."""
    try:
        import confluent_kafka
    except ImportError as error:
        raise UsageError(
            "--transport-url: kafka:// needs the Python module confluent_kafka, which is not"
            " installed here: pip install 'omrig[kafka]'"
        ) from error
    return confluent_kafka


def _metadata(login: Login, deadline_s: float) -> Any:
    """What the cluster says of itself and its topics.

    Raises :class:`omrig.broker.base.Refused` where it says no, and ``UsageError`` where it does
    not answer within the deadline.
    """
    kafka = library()
    try:
        return _admin(login).list_topics(timeout=deadline_s)
    except kafka.KafkaException as error:
        where = _where(login)
        code = error.args[0].code()
        if code in (kafka.KafkaError._AUTHENTICATION, kafka.KafkaError._SSL):
            raise Refused(
                f"the Kafka cluster {where} did not let omrig in ({_words(error)}): check user,"
                " password and the options of [oslo_messaging_kafka]"
            ) from error
        raise UsageError(
            f"no Kafka cluster answers at {where} within {deadline_s:g} s ({_words(error)}): check"
            " the address and its port, and that what listens there speaks Kafka"
        ) from error


def _admin(login: Login) -> Any:
    from confluent_kafka.admin import AdminClient

    servers = ",".join(endpoint.address for endpoint in login.endpoints)
    given = {name: value for name, value in login.client.items() if value}
    asked: Any = {"bootstrap.servers": servers, "log_level": 0, **given}
    return AdminClient(asked)


def _refused(login: Login, things: Sequence[Thing], asked: Mapping[str, Any]) -> list[Left]:
    """What the cluster did not delete of what it was asked to; what is not there is deleted."""
    kafka = library()
    gone = (kafka.KafkaError.UNKNOWN_TOPIC_OR_PART, kafka.KafkaError.GROUP_ID_NOT_FOUND)
    left = []
    for thing in things:
        try:
            asked[thing.name].result(ANSWER_S)
        except kafka.KafkaException as error:
            if error.args[0].code() not in gone:
                left.append(_left(login, thing, _words(error)))
        except TimeoutError:
            left.append(_left(login, thing, "the cluster did not answer"))
    return left


def _left(login: Login, thing: Thing, reason: str) -> Left:
    """``thing`` with what the operator of the cluster runs to delete it."""
    servers = ",".join(endpoint.address for endpoint in login.endpoints)
    tool, name = ("topics", "topic") if thing.kind == TOPIC else ("consumer-groups", "group")
    command = [f"kafka-{tool}.sh", "--bootstrap-server", servers, "--delete", f"--{name}"]
    return Left(thing, reason, shlex.join([*command, thing.name]))


def _takes_connections(endpoint: Endpoint) -> bool:
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=CONNECT_S).close()
    except OSError:
        return False
    return True


def _words(error: Any) -> str:
    """librdkafka's own words, in one line."""
    return " ".join(str(error.args[0].str()).split())
