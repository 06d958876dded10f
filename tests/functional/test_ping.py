"""``omrig ping`` against real servers of RPC, one of which stands still."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time

import kombu
import pytest

from omrig.broker.rabbitmq.embedded import embedded_broker
from tests.rabbitmqctl import declared

SERVER = """
import sys, time
from omrig.drivers import backend
backend.keep_eventlet_out()
import oslo_messaging
from oslo_config import cfg
url, topic, name, kind = sys.argv[1:]
cfg.CONF([])
if kind == "rpc_ping":
    from oslo_messaging.rpc import dispatcher
    cfg.CONF.register_opts(dispatcher._dispatcher_opts)
    cfg.CONF.set_override("rpc_ping_enabled", True)
transport = oslo_messaging.get_rpc_transport(cfg.CONF, url)
class BaseAPI:
    target = oslo_messaging.Target(namespace="baseapi", version="1.1")
    def ping(self, context, arg):
        print(time.time(), flush=True)
        if kind == "slow":
            time.sleep(0.6)
        if kind == "broken":
            raise RuntimeError("no database")
        return {"service": topic, "arg": arg}
class Manager:
    target = oslo_messaging.Target(version="3.0")
    def work(self, context):
        return None
server = oslo_messaging.get_rpc_server(
    transport, oslo_messaging.Target(exchange="nova", topic=topic, server=name),
    [Manager()] if kind in ("plain", "rpc_ping") else [BaseAPI()], executor="threading",
    access_policy=oslo_messaging.DefaultRPCAccessPolicy,
)
server.start()
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def broker():
    """One of their own: what services leave on it is no business of other tests."""
    with embedded_broker() as broker:
        yield broker


def await_consumer(broker, queue):
    """Wait until somebody takes from a queue: a server has begun to only after its start."""
    with kombu.Connection(broker.url.replace("rabbit:", "amqp:", 1)) as connection:
        channel = connection.default_channel
        end = time.monotonic() + 20
        while not channel.queue_declare(queue, passive=True).consumer_count:
            assert time.monotonic() < end, f"nobody takes from {queue}"
            time.sleep(0.05)


@pytest.fixture
def serve(broker):
    """Start a server of RPC: its process, which prints when it was called."""
    started = []

    def serve(topic, name, kind="base"):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, broker.url, topic, name, kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "up\n"
        await_consumer(broker, f"{topic}.{name}")
        return process

    yield serve
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def called_at(process):
    """When a server was called; ends it."""
    process.kill()
    return [float(line) for line in process.stdout.read().splitlines()]


def by_name(out):
    result = json.loads(out)
    return result, {each["server"]["name"]: each for each in result["servers"]}


def test_a_deaf_server_is_named_and_one_without_the_method_is_alive(serve, run, broker, tmp_path):
    topic = "conductor"
    serve(topic, "well"), serve(topic, "plain.example.org", "plain")
    deaf = serve(topic, "deaf")
    os.kill(deaf.pid, signal.SIGSTOP)
    status, out, err = run(
        "ping", f"{topic}.well", f"{topic}.deaf", f"{topic}.plain.example.org", f"{topic}.none",
        "--rate", 4, "--timeout", 1, "--duration", 5, "--json", "--output", "p",
        "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 1, err
    result, servers = by_name(out)
    assert result["complete"]
    assert result["exchange"] == "nova"
    states = {name: each["state"] for name, each in servers.items()}
    assert states == {
        "well": "answers", "deaf": "deaf", "plain.example.org": "refuses", "none": "absent",
    }  # fmt: skip
    well, silent = servers["well"], servers["deaf"]
    assert well["answered"] == well["sent"] >= 2
    assert silent["silent"] == silent["sent"] >= 2
    assert servers["plain.example.org"]["sent"] == 1
    assert servers["none"]["sent"] == 0
    assert f"{topic}.deaf is deaf: none of {silent['silent']} calls" in result["verdict"]
    assert "plain.example.org is alive, and has no baseapi.ping" in result["verdict"]
    assert "none is not there: it has no queue" in result["verdict"]
    # The caller's half: what was replied to, and its books close.
    names = [row["name"] for row in well["stages"]]
    assert "remote" in names
    assert "wakeup" in names
    assert result["stamped"] == well["sent"] + 1
    assert result["within_tolerance"] == result["stamped"]
    total = sum(row["total_ns"] for row in well["stages"])
    assert total == pytest.approx(well["latency"]["mean"] * well["sent"], rel=0.02)
    assert broker.url.split("@")[0] not in (tmp_path / "p" / "result.json").read_text()


def test_no_more_calls_than_asked_also_after_a_slow_reply(serve, run, broker):
    one, two = serve("compute", "one"), serve("compute", "two", "slow")
    status, out, err = run(
        "ping", "compute.one", "compute.two", "--rate", 5, "-w", 2, "--duration", 4, "--json",
        "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    times = sorted(called_at(one) + called_at(two))
    result, servers = by_name(out)
    assert len(times) == result["sent"] == result["answered"]
    assert 10 <= len(times) <= 21
    # Of any stretch of a second: its five, and one more for where it begins.
    assert all(sum(1 for each in times if begin <= each < begin + 1) <= 6 for begin in times)
    assert servers["two"]["latency"]["p50"] >= 600_000_000
    assert servers["two"]["sent"] <= 7


def test_by_default_it_is_one_call_a_second_and_the_whole_topic_is_told_as_such(serve, run, broker):
    first, second = serve("scheduler", "one"), serve("scheduler", "two")
    status, out, err = run("ping", "scheduler", "--duration", 3, "--transport-url", broker.url)
    assert status == 0, err
    times = sorted(called_at(first) + called_at(second))
    assert 2 <= len(times) <= 4
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.8
    assert "scheduler (any of 2)" in out
    assert "a reply does not say whose it is" in " ".join(out.split())
    assert "answered every call" in out


def test_oslo_rpc_server_ping_and_a_server_that_raises(serve, run, broker):
    serve("volume", "well", "rpc_ping")
    status, out, err = run(
        "ping", "volume.well", "--method", "oslo_rpc_server_ping", "--duration", 1, "--json",
        "--transport-url", broker.url,
    )  # fmt: skip
    assert status == 0, err
    assert by_name(out)[1]["well"]["state"] == "answers"
    serve("volume", "broken", "broken")
    status, out, err = run(
        "ping", "volume.broken", "--duration", 1, "--json", "--transport-url", broker.url
    )
    assert status == 0, err
    broken = by_name(out)[1]["broken"]
    assert broken["state"] == "fails"
    assert broken["errors"] == {"RuntimeError": broken["sent"]}
    assert "no database" in broken["said"]


def test_nothing_is_left_and_nothing_is_made_but_a_reply_queue(serve, start, broker):
    serve("cert", "one")
    before = declared(broker)
    process = start(
        "ping", "cert.one", "--duration", 6, "--json", "--transport-url", broker.url,
    )  # fmt: skip
    time.sleep(4)
    (own,) = declared(broker) - before
    assert own.startswith("reply_")
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert by_name(out)[1]["one"]["state"] == "answers"
    assert declared(broker) == before


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("nobody",), "nobody: the virtual host '/' has no queue of this name"),
        (("nobody", "--method", "shutdown"), "--method: 'shutdown' is none"),
        (("nobody", "--exchange", "none"), "--exchange: the broker has no exchange 'none'"),
        (("nobody", "--rate", "0"), "--rate: 0 is not above 0"),
    ],
)
def test_bad_input_is_a_line_and_status_2(run, broker, serve, tmp_path, arguments, text):
    serve("any", "one")
    status, _, err = run("ping", *arguments, "--transport-url", broker.url)
    assert status == 2
    assert text in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "omrig-runs").exists()


def test_an_interrupt_ends_it_with_its_result(serve, start, broker):
    serve("console", "one")
    process = start(
        "ping", "console.one", "--duration", 60, "--json", "--output", "p",
        "--transport-url", broker.url,
    )  # fmt: skip
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    result, servers = by_name(out)
    assert not result["complete"]
    assert result["reason"] == "interrupted"
    assert 1 <= servers["one"]["answered"] <= 6
