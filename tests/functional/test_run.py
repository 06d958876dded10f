"""Runs through a real RabbitMQ, as a user makes them."""

import collections
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import amqp
import psutil
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

from omrig.model.stages import OWNERS
from tests.accuracy import bench as accuracy
from tests.functional.conftest import result_of


def declared(broker):
    """The names of all queues and exchanges on the broker, but for its own exchanges."""
    kinds = ("rabbit_amqqueue", "rabbit_exchange")
    found = " ".join(accuracy.evaluate(broker, f"{kind}:list_names().") for kind in kinds)
    names = re.findall(r'<<"([^"]*)">>\}', found)
    return sorted(name for name in names if name and not name.startswith("amq."))


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
@pytest.mark.parametrize("pattern", ["call", "cast", "fanout"])
def test_both_sides(run, broker, tmp_path, executor, pattern):
    status, out, err = run(
        "run", "-m", 300, "-w", 20, "--executor", executor, "--pattern", pattern,
        "--transport-url", broker.url, "--output", "r", "--json",
    )  # fmt: skip
    assert status == 0, err
    result = json.loads(out)
    assert result == result_of(tmp_path / "r")
    assert result["complete"] is True
    messages = result["messages"]
    assert messages["sent"] == messages["received"] == 300
    assert messages["lost"] == messages["duplicated"] == messages["out_of_range"] == 0
    assert messages["replied"] == (300 if pattern == "call" else None)
    latency = result["latency"]
    assert latency["count"] == 300
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["max"]
    assert sum(step["messages"] for step in result["throughput"]["series"]) == 300
    reader = HistogramLogReader(
        str(tmp_path / "r/latency.hlog"), HdrHistogram(1000, 3600 * 10**9, 3)
    )
    assert reader.get_next_interval_histogram().get_total_count() == 300
    used = result["resources"]
    assert used["producer"]["cpu_user_seconds"] > 0
    assert used["consumer"]["cpu_user_seconds"] > 0
    # Not the second that a server with threads takes to stop.
    assert used["consumer"]["wall_seconds"] < used["producer"]["wall_seconds"] + 0.6


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_a_fanout_reaches_its_consumer_and_leaves_nothing(run, broker, tmp_path, executor):
    before = declared(broker)
    status, _, err = run(
        "run", "-m", 300, "-w", 5, "--executor", executor, "--pattern", "fanout",
        "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    messages = result_of(tmp_path / "r")["messages"]
    assert messages["sent"] == messages["received"] == 300
    assert messages["lost"] == messages["duplicated"] == messages["out_of_range"] == 0
    assert declared(broker) == before


@pytest.mark.parametrize(("messages", "workers"), [(1, 100), (7, 3), (3, 7)])
def test_exactly_the_asked_number(run, broker, tmp_path, messages, workers):
    status, _, err = run(
        "run", "-m", messages, "-w", workers, "--transport-url", broker.url, "--output", "r"
    )
    assert status == 0, err
    counted = result_of(tmp_path / "r")["messages"]
    assert counted["sent"] == counted["received"] == counted["replied"] == messages


def test_two_commands_and_nothing_left_on_the_broker(start, run, broker, channel, tmp_path):
    channel.queue_declare("compute", auto_delete=False, durable=False)
    channel.exchange_declare("nova", "topic", auto_delete=False)
    channel.queue_bind("compute", "nova", "compute")
    channel.basic_publish(amqp.Message("for nova"), "nova", "compute")
    consumer = start("-c", 200, "--transport-url", broker.url, "--output", "c", "--quiet")
    status, out, err = run("-p", 200, "--transport-url", broker.url, "--output", "p", "--json")
    assert status == 0, err
    assert json.loads(out)["messages"]["replied"] == 200
    out, err = consumer.communicate(timeout=20)
    assert consumer.returncode == 0, err
    assert "200 received" in out
    received = result_of(tmp_path / "c")
    assert received["messages"]["received"] == 200
    assert received["throughput"]["messages_per_second"] > 0
    assert declared(broker) == ["compute", "nova"]
    assert channel.queue_declare("compute", passive=True).message_count == 1
    channel.queue_delete("compute")
    channel.exchange_delete("nova")


SERVICE = """
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
rabbit_transient_quorum_queue = true
rabbit_stream_fanout = true
rabbit_qos_prefetch_count = 50
use_queue_manager = true
hostname = ctl1
processname = nova-api
[oslo_concurrency]
lock_path = /nowhere
"""


def test_durable_things_go_too_and_a_service_of_that_name_keeps_its_own(
    run, broker, channel, tmp_path
):
    (tmp_path / "service.conf").write_text(SERVICE)
    theirs = "reply_ctl1:nova-api:1"
    channel.queue_declare(theirs, durable=True, auto_delete=False)
    channel.basic_publish(amqp.Message("for nova"), "", theirs)
    before = declared(broker), sorted(Path("/dev/shm").glob("*omrig*"))
    status, _, err = run(
        "run", "-m", 100, "-w", 5, "--executor", "threading", "--config-file", "service.conf",
        "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    assert "left" not in err.replace(" s left", "")
    assert (declared(broker), sorted(Path("/dev/shm").glob("*omrig*"))) == before
    assert not list((tmp_path / "state").rglob("*.jsonl"))
    kept = channel.queue_declare(theirs, passive=True)
    assert (kept.message_count, kept.consumer_count) == (1, 0)
    channel.queue_delete(theirs)


def test_what_a_killed_run_left_is_removed_by_clean_and_nothing_else(
    start, run, broker, channel, tmp_path
):
    (tmp_path / "service.conf").write_text(SERVICE)
    channel.queue_declare("omrig.older", auto_delete=False)
    before = declared(broker)
    transport = ("--config-file", "service.conf", "--transport-url", broker.url)
    process = start(
        "run", "-m", 1_000_000, "-w", 5, "--executor", "threading", *transport, "--output", "r"
    )
    loading(process)
    status, out, err = run("clean", *transport)
    assert (status, "is under way" in out) == (0, True), err
    running = descendants(process)
    process.kill()
    process.wait()
    wait_for(lambda: not [child for child in running if child.is_running()])
    left = declared(broker)
    status, out, err = run("clean", "--dry-run", *transport)
    assert status == 1, err
    names = {line.split()[-1] for line in out.splitlines() if "/dev/shm" not in line}
    assert names == {*left} - {*before}
    assert declared(broker) == left
    status, _, err = run("clean", *transport)
    assert status == 0, err
    assert declared(broker) == before
    assert not list((tmp_path / "state").rglob("*.jsonl"))
    channel.queue_delete("omrig.older")


def test_a_foreign_topic_takes_nothing_from_the_queue_of_that_name(run, broker, channel, tmp_path):
    channel.queue_declare("conductor", auto_delete=False)
    channel.basic_publish(amqp.Message("for nova"), "", "conductor")
    status, _, err = run(
        "run", "-m", 20, "--topic", "conductor", "--transport-url", broker.url, "--output", "r"
    )
    assert status == 0, err
    assert channel.queue_declare("conductor", passive=True).message_count == 1
    channel.queue_delete("conductor")


def test_no_consumer(run, broker, tmp_path):
    status, _, err = run("-p", 10, "--wait", 2, "--transport-url", broker.url, "--output", "p")
    assert status == 1
    assert "waiting for a consumer" in err
    assert "omrig -c" in err
    assert result_of(tmp_path / "p")["complete"] is False
    assert declared(broker) == []


def test_idle_ends_a_consumer_without_a_count(start, run, broker, tmp_path):
    consumer = start("-c", "--idle", 1, "--transport-url", broker.url, "--output", "c")
    status, _, err = run("-p", 20, "--transport-url", broker.url, "--output", "p")
    assert status == 0, err
    _, err = consumer.communicate(timeout=20)
    assert consumer.returncode == 0, err
    assert result_of(tmp_path / "c")["messages"]["received"] == 20


def loading(process, seconds=30):
    """Wait until the load has begun."""
    deadline = time.monotonic() + seconds
    for line in process.stderr:
        if "producer: load" in line:
            return
        assert time.monotonic() < deadline
    raise AssertionError("the load did not begin")


def descendants(process):
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize(
    ("number", "executor"), [(signal.SIGINT, "eventlet"), (signal.SIGTERM, "threading")]
)
def test_an_interrupt_keeps_what_was_measured(start, tmp_path, executor, number):
    process = start("run", "-m", 1_000_000, "-w", 20, "--executor", executor, "--output", "r")
    loading(process)
    time.sleep(1)
    running = descendants(process)
    assert len(running) > 3
    process.send_signal(number)
    began = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert time.monotonic() - began < 15
    result = result_of(tmp_path / "r")
    assert result["complete"] is False
    assert "interrupted" in result["reason"]
    assert result["messages"]["replied"] > 0
    assert result["messages"]["errors"] == {}
    assert not [child for child in running if child.is_running()]
    for used in (result["resources"][name] for name in ("producer", "consumer", "broker")):
        assert used["sampled"]["samples"] > 0


def test_a_killed_omrig_leaves_no_process_and_its_run_can_still_be_read(start, run, tmp_path):
    process = start("run", "-m", 1_000_000, "-w", 20, "--output", "r")
    loading(process)
    time.sleep(1)
    running = descendants(process)
    process.kill()
    process.wait()
    wait_for(lambda: not [child for child in running if child.is_running()])
    status, out, err = run("report", "r")
    assert status == 0, err
    assert "incomplete" in out
    assert result_of(tmp_path / "r")["messages"]["replied"] > 0


def test_a_consumer_that_dies_ends_the_run(start, tmp_path):
    process = start("run", "-m", 1_000_000, "-w", 10, "--output", "r")
    loading(process)
    time.sleep(1)
    for child in descendants(process):
        if "consumer" in child.cmdline():
            child.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    result = result_of(tmp_path / "r")
    assert "the consumer process died" in result["reason"]
    assert result["sides"] == ["producer"]
    assert result["messages"]["replied"] > 0
    # What it used until then is known from outside.
    assert result["resources"]["consumer"]["cpu_user_seconds"] > 0


def test_a_broker_that_dies_ends_the_run(start, tmp_path):
    process = start("run", "-m", 1_000_000, "-w", 10, "--output", "r")
    loading(process)
    time.sleep(1)
    for child in descendants(process):
        # The broker's own helpers come and go.
        with contextlib.suppress(psutil.NoSuchProcess):
            if "beam" in child.name():
                child.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    result = result_of(tmp_path / "r")
    assert "broker died" in result["reason"]
    assert result["messages"]["replied"] > 0


def test_no_password_anywhere(run, broker, tmp_path):
    password = urlsplit(broker.url).password
    status, out, err = run(
        "run", "-d", "-m", 20, "-w", 2, "--transport-url", broker.url, "--output", "r"
    )
    assert status == 0, err
    assert "oslo_messaging" in err
    texts = [out, err]
    texts += [path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if password in text]
    wrong = broker.url.replace(password, "wrong-secret")
    status, out, err = run("-p", "-d", "--transport-url", wrong, "--output", "w")
    assert status == 2
    assert "wrong-secret" not in out + err
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_yappi_on_both_sides(run, broker, tmp_path, executor):
    import pstats

    status, out, err = run(
        "run", "-m", 200, "-w", 10, "--profile", "yappi", "--executor", executor,
        "--transport-url", broker.url, "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    for side, function in (("producer", "call"), ("consumer", "_do_dispatch")):
        stats = pstats.Stats(str(tmp_path / "r" / side / "yappi.pstat")).stats
        calls = {
            name: total
            for (file, _, name), (_, total, *_) in stats.items()
            if "oslo_messaging" in file
        }
        assert calls[function] >= 200
        assert (tmp_path / "r" / side / "yappi.callgrind").read_text().startswith("# callgrind")
        summary = result_of(tmp_path / "r")["profiles"][side]["yappi"]
        assert summary["total_ns"] == pytest.approx(1e9 * sum(s[2] for s in stats.values()))
        roles = {"producer": {"producer worker", "reply listener"}, "consumer": {"executor worker"}}
        assert roles[side] <= {row["role"] for row in summary["roles"]}
        packages = [row["package"] for row in summary["packages"]]
        assert {"oslo.messaging", "kombu", "amqp", "json", "omrig.measured.load"} <= {*packages}
        # Every module of the driver and of the rig is told to be of a package.
        assert not {"side", "consumer", "amqpdriver", "generated"} & {*packages}
        assert f"yappi, {side}: " in out
        assert f"snakeviz r/{side}/yappi.pstat\n" in out


def test_a_thread_process_has_no_eventlet():
    code = (
        "import sys\n"
        "from omrig.measured.executors import base as executors\n"
        "executors.load('threading').patch()\n"
        "import oslo_messaging, omrig.measured.load.producer, omrig.measured.load.consumer\n"
        "from oslo_messaging._drivers import impl_rabbit\n"
        "sys.exit(sys.modules.get('eventlet') is not None)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_configuration_of_the_service_is_used(run, broker, tmp_path):
    path = tmp_path / "nova.conf"
    path.write_text(
        f"[DEFAULT]\ntransport_url = {broker.url}\nrpc_response_timeout = 11\n"
        "[oslo_messaging_rabbit]\nrpc_conn_pool_size = 3\n"
    )
    status, out, err = run(
        "run", "-m", 20, "-s", 2, "--config-file", "nova.conf", "--output", "r", "--quiet"
    )
    assert status == 0, err
    assert err == (
        f"omrig: the load goes to 127.0.0.1:{broker.port}, virtual host '/' (from"
        f" {path}): 20 messages of 2 KB\n"
    )
    about = json.loads((tmp_path / "r/run.json").read_text())
    assert about["plan"]["timeout_s"] == 11
    assert about["options"]["[oslo_messaging_rabbit] rpc_conn_pool_size"] == 3
    assert about["transport"]["source"] == str(path)
    assert about["driver_options"]["rpc_conn_pool_size"] == 3
    told = about["settings"]
    assert told["rpc_response_timeout"] == {"value": 11, "source": str(path)}
    assert told["executor_thread_pool_size"] == {"value": 64, "source": "default"}
    assert f"rpc_response_timeout=11 ({path})" in " ".join(out.split())
    assert "***" in about["transport"]["url"]


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_while_it_runs_it_says_what_the_result_will_say(start, broker, tmp_path, executor):
    process = start(
        "run", "-m", 1_000_000, "-w", 20, "--executor", executor, "--output", "r",
        "--transport-url", broker.url,
    )  # fmt: skip
    line = ""
    while "time: " not in line:
        line = process.stderr.readline()
        assert line, "it ended"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    result = result_of(tmp_path / "r")
    told = dict(re.findall(r"(own process|AMQP|driver) (\d+) %", line))
    owners = collections.Counter()
    for stage in result["stages"]:
        owners[OWNERS[stage["bucket"]]] += 100 * stage["share"]
    for title, owner in (("own process", "process"), ("AMQP", "amqp"), ("driver", "driver")):
        assert int(told[title]) == pytest.approx(owners[owner], abs=15), line
    assert re.search(r"p50 [\d.]+ m?s, p90 [\d.]+ m?s, p99 [\d.]+ m?s; time: ", line)
    assert re.search(r"CPU: broker \d+ %, consumer \d+ %, producer \d+ %", line)
    for side in ("producer", "consumer"):
        about = json.loads((tmp_path / "r" / side / "side.json").read_text())
        used = sum(about["usage"][f"cpu_{kind}_seconds"] for kind in ("user", "system"))
        # Half of one in a hundred was measured.
        assert about["telling_cpu_seconds"] < 0.02 * used
