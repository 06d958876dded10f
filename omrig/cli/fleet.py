"""``omrig fleet``: a run whose members are on several hosts."""

import argparse
import contextlib
import ipaddress
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli.main import parsed
from omrig.cli.options import Parser, count
from omrig.fleet import placement
from omrig.model import errors
from omrig.model.errors import Losses, UsageError
from omrig.model.fleet import Kind
from omrig.model.plan import SIDES, Plan
from omrig.model.profiling import TARGETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omrig.broker.rabbitmq.embedded import Embedded
    from omrig.fleet.hosts import Host
    from omrig.model.result import Result
    from omrig.model.transport import Transport
    from omrig.supervisor.display import Display
    from omrig.supervisor.interrupts import Interrupts

ABOUT = """\
Spread a run over several hosts: each producer and consumer is a process on one of the workers of a
dask.distributed cluster, started and ended from here; all begin at one instant, and what they
recorded comes back into one run folder. What follows -- are options of omrig run.

  omrig fleet --local 2 -- -m 2000
  omrig fleet --hosts hosts.txt --producers 4 --consumers 2 -- --transport-url rabbit://... -m 9000
  omrig fleet --scheduler tcp://10.0.0.1:8786 --on producers=a,b --on consumers=c -- ...

It takes omrig[fleet] here and on every host. Whoever reaches the scheduler of such a cluster can
have anything done by its workers: keep it to a network of your own.
"""

RESUME = "--resume"

_SIDES = {"producers": "--producers", "consumers": "--consumers"}


def add_options(parser: Parser) -> None:
    """Add what stands before the ``--``."""
    which = parser.add_argument_group("cluster (one of them)")
    which.add_argument(
        "--local",
        type=count,
        metavar="N",
        help="N workers on this host, for the time of the run: to try it",
    )
    which.add_argument(
        "--hosts",
        metavar="FILE",
        help="a worker on each host that FILE lists (HOST [PYTHON] a line), started by ssh",
    )
    which.add_argument(
        "--scheduler", metavar="ADDRESS", help="the workers of a cluster, as tcp://HOST:8786"
    )
    members = parser.add_argument_group("members")
    for option in _SIDES.values():
        members.add_argument(
            option, type=count, metavar="N", help="as of omrig run; on either side of the --"
        )
    members.add_argument(
        placement.ON,
        action="append",
        default=[],
        metavar="WHO=HOST[,HOST...]",
        help="where producers, consumers or a member (consumer-2) go, else to all hosts in turn;"
        " repeatable",
    )
    members.add_argument(
        placement.OVERSUBSCRIBE,
        action="store_true",
        help="let a host have more members than cores",
    )
    members.add_argument(
        "--allow-differences",
        action="store_true",
        help="go on where hosts have other versions than this one",
    )
    parser.add_argument(
        RESUME,
        metavar="FOLDER",
        help="fetch what hosts of that run still hold, for they or this one were lost, and account"
        " for it again",
    )
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Measure over the hosts and show the result; the exit status."""
    from omrig.cli import run as command

    kind, where = _which(options)
    if options.resume is not None:
        return _resume(options, kind, where)
    on = placement.parse(options.on)
    arguments = [*_counts(options), *options.rest[1:], *(["--debug"] if options.debug else [])]
    _, run_options = parsed("run", arguments)
    if run_options.find_rate:
        raise UsageError("--find-rate: a fleet measures one run; give a --rate to each, in turn")
    plan = command.make_plan(run_options, SIDES)
    _check_software(plan)

    def measured(
        plan: Plan, display: "Display", interrupts: "Interrupts", broker: "Embedded | None"
    ) -> "tuple[Path, Result]":
        from omrig.fleet import cluster, placing, targets
        from omrig.supervisor import run as supervisor

        transport = _transport(plan, kind)
        with cluster.opened(kind, where, display.say) as opened:
            allowed = check_differences(opened.hosts, options.allow_differences, display.tell)
            check_reached(transport, opened.hosts)
            placed = placement.place(plan.members, opened.hosts, on, options.oversubscribe)
            for line in _where(placed):
                display.say(line)
            having = list({host.name: host for host in placed.values()}.values())
            targets.check(opened.client, having, plan.profiling.value(TARGETS))
            resources = None if options.oversubscribe else opened.resources
            with placing.placing(opened, placed, plan.run_id, allowed, resources) as place:
                recorded = supervisor.run(plan, display, interrupts, broker, place)
        return recorded.folder, command.accounted(recorded, interrupts)

    return command.measure_and_show(plan, run_options, measured)


def _resume(options: argparse.Namespace, kind: Kind, where: str | int) -> int:
    """Fetch what a run left on its hosts, account for it and show it; the exit status."""
    from omrig.cli import results
    from omrig.cli import run as command
    from omrig.fleet import cluster, resuming
    from omrig.recordings import folder as run_folder
    from omrig.recordings import writer

    if options.rest:
        raise UsageError(f"{RESUME}: the run has its options; leave out what follows --")
    folder, run = run_folder.read_run(options.resume, RESUME)
    resuming.left(run)
    with cluster.opened(kind, where, _say) as opened, errors.naming(RESUME):
        run, failed = resuming.gather(opened.client, run, folder, opened.hosts, _say)
        writer.write_json(folder / run_folder.RUN, run.to_json())
    losses = Losses(folder)
    with errors.naming(RESUME):
        result = results.account(folder, losses)
    _, show_options = parsed("run", ["--debug"] if options.debug else [])
    result, is_drawn = command.draw(folder, run, result, show_options)
    command.show(folder, run, result, show_options)
    for name, reason in failed.items():
        _say(f"{name} still holds what it recorded: {reason}")
    return 0 if result.complete and is_drawn and not failed else cli.INCOMPLETE


def _say(text: str) -> None:
    sys.stderr.write(f"omrig: {text}\n")


def _which(options: argparse.Namespace) -> tuple[Kind, str | int]:
    """Which cluster is asked for. Raises ``UsageError`` unless it is one."""
    asked: dict[Kind, str | int | None] = {
        "local": options.local,
        "hosts": options.hosts,
        "scheduler": options.scheduler,
    }
    given = [(kind, where) for kind, where in asked.items() if where is not None]
    if len(given) != 1:
        names = " and ".join(f"--{kind}" for kind, _ in given) or "nothing"
        raise UsageError(
            f"omrig fleet: {names} says which cluster; give one of --local N, --hosts FILE and"
            " --scheduler ADDRESS, before the --"
        )
    return given[0]


def _counts(options: argparse.Namespace) -> list[str]:
    """How many members a side has, as options of ``omrig run``.

    Raises ``UsageError`` where it is said on both sides of the ``--``.
    """
    found = []
    for name, option in _SIDES.items():
        value = getattr(options, name)
        if value is None:
            continue
        if any(each.partition("=")[0] == option for each in options.rest):
            raise UsageError(
                f"{option}: it is given before and after the --; leave one of them out"
            )
        found.append(f"{option}={value}")
    return found


def _check_software(plan: Plan) -> None:
    """Raise ``UsageError`` for versions that members are to have which are elsewhere."""
    if plan.software.has_environment:
        raise UsageError(
            "--with, --python: the members of a fleet run what is installed on their hosts; install"
            " it there and here, and leave this out"
        )


def _transport(plan: Plan, kind: Kind) -> "Transport | None":
    """Where the messages go; None where a broker of its own is started for them.

    Raises ``UsageError`` for what several hosts cannot share, or cannot be read.
    """
    from omrig.drivers import configuration, driver, settings
    from omrig.model.transport import AMQP
    from omrig.supervisor import destination

    if destination.needs_broker(plan):
        if kind != "local":
            raise UsageError(
                "--transport-url: nothing says which broker the hosts of the fleet share; give its"
                " URL, or a --config-file that has it"
            )
        return None
    found = configuration.load(plan)
    url = configuration.find_url(found, plan)
    if url is None:
        return None
    scheme = url.url.partition("://")[0]
    if driver.by_scheme(scheme, url.source).broker != AMQP:
        raise UsageError(
            f"{url.source}: {scheme}:// is for omrig run alone; a fleet takes a broker that speaks"
            " AMQP, as rabbit://"
        )
    return settings.resolve(found, url)


def check_reached(transport: "Transport | None", hosts: "Sequence[Host]") -> None:
    """Raise ``UsageError`` for a broker that each host would look for on itself."""

    if transport is None:
        return
    elsewhere = [each.name for each in hosts if not _is_loopback(each.address)]
    own = [each.host for each in transport.login.endpoints if _is_loopback(each.host)]
    if own and elsewhere:
        raise UsageError(
            f"{transport.source}: {own[0]} is each host itself; give the address at which"
            f" {elsewhere[0]} reaches the broker"
        )


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def check_differences(
    hosts: "Sequence[Host]", allowed: bool, tell: Callable[[str], None]
) -> tuple[str, ...]:
    """How the hosts' versions differ from those here, where that is ``allowed``.

    ``tell`` is told of them. Raises ``UsageError`` with the list where they are not.
    """
    from omrig.fleet import differences

    found = differences.found(hosts)
    if found and not allowed:
        raise UsageError(
            f"--allow-differences: the hosts do not run the same: {'; '.join(found)}; install the"
            " same, or give --allow-differences"
        )
    if found:
        tell(f"warning: the hosts do not run the same: {'; '.join(found)}")
    return found


def _where(placed: "Mapping[str, Host]") -> Sequence[str]:
    """Which members are on which host, a line a host."""
    by_host: dict[str, list[str]] = {}
    for member, host in placed.items():
        by_host.setdefault(host.name, []).append(member)
    return [f"{host} has {', '.join(names)}" for host, names in by_host.items()]
