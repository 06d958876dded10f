"""Does a service end, and begin again, as it does without omrig? Signals, and processes killed.

    tools/service_signals.py [--service nova-threading|nova-eventlet|ironic|mistral] [--only NAME]

Each thing is done to a service three times: without omrig, under ``omrig exec``, and recorded.
Prints how its first process ended, how many workers there were before and after, how long it took
until nothing of it was left, and the lines of the log that only one of them has (without what
differs from start to start: times, ids, ports). Ends with 1 if a status or a count differs.
"""

import argparse
import contextlib
import dataclasses
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

# As a program it is started from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from omrig.broker.rabbitmq.embedded import embedded_broker
from tests.services import ironic, mistral, nova
from tests.services.fleet import Fleet
from tests.services.programs import Prefix, Program, bare

SERVICES = (*(f"nova-{executor}" for executor in nova.EXECUTORS), "ironic", "mistral")

HOWS = ("without", "under", "recorded")

SETTLED_SECONDS = 6.0
"""What a service has for starting a worker again."""

GONE_SECONDS = 90.0

DIFFERS = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T][\d:.,]+"), "TIME"),
    (re.compile(r"(req-)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}"), "ID"),
    (re.compile(r"0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"\d+(\.\d+)?"), "N"),
)
"""What a line has that differs from start to start, and what stands there instead."""


@dataclasses.dataclass(frozen=True)
class Running:
    """A running service: the program that things are done to, and what gives it work."""

    program: Program
    work: Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How it went. ``status`` is the first process' as ``Popen`` has it."""

    status: int
    workers: tuple[int, int]
    gone_seconds: float
    lines: frozenset[str]

    def same(self, other: "Outcome") -> bool:
        """Whether what may not differ does not."""
        return (self.status, self.workers) == (other.status, other.workers)


Act = Callable[[Running], object]


def terminate(service: Running) -> None:
    """SIGTERM to the first process."""
    service.program.process.terminate()


def hang_up(service: Running) -> None:
    """SIGHUP to the first process, work, and its end."""
    service.program.process.send_signal(signal.SIGHUP)
    time.sleep(SETTLED_SECONDS)
    service.work()


def kill_a_worker(service: Running) -> None:
    """SIGKILL of a worker, and work for the one in its place."""
    service.program.workers()[0].kill()
    time.sleep(SETTLED_SECONDS)
    service.work()


def kill_the_first(service: Running) -> None:
    """SIGKILL of the first process."""
    service.program.process.kill()
    service.program.process.wait()


ACTS: dict[str, Act] = {
    "SIGTERM": terminate,
    "SIGHUP": hang_up,
    "SIGKILL of a worker": kill_a_worker,
    "SIGKILL of the first process": kill_the_first,
}


ENDS = (terminate, kill_the_first)
"""What ends the service by itself: a second signal would have it end without grace."""


@contextlib.contextmanager
def running(name: str, url: str, folder: Path, prefix: Prefix) -> Iterator[Running]:
    """The service of that name, with work."""
    service, _, executor = name.partition("-")
    if service == nova.NAME:
        # One with eventlet is the first process itself.
        workers = 2 if executor == "eventlet" else 1
        with nova.running(folder, url, prefix, executor=executor, workers=workers) as pinged:
            yield Running(pinged.conductor, lambda: pinged.ping(40, threads=4))
    elif service == ironic.NAME:
        with ironic.running(folder, url, prefix) as asked:
            nodes = asked.create(8)
            yield Running(asked.conductor, lambda: asked.validate(nodes, clients=4))
    else:
        with mistral.running(folder, url, prefix) as started:
            started.define()
            yield Running(started.server, lambda: started.execute(2))


def outcome(options: argparse.Namespace, how: str, act: Act, url: str, place: Path) -> Outcome:
    """Start the service, do it, end the service if that has not."""
    folder, fleet = place / "service", Fleet(place / "fleet")
    folder.mkdir(parents=True)
    prefix = bare if how == "without" else fleet.under
    with running(options.service, url, folder, prefix) as service, contextlib.ExitStack() as stack:
        service.work()
        if how == "recorded":
            stack.enter_context(fleet.recorded())
        service.work()
        first = service.program
        before = first.workers()
        act(service)
        after = first.workers() if first.process.poll() is None else []
        all_of_it = {*before, *after}
        begin = time.monotonic()
        if act not in ENDS:
            first.process.terminate()
        status = first.process.wait(GONE_SECONDS)
        psutil.wait_procs(list(all_of_it), GONE_SECONDS)
        seconds = time.monotonic() - begin
        return Outcome(status, (len(before), len(after)), seconds, lines(first.said()))


def lines(log: str) -> frozenset[str]:
    """The lines of a log without what differs from start to start, and without omrig's own."""
    found = set()
    for line in log.splitlines():
        if not line.startswith("omrig: ready in"):
            for pattern, instead in DIFFERS:
                line = pattern.sub(instead, line)
            found.add(line)
    return frozenset(found)


def show(name: str, outcomes: dict[str, Outcome]) -> bool:
    """Print what became of it; whether it was the same every time."""
    print(name)
    reference = outcomes[HOWS[0]]
    for how, found in outcomes.items():
        workers = "{} workers, then {}".format(*found.workers)
        print(f"  {how:9} status {found.status}, {workers}, gone in {found.gone_seconds:.1f} s")
        for line in sorted(found.lines - reference.lines):
            print(f"    only here: {line[:180]}")
        for line in sorted(reference.lines - found.lines):
            print(f"    not here:  {line[:180]}")
    sys.stdout.flush()
    return all(found.same(reference) for found in outcomes.values())


def main() -> int:
    """Do everything to a service; 1 if something differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service", choices=SERVICES, default=SERVICES[0])
    parser.add_argument("--only", choices=ACTS)
    options = parser.parse_args()
    same = True
    with embedded_broker() as broker, tempfile.TemporaryDirectory() as folder:
        for number, (name, act) in enumerate(ACTS.items()):
            if options.only in (None, name):
                outcomes = {
                    how: outcome(options, how, act, broker.url, Path(folder, f"{number}-{how}"))
                    for how in HOWS
                }
                same &= show(f"{options.service}: {name}", outcomes)
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
