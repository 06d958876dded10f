"""``omrig ping``: does each server of a topic answer, how fast, and which one is deaf?"""

import argparse
import datetime
import json
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli import streams
from omrig.cli.options import TRANSPORT, Parser, add_fields, count, given, rate, seconds, transport
from omrig.model.load import Load
from omrig.model.ping import (
    BASE_API,
    DEFAULT_RATE,
    DEFAULT_TIMEOUT_S,
    DEFAULT_WORKERS,
    LEAST_DURATION_S,
    METHODS,
    SERVER_PING,
    TURNS,
    Ping,
    PingResult,
)
from omrig.model.plan import DEFAULT_PROJECT, Output, Plan, Where
from omrig.supervisor.interrupts import Interrupts

if TYPE_CHECKING:
    from omrig.model.events import CallEnded
    from omrig.supervisor.pinging import Asked

ABOUT = """\
Call each server of a topic by a method that does nothing: who answers, how fast, and who is deaf?

  omrig ping conductor                       each conductor of nova, one call a second in all
  omrig ping conductor.host-1 compute.host-2 these two
  omrig ping ironic.conductor_manager --project ironic

Nothing is declared or changed but a reply queue of our own, which is deleted at the end. A service
of nova answers baseapi.ping, any other one oslo_rpc_server_ping where rpc_ping_enabled is true in
its configuration. The exit status is 0 where all replied, 1 where somebody did not.
"""


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig ping``."""
    parser.add_argument(
        "target",
        nargs="+",
        metavar="TOPIC[.SERVER]",
        help="a topic, whose servers are looked for, or one server of it",
    )
    _add_calls(parser)
    group = parser.add_argument_group(TRANSPORT.partition(", else")[0] + ")")
    group.add_argument(
        "--exchange",
        default="",
        metavar="NAME",
        help="the service's control_exchange (default: the configured one, else the project's name"
        " or openstack, whichever is there)",
    )
    group.add_argument(
        "--management",
        action="store_true",
        help="ask the broker's management API for the names of servers, too: on its host, 10000"
        " above its port, with the same login",
    )
    add_fields(group, Where, without=("topic", "yes"))
    output = parser.add_argument_group("output")
    add_fields(output, Output, without=("debug",))
    output.add_argument("--json", action="store_true", help="print result.json, nothing else")
    output.add_argument("--quiet", action="store_true", help="tell nothing meanwhile")
    add_fields(output, Output, without=("folder",))


def _add_calls(parser: Parser) -> None:
    calls = parser.add_argument_group("calls")
    calls.add_argument(
        "--method",
        metavar="METHOD",
        help=f"{' or '.join(METHODS)} (default: {BASE_API} with --project {DEFAULT_PROJECT}, else"
        f" {SERVER_PING})",
    )
    calls.add_argument(
        "--rate",
        type=rate,
        default=DEFAULT_RATE,
        metavar="R",
        help=f"calls a second at most, to all servers together (default {DEFAULT_RATE:g})",
    )
    calls.add_argument(
        "--duration",
        type=seconds,
        metavar="SECONDS",
        help=f"call for so long (default: until each was called {TURNS} times, but for"
        f" {LEAST_DURATION_S:g} s)",
    )
    calls.add_argument(
        "-w",
        "--worker_count",
        type=count,
        default=DEFAULT_WORKERS,
        metavar="N",
        help=f"calls at a time, to N servers (default {DEFAULT_WORKERS})",
    )
    calls.add_argument(
        "--timeout",
        type=seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"wait so long for a reply (default {DEFAULT_TIMEOUT_S:g})",
    )


def run(options: argparse.Namespace) -> int:
    """Ping and show it; the exit status."""
    from omrig.report.terminal import ping as terminal
    from omrig.report.terminal import progress
    from omrig.supervisor import pinging

    plan, ping = _plan(options), _ping(options)
    interrupts = Interrupts()
    display = progress.Progress(None) if options.quiet else progress.Lines(None)
    began_ns = time.perf_counter_ns()
    started_at = _now()
    with interrupts.handled():
        asked = pinging.run(
            plan, ping, display, interrupts, _Heard(options.quiet or options.json).hear
        )
        folder = Path(asked.to.plan.output.folder)
        result = _account(folder, asked, started_at, time.perf_counter_ns() - began_ns)
    with streams.shown():
        if options.json:
            print(json.dumps(result.to_json(), indent=1))
        else:
            terminal.show(folder, result)
    if result.reason:
        sys.stderr.write(f"omrig: incomplete: {result.reason}\n")
    if interrupts.count:
        return cli.INTERRUPTED
    return 0 if result.complete and result.all_answered else cli.INCOMPLETE


def _plan(options: argparse.Namespace) -> Plan:
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    return Plan(
        sides=("producer",),
        run_id=uuid.uuid4().hex,
        load=Load(executor="threading", workers=options.worker_count, messages=1),
        transport=transport(options),
        output=Output(**{"folder": f"omrig-runs/{now}-ping"} | given(options, Output)),
    )


def _ping(options: argparse.Namespace) -> Ping:
    project = options.project or DEFAULT_PROJECT
    method = options.method or (BASE_API if project == DEFAULT_PROJECT else SERVER_PING)
    return Ping(
        targets=tuple(dict.fromkeys(options.target)),
        method=method,
        exchange=options.exchange,
        rate=options.rate,
        workers=options.worker_count,
        timeout_s=options.timeout,
        duration_s=options.duration,
        management=options.management,
    )


class _Heard:
    """Tells when a server falls silent, and when it answers again."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._last: dict[int, str] = {}
        self._seen: set[tuple[int, str]] = set()

    def hear(self, ping: Ping, call: "CallEnded") -> None:
        """A call has ended."""
        from omrig.model import units

        server, what = ping.asked[call.number], (call.number, call.outcome)
        is_new = self._last.get(call.number) != call.outcome
        if (server.consumers or 1) > 1:
            # Several answer in turn: it changes with each call.
            is_new = what not in self._seen
        self._last[call.number] = call.outcome
        self._seen.add(what)
        if is_new and not self._quiet:
            took = units.duration(call.took_ns)
            sys.stderr.write(
                f"omrig: {call.at[11:19]} {server.label}: {call.outcome} after {took}\n"
            )


def _account(folder: Path, asked: "Asked", started_at: str, duration_ns: int) -> PingResult:
    """The result, which is also written into ``folder``."""
    from omrig.accounting import pings, statistics
    from omrig.accounting.verdict import deaf
    from omrig.model.ping import Pinged
    from omrig.recordings import environment, writer
    from omrig.recordings import folder as run_folder

    ping, to = asked.ping, asked.to
    here = environment.describe(to.transport.broker)
    servers = tuple(Pinged(server=each, state="absent") for each in ping.servers)
    stages, stamped, close = None, 0, 0
    if ping.asked:
        offset_ns = time.time_ns() - time.perf_counter_ns()
        found = pings.account(folder / to.plan.members[0], ping, here, offset_ns)
        servers, close = found.servers, found.within_tolerance
        if found.timeline:
            stages, stamped = statistics.table(found.timeline.durations), found.timeline.rows
    result = PingResult(
        complete=asked.reason is None,
        reason=asked.reason,
        transport=to.transport.redacted,
        exchange=ping.exchange,
        method=ping.method,
        rate=ping.rate,
        workers=ping.workers,
        timeout_s=ping.timeout_s,
        started_at=started_at,
        duration_ns=duration_ns,
        host=here.host,
        versions=here.versions,
        broker=to.info.named if to.info else "",
        sent=sum(each.sent for each in servers),
        answered=sum(each.answered for each in servers),
        servers=servers,
        stages=stages,
        stamped=stamped,
        within_tolerance=close,
        found=asked.found.how,
        not_seen=asked.found.not_seen,
        verdict=deaf.verdict(ping, servers),
    )
    writer.write_json(folder / run_folder.RESULT, result.to_json())
    return result


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
