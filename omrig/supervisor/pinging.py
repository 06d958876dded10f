"""The life of a ping: its servers are looked for, a measured process calls them, its queue goes."""

import dataclasses
import queue
import socket
from collections.abc import Callable
from pathlib import Path

from omrig.broker import choice
from omrig.broker.amqp import servers
from omrig.drivers import backend, configuration, settings
from omrig.model import events
from omrig.model.errors import RunError, UsageError
from omrig.model.ping import Ping
from omrig.model.plan import Plan
from omrig.model.transport import AMQP
from omrig.recordings import folder as run_folder
from omrig.supervisor import cleaning
from omrig.supervisor.child import Child
from omrig.supervisor.destination import PREFLIGHT_S, Destination
from omrig.supervisor.display import Display
from omrig.supervisor.ending import STOP_S
from omrig.supervisor.interrupts import Interrupts
from omrig.supervisor.place import Said

MODULE = "omrig.measured.pinging.process"

_TICK_S = 0.1

_CONTROL_EXCHANGE = "control_exchange"
_DEFAULT_EXCHANGE = "openstack"


@dataclasses.dataclass(frozen=True)
class Asked:
    """A ping that is over: whom it asked, how they were found and what could not be known."""

    ping: Ping
    to: Destination
    found: servers.Found
    reason: str | None


def run(
    plan: Plan,
    ping: Ping,
    display: Display,
    interrupts: Interrupts,
    hear: Callable[[Ping, events.CallEnded], None],
) -> Asked:
    """Find the servers and call them; ``hear`` is told of each call that ended.

    Raises ``UsageError`` where nobody can be asked, and ``RunError`` where the calls could not be
    made.
    """
    to = _destination(plan)
    found = servers.find(
        to.transport.login, ping.targets, _exchanges(to, ping), _hosts(to), ping.management
    )
    ping = dataclasses.replace(ping, exchange=found.exchange, servers=found.servers)
    # Only now: a name that is wrong leaves no folder.
    folder = run_folder.create(plan.output.folder, plan.members)
    plan = dataclasses.replace(plan, output=dataclasses.replace(plan.output, folder=str(folder)))
    to.plan = plan
    if not ping.asked:
        return Asked(ping, to, found, None)
    reason = None
    with interrupts.deferring():
        record = cleaning.record(to, display)
        try:
            reason = _call(to, ping, folder, interrupts, hear)
        finally:
            cleaning.clean_up(record, to, display)
    return Asked(ping, to, found, reason)


def _destination(plan: Plan) -> Destination:
    """The broker that the configuration names, which lets us in; nothing is tried on it."""
    backend.keep_eventlet_out()
    found = configuration.load(plan)
    url = configuration.find_url(found, plan) or configuration.default_url(found)
    transport = settings.resolve(found, url)
    if transport.broker != AMQP:
        raise UsageError(
            f"{transport.source}: {transport.scheme}:// has no servers of RPC that others could"
            " call; give the URL of the service's RabbitMQ"
        )
    broker = choice.of(transport)
    return Destination(
        plan=plan,
        configuration=found,
        transport=transport,
        broker=broker,
        timeout_s=settings.timeout_s(transport, plan),
        pools=settings.pool_sizes(transport, plan),
        info=broker.check(PREFLIGHT_S),
    )


def _hosts(to: Destination) -> list[str]:
    """Names that a server on this host may have: as a service's configuration calls it, or not."""
    from oslo_config import cfg

    configured: list[str] = []
    for path in to.configuration.read_files():
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        configured += sections.get("DEFAULT", {}).get("host", [])
    return list(dict.fromkeys([*configured, socket.gethostname(), socket.getfqdn()]))


def _exchanges(to: Destination, ping: Ping) -> list[str]:
    """The exchanges that may be meant, the likeliest first.

    Services set theirs in their code, mostly to their own name.
    """
    if ping.exchange:
        return [ping.exchange]
    setting = to.transport.settings.get(_CONTROL_EXCHANGE)
    named = [str(setting.value)] if setting and not setting.is_default else []
    return list(dict.fromkeys([*named, to.plan.transport.project, _DEFAULT_EXCHANGE]))


def _call(
    to: Destination,
    ping: Ping,
    folder: Path,
    interrupts: Interrupts,
    hear: Callable[[Ping, events.CallEnded], None],
) -> str | None:
    """Have the measured process make the calls; why it ended early, None where it did not.

    Raises ``RunError`` where it recorded nothing.
    """
    said: queue.Queue[Said] = queue.Queue()
    child = Child(to.resolved_plan, folder, MODULE)
    try:
        child.listen(said)
        child.send_plan()
        child.tell(events.Ask(1, "ping", dict(ping.to_json())))
        failed, is_saved = _hear(child, said, ping, interrupts, hear)
    finally:
        child.stop()
        status = child.ended(STOP_S)
        child.kill()
    if failed and failed.usage:
        raise UsageError(failed.text)
    if not is_saved:
        text = failed.text if failed else child.last_words()
        raise RunError(f"the calls could not be made: {text}; see {folder}/{child.name}/log.txt")
    if interrupts.count:
        return "interrupted"
    if failed or status:
        return failed.text if failed else f"the process ended with {status}: {child.last_words()}"
    return None


def _hear(
    child: Child,
    said: "queue.Queue[Said]",
    ping: Ping,
    interrupts: Interrupts,
    hear: Callable[[Ping, events.CallEnded], None],
) -> tuple[events.Failed | None, bool]:
    """What it says until it says no more: that it failed, and whether it has saved."""
    failed, is_saved = None, False
    while True:
        if interrupts.count:
            child.stop()
        try:
            _, line = said.get(timeout=_TICK_S)
        except queue.Empty:
            continue
        if line is None:
            return failed, is_saved
        match events.decode(line):
            case events.CallEnded() as call:
                hear(ping, call)
            case events.Failed() as event:
                failed = event
            case events.Saved():
                is_saved = True
