"""What Kafka's client reports of what it was given, and what it says of itself."""

import json
import types

import pytest

from omrig.measured.load import deadline
from omrig.measured.load.delivery import WINDOW_MS, Deliveries, assigned
from omrig.measured.load.side import Stop
from omrig.model.delivery import Delivery

confluent_kafka = pytest.importorskip("confluent_kafka")


def _statistics(count, total, p99, most):
    latency = {"cnt": count, "sum": total, "p99": p99, "max": most}
    silent = {"cnt": 0, "sum": 0, "p99": 0, "max": 0}
    brokers = {
        "one": {"int_latency": latency, "outbuf_latency": silent, "rtt": latency},
        "bootstrap": {"int_latency": silent, "outbuf_latency": silent, "rtt": silent},
    }
    return json.dumps({"brokers": brokers})


class Producer:
    """Reports on a message when it is polled."""

    def __init__(self, conf):
        self.conf = conf
        self.waiting = []

    def __len__(self):
        return len(self.waiting)

    def poll(self, _timeout):
        error, seconds = self.waiting.pop(0)
        self.conf["on_delivery"](error, types.SimpleNamespace(latency=lambda: seconds))


@pytest.fixture
def watched(monkeypatch):
    """Deliveries, and a producer that was made as the driver makes it."""
    monkeypatch.setattr(confluent_kafka, "Producer", Producer)
    deliveries = Deliveries()
    deliveries.watch()
    return deliveries, confluent_kafka.Producer({"linger.ms": 5})


def test_the_client_is_made_with_what_the_driver_says_and_reports(watched):
    deliveries, producer = watched
    assert producer.conf["linger.ms"] == 5
    assert producer.conf["statistics.interval.ms"] == WINDOW_MS
    failed = types.SimpleNamespace(name=lambda: "_MSG_TIMED_OUT")
    producer.waiting += [(None, 0.001), (None, 0.003), (failed, 9.0), (None, 0.002)]
    deliveries.settle(Stop(), 10.0)
    found = deliveries.result()
    assert (found.delivered, found.failed, found.reported) == (3, {"_MSG_TIMED_OUT": 1}, 4)
    assert (found.mean_ns, found.p50_ns, found.p99_ns, found.max_ns) == (
        2_000_000, 2_000_000, 3_000_000, 3_000_000,
    )  # fmt: skip
    assert Delivery.from_json(found.to_json()) == found


def test_what_was_before_the_load_is_forgotten(watched):
    deliveries, producer = watched
    producer.waiting.append((None, 0.001))
    producer.conf["stats_cb"](_statistics(1, 1, 1, 1))
    deliveries.settle(Stop(), 10.0)
    deliveries.begin()
    assert deliveries.result() == Delivery(delivered=0)


def test_windows_are_averaged_by_what_was_counted_in_them(watched):
    deliveries, producer = watched
    producer.conf["stats_cb"](_statistics(1, 100, 100, 100))
    producer.conf["stats_cb"](_statistics(3, 900, 400, 450))
    found = deliveries.result()
    assert found.statistics == 2
    assert set(found.windows) == {"client_queue", "round_trip"}
    queue = found.windows["client_queue"]
    assert (queue.count, queue.mean_ns, queue.p99_ns, queue.max_ns) == (
        4, 250_000, 400_000, 450_000,
    )  # fmt: skip


@pytest.mark.parametrize("stopped", [True, False])
def test_nobody_waits_for_reports_for_ever(watched, stopped):
    deliveries, producer = watched
    producer.waiting.append((None, 0.001))
    stop = Stop()
    if stopped:
        stop.request()
    deliveries.settle(stop, 10.0 if stopped else 0.0)
    assert len(producer) == 1


def _listener(**assignment):
    connection = types.SimpleNamespace(assignment_dict=assignment)
    adapter = types.SimpleNamespace(_poll_style_listener=types.SimpleNamespace(conn=connection))
    return types.SimpleNamespace(listener=adapter)


def test_a_listener_waits_until_it_has_a_part_of_the_topic():
    assigned(_listener(topic=1), 0.0)
    with pytest.raises(deadline.Late, match="gave the consumer no part of its topic within 0 s"):
        assigned(_listener(), 0.0)
