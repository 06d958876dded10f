"""What omrig costs a real service, in interleaved pairs: CPU a request of each of its programs.

    tools/service_cost.py same   without omrig, against the same once more: what pairs differ by
    tools/service_cost.py off    started by `omrig exec` and not recorded, against without omrig
    tools/service_cost.py on     recorded, against started by `omrig exec` and not recorded
        [--service ironic|nova-threading|nova-eventlet] [--rounds 8] [--pairs 5] [--requests N]
        [--threads 4]

A request is an HTTP request that ironic's API answers after one call, or a call of nova's pinger.
Order within the pairs alternates (ABBA). But for ``on`` there are two services at a time, each with
a broker of its own, of which one waits. No two starts of a service take the same, so each round has
its own, and they change places. Prints a line a round, then a line a program: CPU a request without
and with, the mean difference of the rounds, and its 95 % interval.
"""

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

# As a program it is started from anywhere.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from omrig.broker.rabbitmq.embedded import embedded_broker
from omrig.compare import resample
from tests.services import ironic, nova
from tests.services.fleet import Fleet
from tests.services.programs import Prefix, Program, bare

SERVICES = ("ironic", *(f"nova-{executor}" for executor in nova.EXECUTORS))

REQUESTS = {"ironic": 40, "nova": 100}
"""As many take a second: between halves of a pair that are longer the machine changes."""

NODES = 50

WARM = 100
"""Requests before the first pair."""

COLD = 5
"""One in so many, before the CPU is read."""

CPU_OF = 2
"""What says to a clock's number that it is a process' CPU time (``CPUCLOCK_SCHED``)."""

Cpu = Mapping[str, float]
"""CPU a request by program, in us."""

Pair = tuple[Cpu, Cpu]

Brokers = tuple[str, str]
"""Their transport URLs."""


@dataclasses.dataclass(frozen=True)
class Service:
    """A running service: its programs, and what sends it so many requests."""

    programs: tuple[Program, ...]
    load: Callable[[int], object]

    def cpu_a_request(self, requests: int) -> dict[str, float]:
        """Send so many: what each program took for one. Some are sent before, which are cold."""
        self.load(requests // COLD)
        before = {each.name: cpu_ns(each) for each in self.programs}
        self.load(requests)
        return {
            each.name: (cpu_ns(each) - before[each.name]) / requests / 1e3 for each in self.programs
        }


def cpu_ns(program: Program) -> int:
    """CPU time of its processes so far."""
    first = psutil.Process(program.process.pid)
    pids = [each.pid for each in [first, *first.children(recursive=True)]]
    return sum(time.clock_gettime_ns(~pid << 3 | CPU_OF) for pid in pids)


@contextlib.contextmanager
def service(
    options: argparse.Namespace, url: str, folder: Path, prefix: Prefix
) -> Iterator[Service]:
    """The service that was asked for, warm."""
    folder.mkdir()
    name, _, executor = options.service.partition("-")
    if name == ironic.NAME:
        with ironic.running(folder, url, prefix) as running:
            nodes = running.create(NODES)

            def validate(requests: int) -> None:
                wanted = (nodes * (requests // NODES + 1))[:requests]
                running.validate(wanted, options.threads)

            validate(WARM)
            yield Service((running.conductor, running.api), validate)
    else:
        with nova.running(folder, url, prefix, executor=executor) as pinged:
            pinged.ping(WARM, options.threads)
            yield Service(
                (pinged.conductor, pinged.client),
                lambda requests: pinged.ping(requests, options.threads),
            )


def same(options: argparse.Namespace, brokers: Brokers, folder: Path, number: int) -> Pair:
    """A round without omrig."""
    return beside(options, brokers, folder, number, bare)


def off(options: argparse.Namespace, brokers: Brokers, folder: Path, number: int) -> Pair:
    """A round of without omrig, and under it."""
    return beside(options, brokers, folder, number, Fleet(folder / "fleet").under)


def beside(
    options: argparse.Namespace, brokers: Brokers, folder: Path, number: int, prefix: Prefix
) -> Pair:
    """A round of without omrig, and with ``prefix`` before the programs."""
    one, other = brokers[:: -1 if number % 2 else 1]
    with (
        service(options, one, folder / "one", bare) as without,
        service(options, other, folder / "other", prefix) as under,
    ):
        return pairs(
            options,
            lambda: without.cpu_a_request(options.requests),
            lambda: under.cpu_a_request(options.requests),
        )


def on(options: argparse.Namespace, brokers: Brokers, folder: Path, number: int) -> Pair:
    """A round of not recorded, and recorded."""
    fleet = Fleet(folder / "fleet")
    with service(options, brokers[number % 2], folder / "service", fleet.under) as under:

        def recorded() -> Cpu:
            with fleet.recorded():
                return under.cpu_a_request(options.requests)

        return pairs(options, lambda: under.cpu_a_request(options.requests), recorded)


COMPARED = {"same": same, "off": off, "on": on}


def pairs(options: argparse.Namespace, base: Callable[[], Cpu], new: Callable[[], Cpu]) -> Pair:
    """The mean of so many pairs, the other one first every second time."""
    found: tuple[list[Cpu], list[Cpu]] = ([], [])
    for number in range(options.pairs):
        for which in (1, 0) if number % 2 else (0, 1):
            found[which].append((base, new)[which]())
    return mean(found[0]), mean(found[1])


def mean(values: Sequence[Cpu]) -> Cpu:
    """Program by program."""
    return {name: sum(each[name] for each in values) / len(values) for name in values[0]}


def show(found: Sequence[Pair]) -> None:
    """Print a line a program."""
    for name in found[0][0]:
        base, new = ([pair[which][name] for pair in found] for which in (0, 1))
        difference = resample.of_pairs(base, new)
        if difference:
            means = f"{sum(base) / len(base):.0f} -> {sum(new) / len(new):.0f}"
            interval = f"{difference.value:+.0f} [{difference.low:+.0f}, {difference.high:+.0f}]"
            print(f"{name}: {means} us CPU a request, {interval} of {len(found)} rounds")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=COMPARED)
    parser.add_argument("--service", choices=SERVICES, default=SERVICES[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=5, help="of each round")
    parser.add_argument("--requests", type=int, help="of each half of a pair")
    parser.add_argument("--threads", type=int, default=4, help="that send them")
    options = parser.parse_args()
    options.requests = options.requests or REQUESTS[options.service.partition("-")[0]]
    found = []
    with embedded_broker() as one, embedded_broker() as other:
        for number in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                pair = COMPARED[options.what](options, (one.url, other.url), Path(folder), number)
            said = [f"{name} {pair[0][name]:.0f} {pair[1][name]:.0f}" for name in pair[0]]
            print(f"round {number + 1}: {', '.join(said)} us", flush=True)
            found.append(pair)
    show(found)


if __name__ == "__main__":
    main()
