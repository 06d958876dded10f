"""The command line: one module a command, with ``ABOUT``, ``add_options(parser)`` and
``run(options)``, which returns the exit status."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from omrig.cli.main import main as main

INCOMPLETE, USAGE, ABORTED, INTERRUPTED = 1, 2, 128, 130
"""Exit statuses: the run failed or is incomplete, it was asked for what cannot be, there is no
answer for ``git bisect run``, interrupted."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command in ``module``; ``examples`` are what ``omrig --help`` shows of it, with a help.

    ``usage`` is None where argparse may say it. What follows a ``--`` is for the command itself
    where it ``has_rest``. Where it ``has_modes``, profiler modes of other packages add options, by
    the module's ``add_modes(parser, arguments)``; where it ``has_scenarios``, one may be named.
    With the option that ``aborts``, whatever fails ends with :data:`ABORTED`: ``git bisect run``
    reads the status, and would take any other for "bad".
    """

    module: str
    examples: tuple[tuple[str, str], ...] = ()
    usage: str | None = None
    has_rest: bool = False
    has_modes: bool = False
    has_scenarios: bool = False
    aborts: str = ""


COMMANDS: Mapping[str, Command] = MappingProxyType(
    {
        "run": Command(
            "omrig.cli.run",
            (
                ("run -m 5000", "both sides on this host; without a configured transport it"),
                ("", "starts a RabbitMQ of its own"),
            ),
            usage="omrig run [options]",
            has_modes=True,
            has_scenarios=True,
        ),
        "": Command(
            "omrig.cli.side",
            (
                ("-c 100000", "a consumer (RPC server) that takes 100000 messages"),
                ("-p -m 20000 -s 10 -w 100", "a producer (RPC client) with 100 workers"),
            ),
            usage="omrig [run | report | compare | ping | scenario | clean | targets] [options]",
            has_modes=True,
        ),
        "report": Command(
            "omrig.cli.report",
            (
                ("report RUN", "show a run again"),
                ("report PRODUCER CONSUMER", "show the two sides of one run together"),
                ("report DIR/rec-1", "show a recording of services, method by method"),
            ),
        ),
        "compare": Command(
            "omrig.cli.compare",
            (("compare BASE NEW", "two runs, or two folders of runs, beside each other"),),
        ),
        "ab": Command(
            "omrig.cli.ab",
            usage="omrig ab [options] -- OPTIONS OF A -- OPTIONS OF B",
            has_rest=True,
        ),
        "sweep": Command(
            "omrig.cli.sweep",
            usage="omrig sweep --set OPTION=A,B,... [options] -- OPTIONS OF omrig run",
            has_rest=True,
        ),
        "bisect": Command(
            "omrig.cli.bisect",
            (("bisect --good A --bad B -- ...", "the release or commit since which it is slower"),),
            usage="omrig bisect --good A --bad B [options] -- OPTIONS OF omrig run",
            has_rest=True,
            aborts="--test",
        ),
        "history": Command(
            "omrig.cli.history",
            (
                (
                    "history FOLDER",
                    "a load over the versions of a package: what changed with which?",
                ),
            ),
            usage="omrig history [FOLDER] [options] [-- OPTIONS OF omrig run [-- ...]]",
            has_rest=True,
        ),
        "fleet": Command(
            "omrig.cli.fleet",
            (("fleet --hosts FILE -- -m 5000", "the same over several hosts"),),
            usage="omrig fleet --local N|--hosts FILE|--scheduler ADDRESS [options]"
            " -- OPTIONS OF omrig run",
            has_rest=True,
        ),
        "record": Command(
            "omrig.cli.record",
            (("record DIR --seconds 60", "where the time of running services goes"),),
        ),
        "status": Command("omrig.cli.status", (("status DIR", "which processes can be recorded"),)),
        "ping": Command(
            "omrig.cli.ping",
            (("ping TOPIC", "call each server of a service: which one is deaf?"),),
        ),
        "scenario": Command(
            "omrig.cli.scenario",
            (("scenario DIR/rec-1", "a load like a recording, for omrig run --scenario"),),
        ),
        "clean": Command(
            "omrig.cli.clean", (("clean", "delete what killed runs left on the broker"),)
        ),
        "exec": Command(
            "omrig.cli.exec",
            (("exec -- PROGRAM ...", "a service that can be recorded while it runs"),),
            usage="omrig exec [options] -- PROGRAM [ARGUMENT ...]",
            has_rest=True,
        ),
        "environments": Command(
            "omrig.cli.environments",
            (("environments --prune", "remove what --with and --python had made"),),
        ),
        "targets": Command(
            "omrig.cli.targets", (("targets", "list the functions that delimit the stages"),)
        ),
    }
)
"""Every command under its name; without one the options are those of one side."""
