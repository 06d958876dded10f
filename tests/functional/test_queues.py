"""Every kind of queue that the driver can be told to declare, and a cluster that loses a node.

On the RabbitMQ that ``OMRIG_RABBITMQ`` names, else the installed one; ``tools/queue_prices.py`` has
the whole matrix of kinds, versions, executors and patterns.
"""

import dataclasses
import json
import threading
import time

import pytest

from omrig.broker.rabbitmq.embedded import embedded_broker
from omrig.compare import conditions, runs
from tests.cluster import cluster
from tests.functional.conftest import result_of
from tests.rabbitmqctl import declared

GROUP = "oslo_messaging_rabbit"
MESSAGES = 120
LONG = 3000

TRANSIENT_QUORUM = {"rabbit_quorum_queue": True, "rabbit_transient_quorum_queue": True}
STREAM = {**TRANSIENT_QUORUM, "rabbit_stream_fanout": True, "rabbit_qos_prefetch_count": 20}
KOLLA = {**STREAM, "use_queue_manager": True}

SETTINGS = [
    ({"rabbit_quorum_queue": True}, "threading", "call"),
    (TRANSIENT_QUORUM, "eventlet", "call"),
    (STREAM, "threading", "fanout"),
    (KOLLA, "eventlet", "fanout"),
    (KOLLA, "threading", "call"),
    ({"use_queue_manager": True}, "eventlet", "call"),
    ({"rabbit_ha_queues": True}, "threading", "cast"),
    ({"rabbit_qos_prefetch_count": 3}, "eventlet", "call"),
    ({"amqp_durable_queues": True}, "threading", "call"),
]


def whole(folder, wanted=MESSAGES):
    """The result of a run in which every message is counted and the books close."""
    result = result_of(folder)
    messages, closure = result["messages"], result["closure"]
    assert result["complete"], result["reason"]
    for count in ("requested", "sent", "received"):
        assert messages[count] == wanted
    assert messages["lost"] == messages["duplicated"] == 0
    assert not messages["errors"]
    assert closure["matched"] == wanted
    # The rest was interrupted between the load's clock and the first stamp, or after the last.
    assert closure["within_tolerance"] >= 0.95 * wanted
    assert closure["negative_stages"] == 0
    return result


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def set_to(options):
    """The options as arguments of the command line."""
    return [part for name in options for part in ("--set", f"{name}={text_of(options[name])}")]


@pytest.mark.parametrize(
    ("options", "executor", "pattern", "how"),
    # Each by one of the two ways, in turn.
    [(*each, ("--set", "--config-file")[number % 2]) for number, each in enumerate(SETTINGS)],
)
def test_a_kind_of_queue_is_counted_told_compared_and_gone(
    broker, run, tmp_path, options, executor, pattern, how
):
    given = set_to(options)
    if how == "--config-file":
        lines = [f"{name} = {text_of(value)}" for name, value in options.items()]
        file = tmp_path / "queues.conf"
        file.write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        given = ["--config-file", str(file)]
    before = declared(broker)
    status, out, err = run(
        "run", "--transport-url", broker.url, "-m", MESSAGES, "-w", 6, "--executor", executor,
        "--pattern", pattern, "--output", "r", *given,
    )  # fmt: skip
    assert status == 0, err
    whole(tmp_path / "r")
    recorded = json.loads((tmp_path / "r/run.json").read_text())
    source = how if how == "--set" else str(tmp_path / "queues.conf")
    for name, value in options.items():
        told = recorded["settings"][f"[{GROUP}] {name}"]
        assert (told["value"], told["source"]) == (value, source)
        assert f"[{GROUP}] {name}={value}" in " ".join(out.split())
    assert recorded["left_on_broker"] == []
    assert declared(broker) == before
    (stored,) = runs.read(str(tmp_path / "r"), "RUN").runs
    without = dataclasses.replace(stored, run=dataclasses.replace(stored.run, options={}))
    differing = {each.what for each in conditions.differences([stored], [without])}
    assert differing == {f"[{GROUP}] {name}" for name in options}


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_tls_is_set_as_any_option_is(run, tmp_path, executor):
    with embedded_broker(tls=True) as broker:
        status, _, err = run(
            "run", "--transport-url", broker.url, "-m", MESSAGES, "-w", 6, "--executor", executor,
            "--output", "r", "--set", "ssl=true", "--set", f"ssl_ca_file={broker.ca_file}",
            "--set", f"{GROUP}.rabbit_quorum_queue=true",
        )  # fmt: skip
        assert status == 0, err
        whole(tmp_path / "r")
        recorded = json.loads((tmp_path / "r/run.json").read_text())
        assert recorded["transport"]["tls"]
        assert recorded["settings"][f"[{GROUP}] ssl"] == {"value": True, "source": "--set"}
        assert declared(broker) == set()


def kill_in_mid_run(process, folder, node):
    """Kill a node as soon as a tenth of the load, or so, has reached the consumer."""
    while process.poll() is None and arrived_bytes(folder) < LONG * 16:
        time.sleep(0.05)
    node.kill()


def arrived_bytes(folder):
    """What was noted of arrivals so far, of which there are several for each message."""
    logs = (folder / "consumer" / name for name in ("segments.u32", "arrivals.u64"))
    return sum(log.stat().st_size for log in logs if log.exists())


@pytest.mark.parametrize(
    ("executor", "options"), [("threading", TRANSIENT_QUORUM), ("eventlet", {})]
)
def test_a_node_of_a_cluster_that_is_killed_is_told_and_every_message_accounted_for(
    start, tmp_path, executor, options
):
    with cluster() as nodes:
        process = start(
            "run", "--transport-url", nodes.url, "-m", LONG, "-w", 10, "--timeout", 20,
            "--executor", executor, "--output", "r", *set_to(options),
        )  # fmt: skip
        arguments = (process, tmp_path / "r", nodes.nodes[0])
        killer = threading.Thread(target=kill_in_mid_run, args=arguments, daemon=True)
        killer.start()
        out, err = process.communicate(timeout=150)
        killer.join()
    result = result_of(tmp_path / "r")
    messages = result["messages"]
    assert messages["requested"] == messages["sent"] == LONG
    accounted = messages["replied"] + sum(messages["errors"].values())
    assert accounted == LONG, (messages, err)
    (lost,) = [each for each in result["outages"] if each["ended"]]
    assert lost["node"] == nodes.nodes[0].address
    assert lost["still_ns"] > 0
    assert lost["ended_again"]
    sides = {each["side"]: each for each in lost["sides"]}
    assert sides
    assert all(each["lost"] > 0 for each in sides.values())
    assert any(each["first_again_ns"] for each in sides.values())
    others = {each.address for each in nodes.nodes[1:]}
    assert all(set(each["nodes"]) <= others for each in sides.values())
    told = " ".join(out.split())
    assert f"the broker's node {lost['node']} ended at " in told
    assert f"to {lost['node']}, the first at" in told
    assert "CPU of the broker's 3 nodes: " in told
    assert f"node {lost['node']} of the broker lost" in (tmp_path / "r/report.html").read_text()
    recorded = json.loads((tmp_path / "r/run.json").read_text())
    ended = {each["address"] for each in recorded["broker_nodes"] if each["ended_ns"]}
    assert ended == {lost["node"]}
    assert len(recorded["broker_nodes"]) == 3
    assert recorded["left_on_broker"] == []
