"""Do the libraries' own tests pass with the stage instrument in as they do without?

    tools/own_tests.py [--suites oslo.messaging,kombu,amqp] [--functional]
        [--variants on,switched] [--stamp c|python] [--jobs 2] [--log FOLDER]

Suites: ``oslo.messaging`` (its unit tests), ``kombu`` and ``amqp`` (those of the modules with
functions that are touched). ``--functional`` adds oslo.messaging's functional tests, against a
RabbitMQ that is started for them: some minutes a variant. Each runs in processes of its own:
``without`` the instrument first or beside, then with it ``on`` from the first test to the last, and
``switched``: in for every second test. ``--stamp`` says which implementation is to make the stamps;
without it, the one that omrig takes here.

The versions are those installed here. What the tests need besides goes into an environment under
``~/.cache/omrig`` (``XDG_CACHE_HOME`` moves it), which is made at the first time: a minute.

Prints a table and each test whose outcome differs from that without the instrument, and exits with
1 if there is one, if a process died or if nothing was stamped. Tests that fail without it as well
are listed, and count for nothing.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from own_tests_home import Home, home
from own_tests_inside import FAILED, PASSED, SKIPPED, VARIANTS

from omrig.broker.rabbitmq.embedded import embedded_broker

INSIDE = str(Path(__file__).with_name("own_tests_inside.py"))

REFERENCE, *INSTRUMENTED = VARIANTS

SUITES = ("oslo.messaging", "kombu", "amqp")

LONGEST_S = 600
"""A process that takes longer hangs."""

KOMBU = (
    *("test_common.py", "test_compat.py", "test_connection.py", "test_entity.py"),
    *("test_message.py", "test_messaging.py", "test_mixins.py", "test_pools.py"),
    *("test_serialization.py", "test_simple.py", "transport/test_base.py"),
    *("transport/test_memory.py", "transport/test_pyamqp.py", "transport/virtual"),
)
"""The tests of kombu, under its ``t/unit``, for what is touched and what stands on it."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """Tests to run: what follows ``own_tests_inside.py VARIANT OUTCOMES``, where, and with what."""

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Run:
    """A suite's run in a variant: each test's outcome and why, and what was ``recorded``.

    ``died`` says how a process ended that did not come to its end; empty if it did.
    """

    suite: str
    variant: str
    seconds: float
    outcomes: Mapping[str, tuple[str, str]]
    recorded: Mapping[str, int]
    implementation: str
    died: str

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(1 for each, _ in self.outcomes.values() if each == outcome)


def oslo_messaging(names: Sequence[str], **environment: str) -> Suite:
    """Tests of oslo.messaging: modules under its ``tests``, or ``MODULE:CLASS``."""
    kind = "functional" if environment else "unit"
    command = ["unittest", *(f"oslo_messaging.tests.{name}" for name in names)]
    return Suite(f"oslo.messaging {kind}", command, Path.cwd(), environment)


def with_pytest(name: str, folder: Path, files: Sequence[str]) -> Suite:
    """Tests in files of a source distribution."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--rootdir", str(folder)]
    return Suite(name, ["pytest", *options, *files], folder)


def run(python: str, suite: Suite, variant: str, stamp: str, log: Path) -> Run:
    """Run a suite in a process of its own; what it prints goes into the folder ``log``."""
    stem = f"{suite.name.replace(' ', '-')}.{variant}"
    outcomes, printed = log / f"{stem}.jsonl", log / f"{stem}.log"
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", "PYTHONHASHSEED": "0"}
    environment |= suite.environment
    if stamp == "python":
        environment["OMRIG_STAMP"] = stamp
    began = time.monotonic()
    died = ""
    with printed.open("w") as out:
        try:
            done = subprocess.run(
                [python, INSIDE, variant, str(outcomes), *suite.command],
                cwd=suite.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                timeout=LONGEST_S,
            )
            if done.returncode:
                died = f"ended with status {done.returncode}: {printed}"
        except subprocess.TimeoutExpired:
            died = f"did not end within {LONGEST_S} s: {printed}"
    return _read(outcomes, suite.name, variant, time.monotonic() - began, died)


def _read(file: Path, suite: str, variant: str, seconds: float, died: str) -> Run:
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    tests = [line for line in lines if "test" in line]
    end = next((line for line in lines if "end" in line), None)
    outcomes: dict[str, tuple[str, str]] = {}
    for line in tests:
        # A test that passed and whose end failed has failed.
        if outcomes.get(line["test"], ("", ""))[0] != FAILED:
            outcomes[line["test"]] = line["outcome"], line["why"]
    if end is None:
        return Run(suite, variant, seconds, outcomes, {}, "", died or "ended without its last line")
    return Run(suite, variant, seconds, outcomes, end["end"], end["implementation"], died)


def differences(reference: Run, other: Run) -> list[str]:
    """A sentence for each test that was not collected, or did not end, as without the instrument.

    And for a process that died or stamped nothing.
    """
    found = [f"{run.variant}: the process {run.died}" for run in (reference, other) if run.died]
    if not any(other.recorded.values()):
        found.append(f"{other.variant}: nothing was stamped, which proves nothing")
    for test in dict.fromkeys([*reference.outcomes, *other.outcomes]):
        before, _ = reference.outcomes.get(test, ("not there", ""))
        after, why = other.outcomes.get(test, ("not there", ""))
        if before != after:
            last = next((f" ({line})" for line in reversed(why.splitlines()) if line.strip()), "")
            found.append(f"{other.variant}: {test}: {before} without, {after} with{last}")
    return found


def show(runs: Sequence[Run]) -> None:
    """Print the table, a line a run."""
    print(
        f"{'suite':27}{'instrument':12}{'stamps':>8}{'tests':>7}{'passed':>8}{'failed':>8}"
        f"{'skipped':>9}{'seconds':>9}{'stamped':>9}{'rows':>6}"
    )
    for each in runs:
        counts = f"{each.count(PASSED):8}{each.count(FAILED):8}{each.count(SKIPPED):9}"
        stamped, rows = each.recorded.get("stamps", 0), each.recorded.get("rows", 0)
        print(
            f"{each.suite:27}{each.variant:12}{each.implementation or '-':>8}"
            f"{len(each.outcomes):7}{counts}{each.seconds:9.1f}{stamped:9}{rows:6}"
        )


def judge(runs: Sequence[Run], stamp: str) -> bool:
    """Print what differs, and what fails without the instrument as well; whether all is well."""
    found = []
    for reference in runs:
        if reference.variant != REFERENCE:
            continue
        for test, (outcome, _) in reference.outcomes.items():
            if outcome == FAILED:
                print(f"fails without the instrument, too: {reference.suite}: {test}")
        others = [run for run in runs if run.suite == reference.suite and run is not reference]
        for other in others:
            found += [f"{other.suite}, {each}" for each in differences(reference, other)]
            if stamp not in ("", other.implementation):
                found.append(f"{other.suite}, {other.variant}: not stamped by {stamp}")
    for each in found:
        print(f"DIFFERS: {each}")
    if not found:
        print("every test ends with the instrument as it does without")
    return not found


@contextlib.contextmanager
def functional(asked: bool, modules: Sequence[str]) -> Iterator[list[Suite]]:
    """The functional tests with a broker, if they are asked for."""
    if not asked:
        yield []
        return
    with embedded_broker() as broker:
        names = ("RPC_TRANSPORT_URL", "NOTIFY_TRANSPORT_URL")
        yield [oslo_messaging(modules, **dict.fromkeys(names, broker.url))]


def suites(place: Home, names: Sequence[str]) -> list[Suite]:
    """The suites of these names."""
    kombu = [f"t/unit/{name}" for name in KOMBU]
    known = {
        "oslo.messaging": oslo_messaging(place.modules(functional=False)),
        "kombu": with_pytest("kombu", place.tests("kombu"), kombu),
        "amqp": with_pytest("amqp", place.tests("amqp"), ["t/unit"]),
    }
    return [known[name] for name in names]


def main() -> None:
    """Run the suites in all variants, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--functional", action="store_true")
    parser.add_argument("--variants", default=",".join(INSTRUMENTED))
    parser.add_argument("--stamp", choices=("c", "python"), default="")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    variants = [REFERENCE, *options.variants.split(",")]
    if not set(variants) <= set(VARIANTS):
        parser.error(f"--variants: known are {', '.join(INSTRUMENTED)}")
    names = [name for name in options.suites.split(",") if name]
    if not set(names) <= set(SUITES):
        parser.error(f"--suites: known are {', '.join(SUITES)}")
    place = home()
    log = options.log or Path(tempfile.mkdtemp(prefix="omrig-own-tests-"))
    log.mkdir(parents=True, exist_ok=True)
    with (
        functional(options.functional, place.modules(functional=True)) as chosen,
        concurrent.futures.ThreadPoolExecutor(options.jobs) as pool,
    ):
        chosen += suites(place, names)
        under_way = [
            pool.submit(run, place.python, suite, variant, options.stamp, log)
            for suite in chosen
            for variant in variants
        ]
        runs = [each.result() for each in under_way]
    show(runs)
    print(f"what they printed, and why tests failed: {log}")
    sys.exit(not judge(runs, options.stamp))


if __name__ == "__main__":
    main()
