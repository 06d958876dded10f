"""The network to hosts of a fleet is cut: for some seconds, and for good."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from omrig import cli
from omrig.fleet.agent import DEAD_MAN_S
from omrig.measured.process import ORPHAN_S
from tests import fleets, namespaces
from tests.functional.conftest import result_of

PLACES = {
    "producer-1": "east",
    "consumer-1": "west",
    "producer-2": "north",
    "consumer-2": "south",
}
LOST, BRIEFLY = "north", "south"
"""The hosts that are cut off: for good with a producer, and for some seconds with a consumer."""

BRIEFLY_S = 3.0
DURATION_S = 9
TIMEOUT_S = 4
"""So long a call waits for its reply."""

END_S = 50.0
"""After the cut the run is over by then: the others have ended their load and their calls, the
consumers have seen that nothing comes any more, and whoever is silent is given up."""


def until(process, pattern):
    """What is said up to a line with the pattern."""
    said = ""
    for line in process.stdout:
        said += line
        if re.search(pattern, line):
            return said
    raise AssertionError(said)


def wait_for_none(rig, host):
    """Until no process is left on a host; how many seconds that took."""
    began = time.monotonic()
    while processes := rig.processes(host):
        assert time.monotonic() - began < 90, processes
        time.sleep(0.2)
    return time.monotonic() - began


class Ran:
    """A run during which two hosts were cut off: what was left before and after the one healed."""

    def __init__(self, rig, engine, url):
        self.folder = engine.folder / "r"
        lost, briefly = rig.hosts[LOST], rig.hosts[BRIEFLY]
        places = [word for name, host in PLACES.items() for word in ("--on", f"{name}={host}")]
        process = engine.start(
            "--producers", 2, "--consumers", 2, *places, "--",
            "--transport-url", url, "-s", 0.1, "--duration", DURATION_S, "-w", 2,
            "--timeout", TIMEOUT_S, "--executor", "threading", "--output", self.folder,
        )  # fmt: skip
        said = until(process, "producer-2: load")
        # It begins within a second, and then all have said something.
        time.sleep(3)
        for host in (lost, briefly):
            host.cut()
        began = time.monotonic()
        threading.Timer(BRIEFLY_S, briefly.heal).start()
        with ThreadPoolExecutor() as beside:
            gone = beside.submit(wait_for_none, rig, lost)
            rest, _ = process.communicate(timeout=90)
            self.took_s = time.monotonic() - began
            self.gone_s = gone.result()
        self.said, self.status = said + rest, process.returncode
        self.counts = {host.name: len(rig.processes(host)) for host in rig.hosts.values()}
        self.kept = {path.name for path in engine.spool(lost).glob("*/*")}
        self.run, self.result = self.read()
        lost.heal()
        engine.work(lost)
        process = engine.start("--resume", self.folder)
        self.resumed, _ = process.communicate(timeout=60)
        self.resumed_status = process.returncode
        self.run_then, self.result_then = self.read()
        self.still_kept = [each for host in rig.hosts.values() for each in kept(engine, host)]

    def read(self):
        return json.loads((self.folder / "run.json").read_text()), result_of(self.folder)


def kept(engine, host):
    return list(engine.spool(host).rglob("*"))


@pytest.fixture(scope="module")
def rig():
    with namespaces.rig() as made:
        for name in PLACES.values():
            made.add(name, there_ms=5, back_ms=5)
        yield made


@pytest.fixture(scope="module")
def ran(rig, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    with fleets.engine(rig, folder) as engine, rig.broker() as (url, _):
        return Ran(rig, engine, url)


def rows(result):
    return {each["name"]: each for each in result["members"]}


def host_of(run, name):
    return next(each for each in run["fleet"]["hosts"] if each["name"] == name)


def test_the_run_ends_in_time_and_says_whom_it_lost(ran):
    assert ran.status == cli.INCOMPLETE, ran.said
    assert ran.took_s < END_S
    host = host_of(ran.run, LOST)
    assert re.fullmatch(rf"{LOST} has said nothing for \d+ s", host["ended_because"])
    assert host["ended_because"] in ran.run["ended_because"]
    # It was heard of until it was cut off.
    assert host["last_seen_ns"] > ran.run["fleet"]["begin_ns"]
    assert f"omrig: {LOST} has said nothing for 10 s" in ran.said
    assert f"what was not collected is there in {host['left_in']}" in " ".join(ran.said.split())


def test_the_others_results_are_there(ran):
    told = rows(ran.result)
    assert told["producer-1"]["sent"] > 0
    assert told["producer-2"]["sent"] is None
    received = [told[name]["received"] for name in ("consumer-1", "consumer-2")]
    assert min(received) > 0
    assert ran.result["messages"]["sent"] == told["producer-1"]["sent"]


def test_what_is_cut_off_for_some_seconds_costs_nothing_but_them(ran):
    host = host_of(ran.run, BRIEFLY)
    assert host.get("ended_because") is None and host.get("left_in") is None
    assert "the consumer-2 process" not in ran.said


def test_members_that_were_cut_off_end_by_themselves_and_keep_what_they_recorded(ran):
    # Its agent gives up the coordinator, or its worker the scheduler, which is as patient.
    assert ran.gone_s < DEAD_MAN_S + ORPHAN_S + 2.0
    assert ran.counts == {name: 0 if name == LOST else 1 for name in ran.counts}
    assert ran.kept == {"producer-2", "hosts"}


def test_after_healing_it_is_fetched_and_accounted_for(ran):
    # Part of the run was cut short, and that stays so.
    assert ran.resumed_status == cli.INCOMPLETE, ran.resumed
    assert "incomplete" in ran.resumed
    told = rows(ran.result_then)
    assert told["producer-2"]["sent"] > 0
    assert told["producer-1"] == {**rows(ran.result)["producer-1"]}
    assert (ran.folder / "hosts" / LOST / "machine.csv").exists()
    host = host_of(ran.run_then, LOST)
    assert host.get("left_in") is None
    assert host["ended_because"] == host_of(ran.run, LOST)["ended_because"]
    messages = ran.result_then["messages"]
    assert messages["sent"] == told["producer-1"]["sent"] + told["producer-2"]["sent"]
    assert ran.still_kept == []


def test_no_process_is_left_on_any_host(rig, ran):
    assert [rig.processes(each) for each in rig.hosts.values()] == [[]] * len(PLACES)
