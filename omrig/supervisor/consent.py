"""Before a load: say in one line where it goes, and ask where nobody chose that broker for it."""

import sys
from typing import TYPE_CHECKING

from omrig.model import behaviour
from omrig.model.errors import UsageError
from omrig.model.plan import Plan
from omrig.model.sizes import KILOBYTE

if TYPE_CHECKING:
    from omrig.broker.base import BrokerInfo
    from omrig.model.transport import Transport
    from omrig.supervisor.display import Display

MOST_UNASKED = 100_000
"""Messages that are sent unasked to a broker that only the configuration of a service names."""


def ask(plan: Plan, transport: "Transport", info: "BrokerInfo", display: "Display") -> None:
    """Say where the load of ``plan`` goes; ask first where it is large and the broker was found.

    A broker counts as found that no option of the command line named, nor a file or folder that
    one named. A consumer sends no load. Raises ``UsageError`` where the answer
    is no, or there is no terminal to ask on and no ``--yes``.
    """
    display.tell(_destination(plan, transport, info))
    if "producer" not in plan.sides or transport.is_named or plan.transport.yes:
        return
    calls = behaviour.parse(plan.load.endpoint or ()).calls
    # Each of them is a message more.
    total = plan.load.messages and plan.load.messages * (1 + calls)
    if total is not None and total <= MOST_UNASKED:
        return
    lasts_s = plan.pace.duration_s
    endless = f"a load of {lasts_s:g} s" if lasts_s else "a load without an end"
    many = endless if total is None else f"{total:,} messages"
    where = f"the broker that {transport.source} names"
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"--message_count: {many} to {where}, and no terminal to ask on; give --yes to send"
            " them, or --transport-url of the broker that is meant"
        )
    if not display.ask(f"send {many} to {where}?"):
        raise UsageError(
            "--message_count: nothing was sent; give --transport-url of another broker"
        )


def _destination(plan: Plan, transport: "Transport", info: "BrokerInfo") -> str:
    sizes = plan.load.sizes
    size = str(sizes.recorded()) if sizes else f"{plan.load.size_bytes / KILOBYTE:g} KB"
    vhost = transport.login.vhost
    inside = f", virtual host {vhost!r}" if vhost else ""
    at = f"{info.host}:{info.port}{inside} (from {transport.source})"
    if "producer" not in plan.sides:
        return f"messages are taken from {at}"
    total = plan.load.messages
    lasts_s = plan.pace.duration_s
    endless = f"messages for {lasts_s:g} s" if lasts_s else "messages without an end"
    many = endless if total is None else f"{total:,} messages"
    return f"the load goes to {at}: {many} of {size}"
