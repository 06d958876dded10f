"""Runs at once: their loads begin at one instant, and none waits for one that has ended."""

import os
import sys
from pathlib import Path

import pytest

from omrig.model.errors import RunError
from omrig.model.plan import SIDES, Plan
from omrig.supervisor import duet
from omrig.supervisor.duet import Part
from omrig.supervisor.elsewhere import Meeting
from omrig.supervisor.interrupts import Interrupts
from tests.unit.supervisor.test_elsewhere import Shown, other

READY = """
send({"begun": 1})
send({"ready": True})
begin_ns = json.loads(heard.readline())["begin_ns"]
late = time.perf_counter_ns() > begin_ns
send({"show": "say", "values": [begin_ns, late, asked["core"]]})
send({"recorded": {"folder": str(os.getpid()), "losses": {}, "ended": None}})
"""

FAILS = """
send({"begun": 1})
send({"failed": {"kind": "run", "text": "no broker", "traceback": ""}})
"""

WAITS = """
signal.signal(signal.SIGTERM, lambda *_: (send(
    {"failed": {"kind": "interrupted", "text": "sent home", "traceback": ""}}), os._exit(0)))
send({"begun": 1})
send({"ready": True})
time.sleep(30)
"""


class Told(Shown):
    def say(self, *values):
        self.said.append(values)


def part(tmp_path, name, script):
    plan = Plan(sides=SIDES, run_id="0" * 32)
    return Part(plan, None, Path(sys.executable), str(other(tmp_path / name, script)))


def test_all_are_told_one_instant_that_is_to_come(tmp_path):
    display = Told()
    parts = [part(tmp_path, name, READY) for name in "ab"]
    recorded = duet.run(parts, display, Interrupts())
    (one, late, core), (another, later, other_core) = display.said
    assert one == another
    assert not late
    assert not later
    assert core == other_core == max(os.sched_getaffinity(0))
    pids = {each.folder.name for each in recorded}
    assert len(pids) == 2
    assert str(os.getpid()) not in pids


def test_where_one_fails_the_other_does_not_wait_for_it(tmp_path):
    parts = [part(tmp_path, "a", WAITS), part(tmp_path, "b", FAILS)]
    with pytest.raises(RunError, match=r"^no broker$"):
        duet.run(parts, Told(), Interrupts())


def test_interrupted_all_of_them_are(tmp_path):
    interrupts = Interrupts()
    interrupts.deferred = True

    class Interrupting(Told):
        def say(self, *_values):
            interrupts.count = 1

    script = WAITS.replace("time.sleep(30)", 'send({"show": "say", "values": []})\ntime.sleep(30)')
    parts = [part(tmp_path, name, script) for name in "ab"]
    with pytest.raises(KeyboardInterrupt, match="sent home"):
        duet.run(parts, Interrupting(), interrupts)


def test_who_comes_after_another_has_left_is_told_nothing():
    told = []
    meeting = Meeting(2, 0)
    meeting.join(told.append)
    meeting.leave()
    meeting.join(told.append)
    assert meeting.is_off
    assert told == []
    met = Meeting(1, 0)
    met.join(told.append)
    met.leave()
    assert not met.is_off
    assert len(told) == 1


def test_without_an_environment_they_find_what_this_process_finds(monkeypatch):
    monkeypatch.syspath_prepend("/plugins")
    found = Part(Plan(sides=SIDES, run_id="0" * 32)).code.split(os.pathsep)
    assert "/plugins" in found
    assert any((Path(each) / "omrig" / "supervisor" / "duet.py").exists() for each in found)
