"""Where the messages of a run go: from the configuration to a broker that was asked and a peer."""

import contextlib
import dataclasses
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING

from omrig.drivers import configuration, envelope, settings
from omrig.measured.executors import base
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Plan
from omrig.supervisor import consent

if TYPE_CHECKING:
    from omrig.broker import process as broker_process
    from omrig.broker.amqp.preflight import BrokerInfo
    from omrig.broker.amqp.trial import Needs
    from omrig.broker.rabbitmq.embedded import Broker
    from omrig.report.terminal.progress import Progress

PREFLIGHT_S = 10.0
"""How long the broker has to let us in before the load, and to do then what the sides need."""


@dataclasses.dataclass
class Destination:
    """Where the messages go: the transport, who answers there, and the broker if it is ours.

    ``configuration`` is what was read, ``pools`` and ``timeout_s`` what it comes to. ``process`` is
    the broker's on this host, or why it is not known; None without a broker.
    ``alone`` says why a producer alone has met no consumer.
    """

    plan: Plan
    configuration: configuration.Configuration
    transport: settings.Transport
    timeout_s: float
    pools: dict[str, int]
    info: "BrokerInfo | None" = None
    needs: "Needs | None" = None
    embedded: "Broker | None" = None
    process: "broker_process.Located | None" = None
    alone: str | None = None

    @property
    def has_lasting_broker(self) -> bool:
        """Whether what is declared on the broker would be there after the run."""
        return self.transport.speaks_amqp and self.embedded is None

    @property
    def resolved_plan(self) -> Plan:
        """The plan for measured processes: with what has been decided, and nothing to look for."""
        found = self.configuration
        return self.plan.with_transport(
            config_files=tuple(found.files),
            config_dirs=tuple(found.dirs),
            environment=configuration.option_variables() if found.uses_environment else {},
            url=self.transport.url,
            is_resolved=True,
        )


def needs_broker(plan: Plan) -> bool:
    """Whether :func:`run` would start a RabbitMQ of its own for ``plan``.

    Raises ``UsageError`` when the configuration cannot be read.
    """
    # Keeps eventlet and its warnings out of this process as well.
    base.load("threading").patch()
    if len(plan.sides) == 1:
        return False
    return configuration.find_url(configuration.load(plan), plan) is None


@contextlib.contextmanager
def opened(plan: Plan, progress: "Progress", broker: "Broker | None") -> Iterator[Destination]:
    """Where the messages of ``plan`` go, checked, for the length of the block.

    A broker of its own is started where nothing is configured, unless ``broker`` is one.

    Raises ``UsageError`` for a configuration or a broker that will not do, and
    ``RunError`` for a broker of ours that does not come up.
    """
    # Keeps eventlet and its warnings out of this process as well.
    base.load("threading").patch()
    found = configuration.load(plan)
    _warn(found, plan, progress)
    url = configuration.find_url(found, plan)
    both = len(plan.sides) > 1
    if url is None and both:
        with own_broker(progress) if broker is None else contextlib.nullcontext(broker) as broker:
            url = configuration.Found(broker.url, configuration.EMBEDDED_SOURCE, True)
            try:
                destination = _check(plan, found, url, progress)
            except RunError as error:
                raise RunError(f"{error}; it runs in {broker.data_dir.parent} (TMPDIR)") from error
            destination.embedded = broker
            yield destination
        return
    destination = _check(plan, found, url or configuration.default_url(found), progress)
    yield destination


def _warn(found: configuration.Configuration, plan: Plan, progress: "Progress") -> None:
    """Tell what of the configuration cannot be used, where that is no reason to stop."""
    if found.unreadable:
        progress.tell(
            f"warning: {', '.join(found.unreadable)} may not be looked into: options of"
            f" {plan.transport.project} that stand there are not used"
        )
    unknown = configuration.unknown_options(found)
    if unknown:
        progress.tell(
            f"warning: oslo.messaging {metadata.version('oslo.messaging')} has no such option:"
            f" {', '.join(unknown)}"
        )


@contextlib.contextmanager
def own_broker(progress: "Progress") -> Iterator["Broker"]:
    """An embedded RabbitMQ for the length of the block."""
    from omrig.broker.rabbitmq.embedded import embedded_broker

    progress.say("starting an embedded RabbitMQ")
    with embedded_broker() as broker:
        yield broker


def _check(
    plan: Plan, found: configuration.Configuration, url: configuration.Found, progress: "Progress"
) -> Destination:
    transport = settings.resolve(found, url)
    if transport.in_memory and len(plan.sides) == 1:
        raise UsageError(
            f"{transport.source}: {transport.redacted} stays inside one process, and one side alone"
            " finds nobody there; use omrig run, or the URL of a broker"
        )
    destination = Destination(
        plan=plan,
        configuration=found,
        transport=transport,
        timeout_s=plan.load.timeout_s or float(transport.value("rpc_response_timeout")),
        pools=settings.pool_sizes(transport, plan),
    )
    if transport.speaks_amqp:
        from omrig.broker.amqp import preflight, trial

        destination.info = preflight.check(transport.login, PREFLIGHT_S)
        if transport.source != configuration.EMBEDDED_SOURCE:
            consent.ask(plan, transport, destination.info, progress)
        size = envelope.body_bytes(plan, transport.options)
        lasts = plan if transport.source != configuration.EMBEDDED_SOURCE else None
        destination.needs = trial.Needs(plan.sides, transport.options, size, lasts)
        preflight.check(transport.login, PREFLIGHT_S, destination.needs)
        progress.say(
            f"{destination.info.product} {destination.info.version} at {transport.redacted}"
        )
    return destination


@contextlib.contextmanager
def met(to: Destination, progress: "Progress") -> Iterator[None]:
    """Have a producer alone meet its consumer, which serves it until the block ends.

    Raises ``UsageError`` when the consumer declares other things than it would.
    """
    if to.plan.sides != ("producer",) or not to.transport.speaks_amqp:
        yield
        return
    from omrig.broker.amqp import meeting

    plan = to.plan
    try:
        found = meeting.find(
            to.transport.login,
            plan.transport.topic,
            plan.run_id,
            plan.load.wait_s,
            progress.waiting,
        )
    except RunError as error:
        to.alone = str(error)
        yield
        return
    try:
        consumer = found.consumer
        meeting.check_options(meeting.declaring_options(to.transport.options), consumer)
        least = f", of {found.answered} the one with the fewest producers"
        progress.say(f"served by {consumer.who}{least if found.answered > 1 else ''}")
        to.plan = plan.with_transport(
            served_topic=consumer.topic,
            served_exchange=consumer.exchange,
            served_by=consumer.who,
        )
        yield
    finally:
        found.release()


def locate(destination: Destination) -> "broker_process.Located | None":
    """The broker's process on this host, or why it is not known; None without a broker."""
    from omrig.broker import process

    if destination.embedded:
        return process.embedded(destination.embedded.beam_pid)
    info = destination.info
    return process.locate(info.host, info.port, info.product) if info else None
