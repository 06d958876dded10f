"""Kafka's client as it is measured: what it delivered, and what it says of itself.

librdkafka sends in threads of its own after the notifier has returned, and the driver asks for no
report of it. So the classes of its client get callbacks, for reports and statistics, as they are
made; the driver calls them itself, in whichever thread it polls.
"""

import dataclasses
import functools
import importlib
import json
import time
from collections import Counter
from typing import Any

from omrig.measured.load import deadline
from omrig.measured.load.side import Stop
from omrig.model.delivery import CLIENT_QUEUE, ROUND_TRIP, SENDING, Delivery, Window
from omrig.model.units import NS

WINDOW_MS = 1_000
"""How often the library makes its statistics."""

_US = 1_000

_LATENCIES = {CLIENT_QUEUE: "int_latency", SENDING: "outbuf_latency", ROUND_TRIP: "rtt"}
"""What the library calls them."""

_LOOK_S = 0.005


class Deliveries:
    """What a producer's client reports, from the last :meth:`begin` on."""

    def __init__(self) -> None:
        self._producers: list[Any] = []
        self._latencies_s: list[float] = []
        self._failed: list[str] = []
        self._statistics: list[str] = []

    def watch(self) -> None:
        """Have the clients that are made from now on report here."""
        confluent_kafka: Any = importlib.import_module("confluent_kafka")
        make = confluent_kafka.Producer
        more = {
            "on_delivery": self._reported,
            "stats_cb": self._statistics.append,
            "statistics.interval.ms": WINDOW_MS,
        }

        @functools.wraps(make)
        def made(conf: dict[str, Any]) -> Any:
            producer = make({**conf, **more})
            self._producers.append(producer)
            return producer

        confluent_kafka.Producer = made

    def begin(self) -> None:
        """Forget what was reported until now: it was no part of the load."""
        for each in (self._latencies_s, self._failed, self._statistics):
            each.clear()

    def settle(self, stop: Stop, patience_s: float) -> None:
        """Wait until the library has reported on all that it was given."""
        end = time.monotonic() + patience_s
        for producer in self._producers:
            while len(producer) and not stop.requested and time.monotonic() < end:
                producer.poll(0)
                time.sleep(_LOOK_S)

    def result(self) -> Delivery:
        """What was reported."""
        latencies = sorted(self._latencies_s)
        count = len(latencies)
        windows = [json.loads(text) for text in self._statistics]
        found = Delivery(
            delivered=count,
            failed=dict(Counter(self._failed)),
            statistics=len(windows),
            windows={
                name: window
                for name, key in _LATENCIES.items()
                if (window := _window(windows, key)) is not None
            },
        )
        if not count:
            return found
        return dataclasses.replace(
            found,
            mean_ns=round(sum(latencies) / count * NS),
            p50_ns=round(latencies[(count - 1) // 2] * NS),
            p99_ns=round(latencies[min(count - 1, count * 99 // 100)] * NS),
            max_ns=round(latencies[-1] * NS),
        )

    def _reported(self, error: Any, message: Any) -> None:
        if error is None:
            self._latencies_s.append(message.latency())
        else:
            self._failed.append(error.name())


def assigned(server: Any, patience_s: float) -> None:
    """Wait until a started listener has its part of the topic: what is sent before is not for it.

    Raises :class:`omrig.measured.load.deadline.Late` when it does not get one in time.
    """
    connection = server.listener._poll_style_listener.conn
    end = time.monotonic() + patience_s
    while not connection.assignment_dict:
        if time.monotonic() > end:
            raise deadline.late(
                "the Kafka cluster gave the consumer no part of its topic", patience_s
            )
        time.sleep(_LOOK_S)


def _window(statistics: list[Any], key: str) -> Window | None:
    """What all windows say of one thing, of all brokers."""
    found = [
        broker[key]
        for each in statistics
        for broker in each["brokers"].values()
        if broker.get(key, {}).get("cnt")
    ]
    count = sum(each["cnt"] for each in found)
    if not count:
        return None
    return Window(
        count=count,
        mean_ns=sum(each["sum"] for each in found) * _US // count,
        p99_ns=max(each["p99"] for each in found) * _US,
        max_ns=max(each["max"] for each in found) * _US,
    )
