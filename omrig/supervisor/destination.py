"""Where the messages of a run go: from the configuration to a broker that was asked and a peer."""

import contextlib
import dataclasses
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from omrig.broker import choice, kafka
from omrig.broker import process as broker_process
from omrig.broker.base import Broker, Needs
from omrig.drivers import backend, configuration, envelope, options, settings
from omrig.drivers.kafka import MOCK_PRODUCT
from omrig.model import interpreter
from omrig.model.errors import RunError, UsageError
from omrig.model.patterns import RPC
from omrig.model.plan import Plan
from omrig.supervisor import consent

if TYPE_CHECKING:
    from omrig.broker.base import BrokerInfo, Met
    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.model.run import BrokerNode, BrokerProcess
    from omrig.model.transport import Transport
    from omrig.supervisor.display import Display

PREFLIGHT_S = 10.0
"""How long the broker has to let us in before the load, and to do then what the sides need."""


@dataclasses.dataclass
class Destination:
    """Where the messages go: the transport, the broker behind it, and whose process that is.

    ``configuration`` is what was read, ``pools`` and ``timeout_s`` what it comes to. ``info`` is
    what the ``broker`` said of itself, ``needs`` what it will be asked for; ``embedded`` is set
    where it is ours. ``process`` is the broker's on this host, or why it is not known; None without
    a broker. ``nodes`` are those of a cluster, None where the URL has one host. ``peer`` is the
    consumer that a producer alone has met, ``alone`` says why it has met none. ``leader`` is the
    run of the consumer whose group a consumer has joined.
    """

    plan: Plan
    configuration: configuration.Configuration
    transport: "Transport"
    broker: Broker
    timeout_s: float
    pools: dict[str, int]
    info: "BrokerInfo | None" = None
    needs: Needs | None = None
    embedded: "Embedded | None" = None
    process: "BrokerProcess | None" = None
    peer: "Met | None" = None
    nodes: "tuple[BrokerNode, ...] | None" = None
    alone: str | None = None
    leader: str = ""

    @property
    def has_lasting_broker(self) -> bool:
        """Whether what is declared on the broker would be there after the run."""
        return not self.broker.one_process and self.embedded is None and not self.is_mock

    @property
    def is_mock(self) -> bool:
        """Whether something stands in for a broker, and ends with its process."""
        return bool(self.info and self.info.product == MOCK_PRODUCT)

    @property
    def resolved_plan(self) -> Plan:
        """The plan for measured processes: with what has been decided, and nothing to look for."""
        found = self.configuration
        return self.plan.with_transport(
            config_files=tuple(found.files),
            config_dirs=tuple(found.dirs),
            environment=interpreter.option_variables() if found.uses_environment else {},
            url=self.transport.url,
            is_resolved=True,
        )

    @property
    def carried_plan(self) -> Plan:
        """The plan for measured processes on other hosts, which have none of the files.

        What these and the environment say of oslo.messaging is among its options.
        """
        return self.resolved_plan.with_transport(
            config_files=(),
            config_dirs=(),
            environment={},
            assigned=configuration.carried(self.configuration),
        )


def needs_broker(plan: Plan) -> bool:
    """Whether :func:`opened` would start a RabbitMQ of its own for ``plan``.

    Raises ``UsageError`` when the configuration cannot be read.
    """
    backend.keep_eventlet_out()
    url = configuration.find_url(configuration.load(plan), plan)
    _refuse_rabbitmq(plan, url)
    return url is None and len(plan.sides) > 1


@contextlib.contextmanager
def opened(plan: Plan, display: "Display", broker: "Embedded | None") -> Iterator[Destination]:
    """Where the messages of ``plan`` go, checked, for the length of the block.

    A broker of its own is started where nothing is configured, unless ``broker`` is one.

    Raises ``UsageError`` for a configuration or a broker that will not do, and
    ``RunError`` for a broker of ours that does not come up.
    """
    backend.keep_eventlet_out()
    found = configuration.load(plan)
    _warn(found, plan, display)
    url = configuration.find_url(found, plan)
    _refuse_rabbitmq(plan, url)
    if url and kafka.asks_for_mock(url.url):
        with kafka.mock_cluster(url.url) as address:
            yield _check(plan, found, dataclasses.replace(url, url=address), display)
        return
    both = len(plan.sides) > 1
    if url is None and both:
        ours = own_broker(display, plan.software.rabbitmq)
        with ours if broker is None else contextlib.nullcontext(broker) as broker:
            url = configuration.Found(broker.url, configuration.EMBEDDED_SOURCE, True)
            try:
                destination = _check(plan, found, url, display)
            except RunError as error:
                raise RunError(f"{error}; it runs in {broker.data_dir.parent} (TMPDIR)") from error
            destination.embedded = broker
            yield destination
        return
    destination = _check(plan, found, url or configuration.default_url(found), display)
    yield destination


def _warn(found: configuration.Configuration, plan: Plan, display: "Display") -> None:
    """Tell what of the configuration cannot be used, where that is no reason to stop."""
    if found.unreadable:
        display.tell(
            f"warning: {', '.join(found.unreadable)} may not be looked into: options of"
            f" {plan.transport.project} that stand there are not used"
        )
    unknown = options.unknown(found)
    if unknown:
        display.tell(
            f"warning: oslo.messaging {metadata.version('oslo.messaging')} has no such option:"
            f" {', '.join(unknown)}"
        )


def _refuse_rabbitmq(plan: Plan, url: configuration.Found | None) -> None:
    """Refuse to be told which RabbitMQ to start where none is started."""
    named = plan.software.rabbitmq
    if named and len(plan.sides) == 1:
        raise UsageError(
            f"--rabbitmq: one side alone starts no broker, so {named} would not be used; leave it"
            " out, or use omrig run"
        )
    if named and url:
        raise UsageError(
            f"--rabbitmq: {url.source} names the broker, and none is started, so {named} would not"
            " be used; leave one of them out"
        )


@contextlib.contextmanager
def own_broker(display: "Display", rabbitmq: str = "") -> Iterator["Embedded"]:
    """An embedded RabbitMQ for the length of the block; which one, ``--rabbitmq`` says."""
    from omrig.broker.rabbitmq.embedded import embedded_broker

    display.say("starting an embedded RabbitMQ")
    with embedded_broker(rabbitmq=rabbitmq) as broker:
        yield broker


def _check(
    plan: Plan, found: configuration.Configuration, url: configuration.Found, display: "Display"
) -> Destination:
    transport = settings.resolve(found, url)
    settings.check_pattern(transport, plan)
    broker = choice.of(transport)
    if broker.one_process and len(plan.sides) == 1:
        raise UsageError(
            f"{transport.source}: {transport.redacted} stays inside one process, and one side alone"
            " finds nobody there; use omrig run, or the URL of a broker"
        )
    destination = Destination(
        plan=plan,
        configuration=found,
        transport=transport,
        broker=broker,
        timeout_s=settings.timeout_s(transport, plan),
        pools=settings.pool_sizes(transport, plan),
    )
    destination.info = broker.check(PREFLIGHT_S)
    if destination.info:
        _try_out(destination, destination.info, display)
    return destination


def _try_out(to: Destination, info: "BrokerInfo", display: "Display") -> None:
    """Have the broker do what the run needs of it, if the load may go there."""
    plan, transport = to.plan, to.transport
    is_ours = transport.source == configuration.EMBEDDED_SOURCE or to.is_mock
    if not is_ours:
        consent.ask(plan, transport, info, display)
    size = envelope.body_bytes(plan, transport.options)
    to.needs = Needs(
        plan.sides,
        transport.options,
        size,
        None if is_ours else plan,
        copies=any(pattern.copies for pattern in plan.load.patterns),
        rpc=RPC in plan.load.traffic,
        priority=plan.priority,
    )
    to.broker.check(PREFLIGHT_S, to.needs)
    display.say(f"{info.named} at {transport.redacted}")


@contextlib.contextmanager
def met(to: Destination, display: "Display") -> Iterator[None]:
    """Have a producer alone meet its consumer, which serves it until the block ends, and a consumer
    of a group the first of that.

    Raises ``UsageError`` when the consumer declares other things than it would.
    """
    plan = to.plan
    if plan.sides == ("consumer",) and plan.load.expect_consumers > 1:
        with _joined(to, display):
            yield
        return
    if plan.sides != ("producer",):
        yield
        return
    try:
        found = to.broker.meet(plan, display.waiting)
    except RunError as error:
        to.alone = str(error)
        found = None
    if found is None:
        yield
        return
    try:
        consumer = found.consumer
        least = f", of {found.answered} the one with the fewest producers"
        display.say(f"served by {consumer.who}{least if found.answered > 1 else ''}")
        to.plan = plan.with_transport(
            served_topic=consumer.topic,
            served_exchange=consumer.exchange,
            served_by=consumer.who,
        )
        to.peer = found
        yield
    finally:
        found.release()


@contextlib.contextmanager
def _joined(to: Destination, display: "Display") -> Iterator[None]:
    """Have a consumer be one of its group until the block ends."""
    held, consumer = to.broker.join(to.plan, display.waiting)
    try:
        if consumer:
            display.say(f"joined {consumer.who}")
            to.leader = consumer.run_id
            to.plan = to.plan.with_transport(
                served_topic=consumer.topic,
                served_exchange=consumer.exchange,
                served_by=consumer.who,
            )
        else:
            others = to.plan.load.expect_consumers - 1
            display.say(f"the first of its group; producers are answered when {others} more came")
        yield
    finally:
        held.release()


def locate_nodes(to: Destination) -> "tuple[BrokerNode, ...] | None":
    """The nodes that the transport URL names, each with its process; None where it names one."""
    from omrig.model.run import BrokerNode

    addresses = {each.address: each for each in to.transport.login.endpoints}
    if to.info is None or len(addresses) < 2:
        return None
    product = to.info.product
    return tuple(
        BrokerNode(address=address, process=broker_process.locate(each.host, each.port, product))
        for address, each in addresses.items()
    )


def locate(to: Destination) -> "BrokerProcess | None":
    """The broker's process on this host, or why it is not known; None without a broker."""
    if to.embedded:
        return broker_process.embedded(to.embedded.beam_pid)
    return to.broker.locate(to.info) if to.info else None
