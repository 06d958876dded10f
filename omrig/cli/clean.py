"""``omrig clean``: delete what runs left on the broker that could not do it themselves."""

import argparse
import datetime
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from omrig import cli
from omrig.cli.options import TRANSPORT, Parser, add_fields, transport
from omrig.model import errors
from omrig.model.errors import UsageError
from omrig.model.plan import Plan, Where

if TYPE_CHECKING:
    from omrig.broker.declared import Record
    from omrig.fleet.spool import Kept
    from omrig.model.transport import Login, Transport

ABOUT = """\
Delete the queues, exchanges and topics that earlier runs of this user made and could not delete:
runs that were killed, or whose broker was gone at their end. Each run writes down what it declares
before it does. Nothing else is touched, nor what a run that is under way uses, nor what others
consume. Of several brokers this looks at the one that the transport reaches.

Ends with 0 when nothing is left there, with 1 when something is.

With --spool the folders that members of a fleet left on this host, and that no coordinator
collected, are deleted as well: what they measured is lost then. Those of a run that is under way
are kept.
"""

_NOTHING = "no run has left anything: there is no record"


def add_options(parser: Parser) -> None:
    """Add the options of ``omrig clean``."""
    parser.add_argument(
        "record", nargs="*", metavar="RECORD", help="records (default: those of this user's runs)"
    )
    parser.add_argument("--dry-run", action="store_true", help="show it, and delete nothing")
    parser.add_argument(
        "--spool", action="store_true", help="also what members of fleets left on this host"
    )
    add_fields(parser.add_argument_group(TRANSPORT), Where, without=("topic", "yes"))
    parser.add_argument("-d", "--debug", action="store_true", help="tracebacks of errors")


def run(options: argparse.Namespace) -> int:
    """Clean up; the exit status."""
    is_left = _clean_broker(options)
    is_kept = _clean_spool(options)
    return cli.INCOMPLETE if is_left or is_kept else 0


def _clean_broker(options: argparse.Namespace) -> bool:
    """Clean up on the broker; whether anything is left."""
    from omrig.broker import declared

    paths = [Path(name) for name in options.record] or list(declared.records())
    records = [record for path in paths if (record := _read(path, options))]
    if not records:
        print("there is no record that can be read" if paths else _NOTHING)
        return False
    found = _transport(options)
    for record in sorted(records, key=lambda each: each.started_at):
        if reason := _passed_over(record, found.login, named=bool(options.record)):
            print(f"{_run(record)}: {reason}")
    is_named = bool(options.record)
    chosen = [each for each in records if not _passed_over(each, found.login, named=is_named)]
    return _clean(chosen, found, options.dry_run)


def _clean_spool(options: argparse.Namespace) -> bool:
    """Delete what is in this host's spool, if that was asked for; whether any of it is left.

    Without that it says only that there is something.
    """
    from omrig.fleet import spool

    with errors.naming("--spool"):
        kept = spool.kept()
        if not options.spool:
            if kept:
                print(
                    f"{spool.root()} holds {len(kept)} run folders that no coordinator collected:"
                    " omrig clean --spool deletes them"
                )
            return False
        is_left = False
        for each in kept:
            if each.in_use:
                print(f"{each.path}: is under way")
            else:
                verb = "would delete" if options.dry_run else "delete"
                print(f"{verb} {each.path} ({each.size_bytes / 1e6:,.1f} MB, {_ago(each)})")
                if not options.dry_run:
                    spool.remove(each.path)
            is_left = is_left or each.in_use or options.dry_run
    return is_left


def _ago(kept: "Kept") -> str:
    """When something last came into a run folder."""
    return f"last written {datetime.datetime.fromtimestamp(kept.changed_s):%Y-%m-%d %H:%M}"


def _read(path: Path, options: argparse.Namespace) -> "Record | None":
    """The record in ``path``; None for one that is passed over, which is told.

    Raises ``UsageError`` when the command line named it.
    """
    from omrig.broker import declared

    try:
        return declared.read(path)
    except OSError as error:
        problem, todo = f"{path}: {errors.reason(error)}", "make it readable"
    except ValueError as error:
        problem, todo = str(error), "delete that file"
    if options.record:
        raise UsageError(f"RECORD: {problem}; name another file")
    # A run that has ended since has deleted its own.
    if path.exists():
        sys.stderr.write(f"omrig: passed over: {problem}; {todo}\n")
    return None


def _transport(options: argparse.Namespace) -> "Transport":
    """The transport to the broker that the options or the configuration name.

    Raises ``UsageError`` when the configuration cannot be read.
    """
    from omrig.drivers import backend, configuration, settings

    backend.keep_eventlet_out()
    plan = Plan(sides=("producer",), run_id="", transport=transport(options))
    found = configuration.load(plan)
    url = configuration.find_url(found, plan) or configuration.default_url(found)
    return settings.resolve(found, url)


def _passed_over(record: "Record", login: "Login", named: bool) -> str:
    """Why a record is none of this broker, or not over; empty when it is to be cleaned up."""
    if not record.is_of_this_host and not named:
        return f"was on {record.host}; run `omrig clean` there"
    if record.is_of_this_host and not record.is_over:
        return f"is under way (pid {record.pid})"
    if not record.broker_lasts:
        return ""
    if not _same_broker(record, login):
        return (
            f"its broker is {', '.join(record.addresses)}, virtual host {record.vhost}: give the"
            " transport options that it had"
        )
    return ""


def _same_broker(record: "Record", login: "Login") -> bool:
    if record.vhost != login.vhost:
        return False
    here = {endpoint.address for endpoint in login.endpoints}
    if here & set(record.addresses):
        return True
    return bool(_resolved(here) & _resolved(record.addresses))


def _resolved(addresses: "set[str] | tuple[str, ...]") -> set[tuple[str, int]]:
    """The IP addresses and ports; those of a name that is not known are left out."""
    found = set()
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            known = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        except OSError:
            continue
        found |= {(str(each[4][0]), int(each[4][1])) for each in known}
    return found


def _clean(records: "list[Record]", transport: "Transport", dry_run: bool) -> bool:
    """Clean up after the runs of these records; whether anything is left."""
    from omrig.broker import kafka, leftovers
    from omrig.broker.amqp import cleanup
    from omrig.model.transport import KAFKA, Login

    is_left = False
    for record in records:
        # What never was on a lasting broker is files alone.
        there = transport.login if record.broker_lasts else Login(())
        of_kafka = record.broker_lasts and transport.broker == KAFKA
        remaining = kafka.remaining if of_kafka else cleanup.remaining
        things = remaining(there, record.things)
        for thing in things:
            verb = "would delete" if dry_run else "delete"
            print(f"{_run(record)}: {verb} {thing.kind} {thing.name}")
        if dry_run:
            is_left = is_left or bool(things)
            continue
        left = (kafka.remove if of_kafka else cleanup.remove)(there, record.things)
        for line in leftovers.told(left):
            sys.stderr.write(f"omrig: {line}\n")
        if left:
            is_left = True
        else:
            record.path.unlink(missing_ok=True)
            print(f"{_run(record)}: nothing is left" if not things else f"{_run(record)}: done")
    return is_left


def _run(record: "Record") -> str:
    return f"run {record.run_id[:12]} of {record.started_at}"
