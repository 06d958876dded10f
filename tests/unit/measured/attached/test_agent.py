"""The agent of a process, with an instrument that notes what is done with it."""

import _thread
import functools
import json
import os
import sys
import types
from pathlib import Path

import pytest

from omrig.measured.attached import process, resolved, wanted
from omrig.measured.attached.agent import Agent
from omrig.measured.attached.pools import Pools
from omrig.model import tables


class Instrument:
    """As the one that stamps: only ``on`` and where rows would go."""

    native = True
    failure = ""
    connections, consuming, sites = 2, 1, 3

    def __init__(self):
        self.pools = Pools()
        self.missing, self.lost_stages, self.failures = [], set(), []
        self.sample = 0
        self.chunk = self.recording = None
        self.under_way = []
        self.told = []

    def turn_on(self, sample, chunk):
        self.told.append("on")
        self.sample, self.chunk = sample, chunk

    def write_to(self, recording):
        self.recording = recording

    def turn_off(self):
        self.told.append("off")
        self.sample, self.chunk, self.recording = 0, None, None
        return self.under_way

    def forget(self):
        self.told.append("forget")
        self.sample, self.chunk, self.recording = 0, None, None

    def others(self):
        return []


@pytest.fixture
def instrument():
    return Instrument()


@pytest.fixture
def place(tmp_path, monkeypatch):
    found = tmp_path / "place"
    found.mkdir(mode=0o700)
    # Others of these tests may have imported and patched it.
    monkeypatch.setattr(process, "is_green", lambda: False)
    return found


@pytest.fixture
def agent(place, instrument):
    made = Agent(str(place), lambda *_: None, _thread.allocate_lock)
    made.prepare(instrument)
    yield made
    if made._control:
        made._control.close()


def on(agent, place, recording="rec-1", asker="recorder", **more):
    asked = {"do": "on", "recording": recording, "folder": str(place / recording)}
    return agent.answer({**asked, "sample": 1, "limit_bytes": 1 << 20, **more}, asker)


def of(place, recording="rec-1"):
    """What the process left in a recording."""
    (folder,) = (place / recording).iterdir()
    return folder, json.loads((folder / "instrument.json").read_text())


def test_nothing_is_made_before_the_first_connection(agent, place, instrument) -> None:
    assert list(place.iterdir()) == [] and instrument.told == []


def test_the_first_connection_makes_it_known_once(agent, place) -> None:
    agent.connected()
    (folder,) = place.iterdir()
    agent.connected()
    assert list(place.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o777 == 0o700
    host, pid, start = folder.name.rsplit(".", 2)
    about = json.loads((folder / "process.json").read_text())
    assert (about["host"], about["pid"]) == (host, int(pid)) == (os.uname().nodename, os.getpid())
    assert about["started_ns"] // 1_000_000 == int(start)
    assert about["executor"] == "threading" and about["versions"]["amqp"]
    assert about["columns"]["producer"][0] == "id"
    assert sorted(path.name for path in folder.iterdir()) == ["control", "process.json"]


def test_no_password_of_the_command_line_is_written(agent, place, monkeypatch) -> None:
    argv = ["service", "rabbit://me:secret@host/", "--url=rabbit://me:secret@host", "plain"]
    monkeypatch.setattr(sys, "orig_argv", argv)
    agent.connected()
    text = next(place.glob("*/process.json")).read_text()
    assert "secret" not in text and "plain" in text


def test_on_and_off(agent, place, instrument) -> None:
    agent.connected()
    answer = on(agent, place, sample=4)
    assert answer.pop("took_ns") > 0
    assert answer == {"on": True, "connections": 2, "sites": 3}
    assert instrument.sample == 4
    folder, about = of(place)
    assert about["ended_ns"] is None and about["sample"] == 4
    words = instrument.chunk("producer")[: tables.HEADER * tables.WORD_BYTES].cast("Q")
    words[tables.ROWS] = 5
    status = agent.answer({"do": "status"}, "somebody")
    assert (status["on"], status["recording"]) == (True, "rec-1")
    assert status["rows"] == {"producer": 5, "consumer": 0}
    instrument.under_way = [["abc", 1, 2]]
    # Whoever holds a part of a chunk has it mapped.
    del words
    assert agent.answer({"do": "off"}, "recorder") == {
        "on": False,
        "rows": {"producer": 5, "consumer": 0},
    }
    assert instrument.sample == 0
    about = of(place)[1]
    assert about["complete"] and about["ended_ns"] > about["began_ns"]
    assert about["in_flight"] == [["abc", 1, 2]] and len(about["realtime_offsets"]) == 2
    mapped = Path("/proc/self/maps").read_text()
    assert str(folder) not in mapped
    assert agent.answer({"do": "status"}, "somebody")["rows"] == {}


def test_whoever_turned_it_on_and_is_gone_turns_it_off(agent, place, instrument) -> None:
    agent.connected()
    on(agent, place, asker="one")
    on(agent, place, asker="other")
    for asker, is_on in (("somebody", True), ("one", True), ("other", False)):
        agent.let_go(asker)
        assert agent.answer({"do": "status"}, None)["on"] is is_on
    assert of(place)[1]["complete"]


def test_one_recording_at_a_time(agent, place) -> None:
    agent.connected()
    on(agent, place)
    assert "rec-1 is being recorded" in on(agent, place, "rec-2", "other")["error"]
    assert agent.answer({"do": "status"}, None)["recording"] == "rec-1"


def test_a_recording_is_not_begun_anew(agent, place) -> None:
    agent.connected()
    on(agent, place)
    agent.answer({"do": "off"}, "recorder")
    assert "has ended in this process" in on(agent, place)["error"]


def test_a_folder_that_cannot_be_written_is_said_and_breaks_nothing(agent, place) -> None:
    agent.connected()
    (place / "rec-1").write_text("a file")
    assert "rec-1" in on(agent, place)["error"]
    assert agent.answer({"do": "status"}, None)["broken"] is None
    assert on(agent, place, "rec-2")["on"]


def test_what_is_wanted_already_is_stamped_before_there_is_a_connection(place, instrument) -> None:
    wanted.own("rec-7", 3, 1 << 20).write(str(place))
    agent = Agent(str(place), lambda *_: None, _thread.allocate_lock)
    agent.prepare(instrument)
    assert instrument.sample == 3 and instrument.recording is None
    assert not (place / "rec-7").exists()
    # A message has ended, though nothing was ever connected: it has failed.
    assert instrument.chunk("producer").nbytes == tables.CHUNK_BYTES
    assert instrument.recording.name == "rec-7" and agent.is_alone
    (place / wanted.NAME).unlink()
    agent.look()
    assert not agent.is_alone and of(place, "rec-7")[1]["complete"]
    agent._control.close()


def test_what_is_wanted_no_more_is_off_at_the_first_connection(place, instrument) -> None:
    wanted.own("rec-7", 3, 1 << 20).write(str(place))
    agent = Agent(str(place), lambda *_: None, _thread.allocate_lock)
    agent.prepare(instrument)
    chunk = instrument.chunk
    (place / wanted.NAME).unlink()
    assert chunk("consumer").nbytes == tables.CHUNK_BYTES
    assert instrument.sample == 0 and not (place / "rec-7").exists()
    agent._control.close()


def test_a_recorder_takes_over_what_nobody_owns(place, instrument) -> None:
    wanted.own("rec-0", 1, 1 << 20).write(str(place))
    agent = Agent(str(place), lambda *_: None, _thread.allocate_lock)
    agent.prepare(instrument)
    agent.connected()
    assert agent.is_alone
    assert on(agent, place)["on"] and not agent.is_alone
    assert of(place, "rec-0")[1]["complete"] and not of(place)[1]["complete"]
    agent._control.close()


def test_a_child_begins_anew(agent, place, instrument) -> None:
    agent.connected()
    on(agent, place)
    before = instrument.chunk("producer")
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        agent.forked()
        told = [instrument.told[-1], agent.answer({"do": "status"}, None)["on"]]
        agent.connected()
        told += [len(list(place.glob("*/process.json"))), len(list((place / "rec-1").iterdir()))]
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert json.loads(os.read(reading, 1000)) == ["forget", False, 2, 1]
    os.close(reading)
    os.close(writing)
    # What its parent does goes on.
    assert agent.answer({"do": "status"}, None)["on"] and before.nbytes
    del before


def test_a_child_of_what_does_not_know_of_python_begins_anew(agent, place, instrument) -> None:
    agent.connected()
    agent._pid += 1
    agent.connected()
    assert instrument.told[-2:] == ["forget", "off"] and agent._pid == os.getpid()


def test_what_broke_is_off_for_good_and_said_once(agent, place, instrument, capfd) -> None:
    agent.connected()
    on(agent, place)
    instrument.failure = "ValueError('odd')"
    agent.look()
    agent.look()
    status = agent.answer({"do": "status"}, None)
    assert (status["on"], status["broken"]) == (False, "ValueError('odd')")
    assert on(agent, place, "rec-2") == {"error": "ValueError('odd')"}
    assert of(place)[1]["complete"]
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("omrig: process ") and "not recorded any more" in err


def test_what_fails_on_the_way_is_one_line(agent, instrument, place, monkeypatch, capfd) -> None:
    def fail(*_):
        raise RuntimeError("of rabbit://me:secret@host/")

    monkeypatch.setattr(instrument, "turn_on", fail)
    agent.connected()
    assert "RuntimeError" in on(agent, place)["error"]
    monkeypatch.setattr(instrument, "turn_off", fail)
    assert "RuntimeError" in agent.answer({"do": "status"}, None)["broken"]
    err = capfd.readouterr().err
    assert err.count("\n") == 1 and "secret" not in err


def test_threads_that_were_patched_too_late_are_not_recorded(
    agent, place, monkeypatch, capfd
) -> None:
    monkeypatch.setattr(process, "is_green", lambda: True)
    agent.connected()
    assert list(place.iterdir()) == []
    assert "patch first" in capfd.readouterr().err


def test_what_a_process_leaves_is_whole_when_it_ends(agent, place) -> None:
    agent.connected()
    on(agent, place)
    agent.end()
    assert of(place)[1]["complete"]


def test_the_end_of_a_child_is_not_that_of_its_parent(agent, place) -> None:
    agent.connected()
    on(agent, place)
    agent._pid += 1
    agent.end()
    agent._pid -= 1
    assert not of(place)[1]["complete"]


def test_without_what_omrig_exec_wrote_there_is_no_agent(tmp_path) -> None:
    from omrig.measured.attached import agent

    with pytest.raises(OSError, match=resolved.NAME):
        agent.begin(str(tmp_path), _thread.start_new_thread, _thread.allocate_lock)


# Pools


def test_pools_and_servers_are_met_where_connections_are_made() -> None:
    pools = Pools()
    assert pools.sizes() == {"executor_threads": None, "send_connections": None}
    made = {}
    for module, code in (
        (
            "oslo_messaging.server",
            "class Server:\n def __init__(self, executor):\n  self._work_executor = executor\n"
            " def start(self, then): then()",
        ),
        (
            "oslo_messaging._drivers.pool",
            "class Pool:\n _max_size = 30\n def create(self, then): [then() for _ in (1,)]",
        ),
    ):
        made[module] = types.ModuleType(module)
        exec(code, made[module].__dict__)
    workers = types.SimpleNamespace
    native = made["oslo_messaging.server"].Server(workers(_max_workers=64))
    green = made["oslo_messaging.server"].Server(workers(_pool=workers(size=100)))
    pool = made["oslo_messaging._drivers.pool"].Pool()
    native.start(functools.partial(pool.create, pools.meet))
    assert pools.sizes() == {"executor_threads": 64, "send_connections": 30}
    green.start(pools.meet)
    assert pools.sizes() == {"executor_threads": 164, "send_connections": 30}
    del green, native, pool
    assert pools.sizes() == {"executor_threads": None, "send_connections": None}
