"""A service that knows nothing of omrig is recorded while it runs, and is left as it was."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from omrig.broker.rabbitmq.embedded import embedded_broker
from omrig.measured.attached import wanted
from tests.functional.agents import Agents, until

PINGING = Path(__file__).with_name("pinging.py")

MODES = pytest.mark.parametrize("mode", [(), ("--green",)], ids=["threading", "eventlet"])

WORKERS = 2


class Fleet:
    """A service's processes, started in ``place``."""

    def __init__(self, broker, place):
        self.broker = broker
        self.place = place
        self.agents = Agents(place)
        self.started = []
        self.python = (sys.executable,)
        self.environment = {}

    def start(self, *arguments, options=()):
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "omrig", "exec", "--run", self.place, *options, "--"),
                *(*self.python, PINGING, arguments[0], self.broker.url, "pinged"),
                *map(str, arguments[1:]),
            ],
            stdout=subprocess.PIPE,
            stderr=(self.place.parent / f"{len(self.started)}.err").open("w"),
            env={**os.environ, **self.environment},
            text=True,
        )
        self.started.append(process)
        return process

    def serve(self, *arguments, workers=WORKERS, options=()):
        """Start the side that serves: the process, and the pids of its workers."""
        process = self.start("serve", "--workers", workers, *arguments, options=options)
        return process, [int(process.stdout.readline().split()[1]) for _ in range(max(1, workers))]

    def load(self, *arguments, options=()):
        """Start what calls; it does once this returns."""
        process = self.start("load", "--workers", WORKERS, *arguments, options=options)
        assert process.stdout.readline().startswith("loads ")
        return process

    def said(self):
        """What the agents said on standard error."""
        return [
            line
            for path in sorted(self.place.parent.glob("*.err"))
            for line in path.read_text().splitlines()
            if line.startswith("omrig: process")
        ]

    def end(self):
        self.agents.go()
        # Who calls first: its last call is still answered.
        for process in reversed(self.started):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=10)
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def broker():
    """One of their own: what services leave on it is no business of other tests."""
    with embedded_broker() as broker:
        yield broker


@pytest.fixture
def fleet(broker, tmp_path):
    made = Fleet(broker, tmp_path / "place")
    yield made
    made.end()


def ended(process):
    """The exit status of a process that is asked to end, and what it said last."""
    process.terminate()
    out, _ = process.communicate(timeout=30)
    return process.returncode, json.loads(out)


@MODES
def test_forty_times_on_and_off_under_load(fleet, mode) -> None:
    server, _ = fleet.serve(*mode)
    load = fleet.load("--threads", 4, *mode)
    agents = fleet.agents
    begin = time.monotonic()
    for number in range(40):
        answers = agents.on(f"rec-{number + 1}")
        assert all(answer["on"] for answer in answers.values()), answers
        time.sleep(max(0, begin + number * 0.5 + 0.35 - time.monotonic()))
        answers = agents.off()
        assert len(answers) == 3
        assert not any(answer["on"] for answer in answers.values())
    states = agents.ask(do="status")
    agents.go()
    time.sleep(0.3)
    status, told = ended(load)
    assert ended(server) == (0, [0] * WORKERS)
    assert status == 0
    assert told["answered"] == told["sent"] > 100 and not told["errors"]
    for before, after in zip(told["before"], told["after"], strict=True):
        assert (before["pid"], after["replaced"]) == (after["pid"], [])
        # The one thread of the agent.
        assert before["threads"] == after["threads"] == 1
        assert after["mapped"] == after["rows"] == after["attributes"] == []
    assert {(each["broken"], tuple(each["failures"])) for each in states.values()} == {(None, ())}
    assert not fleet.said()
    sent, served = matched(agents, [f"rec-{number + 1}" for number in range(40)])
    assert len(sent & served) > 0.8 * len(sent | served)


def matched(agents, recordings):
    """The ids of what was sent and of what was served by a method that is known."""
    sent, served = set(), set()
    for recording in recordings:
        for left in agents.left(recording).values():
            kinds = left.kinds()
            for side, ids in (("producer", sent), ("consumer", served)):
                rows = left.rows(side)
                found = {row["id"] for row in rows if kinds[row["kind"]]["method"] == "ping"}
                assert not found & ids
                ids |= found
    return sent, served


@MODES
def test_wanted_from_the_beginning_the_first_call_of_each_worker_is_stamped(fleet, mode) -> None:
    fleet.place.mkdir(mode=0o700)
    want = wanted.own("rec-1", 1, 1 << 20)
    want.write(str(fleet.place))
    _, pids = fleet.serve(*mode)
    load = fleet.load("--threads", 3, "--messages", 30, *mode)
    out, _ = load.communicate(timeout=30)
    told = json.loads(out)
    (fleet.place / wanted.NAME).unlink()
    agents = fleet.agents
    # Nobody was ever connected: they find out by themselves that it is over.
    until(lambda: not any(each and each["on"] for each in agents.ask(do="status").values()))
    left = agents.left("rec-1")
    assert left.keys() == {load.pid, *pids}
    sent = left[load.pid].rows("producer")
    # What is called before and after the load, too.
    assert len(sent) == told["sent"] + 1 + 2 * WORKERS
    served = [row["id"] for pid in pids for row in left[pid].rows("consumer")]
    assert sorted(served) == sorted(row["id"] for row in sent)
    first = min(sent, key=lambda row: row["call"])
    assert first["connect_early"] > 0 and first["outcome"] == 1
    about = agents.about()[load.pid]
    assert about["executor"] == ("eventlet" if mode else "threading")
    assert "@" not in json.dumps(about["program"]).replace("***@", "")


@MODES
def test_a_child_of_who_is_being_recorded_begins_anew(fleet, mode) -> None:
    fleet.place.mkdir(mode=0o700)
    wanted.own("rec-1", 1, 1 << 20).write(str(fleet.place))
    server, pids = fleet.serve("--early", *mode)
    load = fleet.load("--messages", 10, *mode)
    told = json.loads(load.communicate(timeout=30)[0])
    assert told["answered"] == told["sent"] == 10 and not told["errors"]
    assert fleet.agents.ask(do="status").keys() == {server.pid, load.pid, *pids}
    fleet.agents.off()
    left = fleet.agents.left("rec-1")
    assert {pid: len(each.rows("producer")) for pid, each in left.items()} == {
        **dict.fromkeys(pids, 0),
        server.pid: 1,
        load.pid: 11 + 2 * WORKERS,
    }
    (row,) = left[server.pid].rows("producer")
    assert left[server.pid].kinds()[row["kind"]]["pattern"] == "cast"
    assert sum(len(left[pid].rows("consumer")) for pid in pids) == 11 + 2 * WORKERS
    assert all(left[pid].instrument["connections"] == 2 for pid in pids)


def test_a_worker_that_is_killed_keeps_its_rows(fleet) -> None:
    server, pids = fleet.serve()
    load = fleet.load("--timeout", 2)
    agents = fleet.agents
    agents.on("rec-1")
    until(lambda: agents.ask(do="status")[pids[0]]["rows"]["consumer"] > 20)
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: agents.ask(do="status")[pids[0]] is None)
    load.kill()
    server.terminate()
    # A reply to a caller that is gone is tried for a minute.
    out, _ = server.communicate(timeout=90)
    codes = [0] * WORKERS
    codes[pids.index(pids[0])] = -signal.SIGKILL
    assert sorted(json.loads(out)) == sorted(codes)
    left = agents.left("rec-1")[pids[0]]
    assert len(left.rows("consumer")) > 20
    assert left.instrument["ended_ns"] is None


def test_a_recorder_that_dies_leaves_nothing_on(fleet) -> None:
    fleet.serve()
    fleet.load()
    agents = fleet.agents
    agents.on("rec-1")
    assert all(each["on"] for each in agents.ask(do="status").values())
    (fleet.place / wanted.NAME).unlink()
    agents.go()
    until(lambda: not any(each["on"] for each in agents.ask(do="status").values()))
    for left in agents.left("rec-1").values():
        assert left.instrument["ended_ns"] and left.instrument["complete"]


def test_what_is_asked_twice_or_at_the_wrong_time(fleet) -> None:
    server, _ = fleet.serve(workers=0)
    agents, other = fleet.agents, Agents(fleet.place)
    (pid,) = agents.ask(do="status")
    assert agents.on("rec-1")[pid]["on"] and agents.on("rec-1")[pid]["on"]
    assert "rec-1 is being recorded" in other.on("rec-2")[pid]["error"]
    assert not agents.off()[pid]["on"]
    assert "has ended in this process" in agents.on("rec-1")[pid]["error"]
    assert other.on("rec-3")[pid]["on"]
    assert "is not known" in agents.ask(do="sing")[pid]["error"]
    other.go()
    until(lambda: not agents.ask(do="status")[pid]["on"])
    assert server.poll() is None


def test_spawned_workers_join_by_their_environment(fleet) -> None:
    _, pids = fleet.serve("--spawn")
    load = fleet.load()
    agents = fleet.agents
    answers = agents.on("rec-1", sample=4)
    assert answers.keys() == {load.pid, *pids}
    until(lambda: all(sum(each["rows"].values()) for each in agents.ask(do="status").values()))
    agents.off()
    rows = agents.left("rec-1")[load.pid].rows("producer")
    # The first 32 bits of an id say whether it is in the sample; a row has its first 60.
    assert rows and not any((row["id"] >> 28) % 4 for row in rows)


def test_a_probe_that_fails_breaks_no_message(fleet) -> None:
    server, pids = fleet.serve("--fault")
    load = fleet.load()
    agents = fleet.agents
    agents.on("rec-1")

    def broken():
        found = agents.ask(do="status")
        return found if all(found[pid]["broken"] for pid in pids) else None

    states = until(broken)
    for pid in pids:
        assert not states[pid]["on"] and "asked to fail" in states[pid]["broken"]
        assert "asked to fail" in agents.on("rec-2")[pid]["error"]
    assert states[load.pid]["on"] and states[load.pid]["broken"] is None
    agents.off()
    status, told = ended(load)
    assert status == 0 and told["answered"] == told["sent"] and not told["errors"]
    assert [each["replaced"] for each in told["after"]] == [[]] * 3
    assert ended(server) == (0, [0] * WORKERS)
    said = fleet.said()
    assert len(said) == WORKERS
    assert all("is not recorded any more" in line for line in said)


PYTHONS = [
    Path(sys.executable),
    *sorted(Path.home().glob(".pyenv/versions/3.1[2-9].*/bin/python")),
]
"""Interpreters that are here: each of another version has the stamps in Python."""


@pytest.fixture(params=PYTHONS, ids=str)
def foreign(request, tmp_path):
    """An environment of a service, without omrig, numpy, and what changes code: its Python, and
    the folder of its packages."""
    subprocess.run(
        [request.param, "-m", "venv", "--without-pip", tmp_path / "environment"], check=True
    )
    site = tmp_path / "site"
    site.mkdir()
    own = next(Path(path) for path in sys.path if (Path(path) / "oslo_messaging").is_dir())
    for path in own.iterdir():
        if not path.name.startswith(("omrig", "__editable__", "numpy", "bytecode")):
            (site / path.name).symlink_to(path)
    return tmp_path / "environment" / "bin" / "python", site


def test_the_environment_of_the_service_needs_nothing_of_omrig(fleet, foreign) -> None:
    python, site = foreign
    fleet.python = (python,)
    fleet.environment = {"PYTHONPATH": str(site)}
    _, pids = fleet.serve("--without", "numpy,bytecode")
    load = fleet.load("--without", "numpy,bytecode")
    agents = fleet.agents
    assert agents.on("rec-1").keys() == {load.pid, *pids}
    until(lambda: all(sum(each["rows"].values()) for each in agents.ask(do="status").values()))
    agents.off()
    status, told = ended(load)
    assert (status, told["errors"], told["answered"]) == (0, [], told["sent"])


def test_on_is_recorded_until_the_program_ends(fleet) -> None:
    server, pids = fleet.serve(options=["--on"])
    # A recorder that never was has nothing to do with it.
    load = fleet.load("--messages", 10)
    out, _ = load.communicate(timeout=30)
    told = json.loads(out)
    left = fleet.agents.left("rec-0")
    assert left.keys() == {load.pid, *pids}
    assert len(left[load.pid].rows("producer")) == told["sent"] + 1 + 2 * WORKERS
    # It has ended in the usual way.
    assert left[load.pid].instrument["complete"] and left[load.pid].instrument["cpu_ns_end"]
    # One that comes takes over.
    answers = fleet.agents.on("rec-1")
    assert all(answers[pid]["on"] for pid in pids)
    assert {each.instrument["complete"] for pid, each in left.items() if pid in pids} == {False}
    again = fleet.agents.left("rec-0")
    assert all(again[pid].instrument["complete"] for pid in pids)
    assert wanted.read(str(fleet.place)).recording == "rec-1"
    assert server.poll() is None
