"""A run that is supervised by another process: what it shows, asks, ends with and leaves."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from omrig.model.errors import RunError, UsageError
from omrig.model.load import Load
from omrig.model.plan import SIDES, Output, Plan
from omrig.model.profiling import Profiling
from omrig.supervisor import elsewhere
from omrig.supervisor.interrupts import Interrupts

ROOT = Path(elsewhere.__file__).parents[2]

INSIDE = """\
import json, os, signal, sys, time
sys.path.append({path!r})
request, answer = int(sys.argv[1]), int(sys.argv[2])
asked = json.loads(os.fdopen(os.dup(request)).readline())
heard = os.fdopen(request)
def send(message):
    os.write(answer, json.dumps(message).encode() + b"\\n")
"""


class Shown:
    """A display that keeps what it is told."""

    is_seen = True

    def __init__(self):
        self.said = []
        self.answer = True

    def say(self, text):
        self.said.append(text)

    def tell(self, text):
        self.said.append(f"! {text}")

    def counts(self, side, counts):
        self.said.append((side, counts))

    def ask(self, question):
        self.said.append(f"? {question}")
        return self.answer


def other(tmp_path, script):
    """A folder of code of which the process in the other environment runs ``script``."""
    place = tmp_path / "code" / "omrig" / "supervisor"
    place.mkdir(parents=True)
    for folder in (place, place.parent):
        (folder / "__init__.py").write_text("")
    (place / "inside.py").write_text(INSIDE.format(path=str(ROOT)) + script)
    return tmp_path / "code"


def run(code, interrupts=None, display=None, plan=None, **more):
    plan = plan or Plan(sides=SIDES, run_id="0" * 32)
    interrupts, display = interrupts or Interrupts(), display or Shown()
    return elsewhere.run(Path(sys.executable), str(code), plan, display, interrupts, **more)


def test_what_is_said_there_is_shown_here(tmp_path):
    display = Shown()
    code = other(
        tmp_path,
        """
send({"begun": 1})
send({"show": "say", "values": ["a step"]})
send({"show": "counts", "values": ["producer", {"done": 3}]})
send({"ask": "really?"})
yes = json.loads(heard.readline())["yes"]
send({"show": "tell", "values": [str(yes)]})
send({"recorded": {"folder": "/f", "losses": {"full": ["a"]}, "ended": None}})
""",
    )
    recorded = run(code, display=display)
    assert display.said == ["a step", ("producer", {"done": 3}), "? really?", "! True"]
    assert (recorded.folder, recorded.ended) == (Path("/f"), None)
    assert recorded.losses.paths == {"full": ["a"]}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("usage", UsageError), ("run", RunError), ("interrupted", KeyboardInterrupt)],
)
def test_an_error_there_is_raised_here(tmp_path, kind, expected):
    code = other(
        tmp_path, f'send({{"failed": {{"kind": "{kind}", "text": "why", "traceback": "where"}}}})\n'
    )
    with pytest.raises(expected, match=r"^why$") as caught:
        run(code)
    assert str(caught.value.__cause__) == "\nwhere"


def test_what_the_system_refused_there_is_told_with_its_path(tmp_path):
    failed = {"kind": "system", "errno": 28, "text": "full", "path": "/x", "traceback": ""}
    with pytest.raises(OSError, match="full") as caught:
        run(other(tmp_path, f'send({{"failed": {failed!r}}})\n'.replace("'", '"')))
    assert (caught.value.errno, caught.value.filename) == (28, "/x")


def test_a_defect_there_is_told_by_its_name(tmp_path):
    code = other(tmp_path, 'send({"failed": {"kind": "KeyError", "text": "k", "traceback": ""}})\n')
    with pytest.raises(Exception, match=r"^k$") as caught:
        run(code)
    assert type(caught.value).__name__ == "KeyError"


def test_a_process_that_ends_without_a_word_is_an_error(tmp_path):
    code = other(tmp_path, 'send({"begun": 1})\nos.kill(os.getpid(), signal.SIGKILL)\n')
    with pytest.raises(RunError, match="ended by signal SIGKILL, without a result"):
        run(code)


def test_an_interrupt_is_passed_on_once(tmp_path):
    code = other(
        tmp_path,
        """
count = 0
def handle(*_):
    global count
    count += 1
signal.signal(signal.SIGTERM, handle)
send({"begun": 1})
send({"show": "say", "values": ["begun"]})
end = time.monotonic() + 10
while not count and time.monotonic() < end:
    time.sleep(0.05)
time.sleep(0.5)
send({"recorded": {"folder": str(count), "losses": {}, "ended": None}})
""",
    )
    interrupts = Interrupts()
    display = Shown()

    def interrupt():
        while not display.said:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with interrupts.handled():
        thread.start()
        recorded = run(code, interrupts, display)
    thread.join()
    assert (str(recorded.folder), interrupts.count) == ("1", 1)


def test_neither_options_nor_the_path_of_this_process_go_along(tmp_path, monkeypatch):
    monkeypatch.setenv("OS_DEFAULT__TRANSPORT_URL", "rabbit://u:secret@h/")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    code = other(
        tmp_path,
        """
own = dict(os.environ)
own["OPTIONS"] = json.dumps(asked["options"])
send({"recorded": {"folder": json.dumps(own), "losses": {}, "ended": None}})
""",
    )
    told = str(run(code).folder)
    assert f'"PYTHONPATH": "{code}"' in told
    assert told.count("secret") == 1
    assert '"OS_DEFAULT__TRANSPORT_URL"' not in told


def test_the_real_one_refuses_what_a_run_refuses(tmp_path):
    # The same code in a process of its own; nothing is started.
    plan = Plan(
        sides=SIDES,
        run_id="0" * 32,
        profiling=Profiling(modes=("nosuch",)),
        output=Output(folder=str(tmp_path / "run")),
    )
    with pytest.raises(UsageError, match="--profile: unknown mode 'nosuch'"):
        run(ROOT, plan=plan)
    assert not (tmp_path / "run").exists()


PATCHED = """\
import os, sys, time
sys.path.append({path!r})
from omrig.model.errors import Losses
from omrig.supervisor import run
from omrig.supervisor.recorded import Recorded
from pathlib import Path
def fake(plan, display, interrupts, broker, agree=None):
    folder = Path(plan.output.folder)
    if plan.load.workers > 1:
        display.say("supervising")
        time.sleep(20)
    with interrupts.deferring():
        display.say("supervising")
        end = time.monotonic() + 20
        while not interrupts.count and time.monotonic() < end:
            time.sleep(0.05)
    time.sleep(0.3)
    (folder / "ended").write_text(str(interrupts.count))
    (folder / "cores").write_text(str(os.sched_getaffinity(0)))
    return Recorded(folder, Losses(folder))
run.run = fake
"""


@pytest.fixture
def patched(tmp_path):
    """The real process inside, with a supervision that waits to be interrupted."""
    code = tmp_path / "patched"
    (code / "omrig").mkdir(parents=True)
    (code / "sitecustomize.py").write_text(PATCHED.format(path=str(ROOT)))
    (code / "omrig").rmdir()
    (code / "omrig").symlink_to(ROOT / "omrig")
    return code


def plan_of(tmp_path, workers):
    return Plan(
        sides=SIDES,
        run_id="0" * 32,
        load=Load(workers=workers),
        output=Output(folder=str(tmp_path)),
    )


def interrupted(display):
    while not display.said:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_run_inside_ends_with_its_results_where_it_is_interrupted(tmp_path, patched):
    interrupts, display = Interrupts(), Shown()
    thread = threading.Thread(target=interrupted, args=(display,))
    with interrupts.handled():
        thread.start()
        meeting = elsewhere.Meeting(1, core=0)
        recorded = run(patched, interrupts, display, plan_of(tmp_path, 1), meeting=meeting)
    thread.join()
    assert recorded.folder == tmp_path
    assert (tmp_path / "cores").read_text() == "{0}"
    assert (tmp_path / "ended").read_text() == "1"


def test_a_run_inside_that_has_no_load_yet_is_given_up(tmp_path, patched):
    interrupts, display = Interrupts(), Shown()
    thread = threading.Thread(target=interrupted, args=(display,))
    with interrupts.handled():
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            run(patched, interrupts, display, plan_of(tmp_path, 2))
    thread.join()
    assert not (tmp_path / "ended").exists()


COMMAND = """\
import sys
from pathlib import Path
from omrig.model.load import Load
from omrig.model.plan import Output, Plan
from omrig.supervisor import elsewhere
from omrig.supervisor.interrupts import Interrupts
class Shown:
    is_seen = False
    def say(self, text):
        print(text, flush=True)
plan = Plan(sides=("producer", "consumer"), run_id="0" * 32, load=Load(workers=1),
            output=Output(folder=sys.argv[2]))
elsewhere.run(Path(sys.executable), sys.argv[1], plan, Shown(), Interrupts())
"""


def test_a_run_inside_ends_when_the_command_is_killed(tmp_path, patched):
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(patched), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert command.stdout
    assert command.stdout.readline() == "supervising\n"
    (inside,) = psutil.Process(command.pid).children()
    command.kill()
    command.wait()
    assert psutil.wait_procs([inside], timeout=12)[1] == []
    assert (tmp_path / "ended").read_text() == "1"
