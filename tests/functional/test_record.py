"""A service of a few lines that omrig did not write, recorded while it runs."""

import json
import signal
import sys
import time

import pytest

from omrig.broker.rabbitmq.embedded import embedded_broker
from tests.functional.conftest import result_of

SERVER = """
import signal
import sys
import oslo_messaging
from oslo_config import cfg

transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=sys.argv[1])

class Endpoint:
    def add(self, context, a, b):
        return a + b

target = oslo_messaging.Target(topic=sys.argv[2], server="one")
server = oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
server.start()
print("ready", flush=True)
signal.pause()
"""

CLIENT = """
import sys
import time
import oslo_messaging
from oslo_config import cfg

transport = oslo_messaging.get_rpc_transport(cfg.CONF, url=sys.argv[1])
target = oslo_messaging.Target(topic=sys.argv[2], server="one")
client = oslo_messaging.get_rpc_client(transport, target, timeout=30)
count = int(sys.argv[3])
for each in range(count):
    assert client.call({"request_id": "req-%032x" % each}, "add", a=each, b=1) == each + 1
    if not each:
        print("ready", flush=True)
    time.sleep(0.005)
print("done", flush=True)
"""

FOREVER = 10**6


@pytest.fixture(scope="module")
def broker():
    """One of their own: what services leave on it is no business of other tests."""
    with embedded_broker() as broker:
        yield broker


@pytest.fixture
def services(start, broker, tmp_path):
    """Start a server, and a client that makes so many calls, under ``omrig exec`` in one folder."""

    def services(calls):
        folder, topic = tmp_path / "services", f"sums-{time.monotonic_ns()}"
        options = ("exec", "--run", folder, "--name")
        server = start(*options, "server", "--", sys.executable, "-c", SERVER, broker.url, topic)
        assert server.stdout.readline() == "ready\n"
        client = start(
            *options, "client", "--", sys.executable, "-c", CLIENT, broker.url, topic, calls
        )
        assert client.stdout.readline() == "ready\n"
        return folder, server, client

    return services


def states(run, folder):
    """What each process says of itself, by its name."""
    status, out, err = run("status", folder, "--json")
    assert status == 0, err
    return {each["name"]: each["state"] for each in json.loads(out)["processes"] if each["state"]}


def test_calls_are_recorded_while_they_are_made(services, run):
    folder, _, client = services(FOREVER)
    before = states(run, folder)
    assert before.keys() == {"server", "client"}
    assert not any(state["on"] for state in before.values())
    status, _, err = run("record", folder, "--messages", 100, "--quiet", timeout=90)
    assert status == 0, err
    assert not any(state["on"] for state in states(run, folder).values())
    assert client.poll() is None
    result = result_of(folder / "rec-1")
    assert result["complete"] is True
    assert {each["name"] for each in result["processes"]} == {"server", "client"}
    (method,) = result["methods"]
    assert method["name"]["method"] == "add"
    # At either end one process is on while the other is not.
    assert method["matched"] >= 95
    assert result["closure"]["negative_stages"] == 0
    assert (folder / "rec-1/report.html").stat().st_mode & 0o777 == 0o600


def test_ctrl_c_ends_a_recording_and_not_the_service(services, start, run):
    folder, server, client = services(FOREVER)
    recorder = start("record", folder)
    while "recording" not in recorder.stderr.readline():
        assert recorder.poll() is None
    time.sleep(1)
    recorder.send_signal(signal.SIGINT)
    _, err = recorder.communicate(timeout=60)
    assert recorder.returncode == 0, err
    assert result_of(folder / "rec-1")["complete"] is True
    assert server.poll() is None and client.poll() is None


def test_a_recorder_that_is_killed_leaves_nothing_on(services, start, run):
    folder, _, client = services(FOREVER)
    recorder = start("record", folder)
    while "recording" not in recorder.stderr.readline():
        assert recorder.poll() is None
    assert all(state["on"] for state in states(run, folder).values())
    recorder.kill()
    recorder.wait()
    until = time.monotonic() + 10
    while any(state["on"] for state in states(run, folder).values()):
        assert time.monotonic() < until
    assert client.poll() is None
    assert run("record", folder, "--seconds", 1, "--quiet", timeout=60)[0] == 0
    assert result_of(folder / "rec-2")["complete"] is True


def test_a_program_is_recorded_whole(services, run, broker, tmp_path):
    folder, server, client = services(1)
    assert client.wait(timeout=30) == 0
    topic = server.args[-1]
    status, out, err = run(
        "exec", "--record", "--run", folder, "--name", "once", "--",
        sys.executable, "-c", CLIENT, broker.url, topic, 50,
        timeout=90,
    )  # fmt: skip
    assert (status, out) == (0, "ready\ndone\n"), err
    assert "add" in err
    result = result_of(folder / "rec-1")
    assert result["complete"] is True
    (method,) = result["methods"]
    assert method["sent"] == method["served"] == method["matched"] == 50
