"""Whose time the last seconds were: from hand-made rows of stamps."""

import array

import pytest

from omrig.accounting import recent as live
from omrig.model.patterns import PATTERNS
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS
from omrig.watcher import layout

# 100 in the driver of either side, 300 in the endpoint, 250 there and 150 back.
SENT = {
    "call": 1000, "send": 1000, "depart": 1100, "confirm": 1200, "wait": 1300,
    "connection": 1, "offset": 50, "read": 1900, "put": 1900, "woke": 1900, "return": 1900,
}  # fmt: skip
SERVED = {
    "connection": 1, "offset": 70, "read": 1350, "submit": 1350, "start": 1350, "endpoint": 1350,
    "endpoint_end": 1650, "reply": 1650, "depart": 1750,
}  # fmt: skip


def row(names, stamps, message=7):
    return [message if name == "id" else stamps.get(name, 0) for name in names]


@pytest.fixture
def clock(monkeypatch):
    """The time as a list of one element."""
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    return now


def fill(recent, sent=SENT, served=SERVED, messages=(7,)):
    for message in messages:
        recent.add("producer", [row(PRODUCER_COLUMNS, sent, message)])
        recent.add("consumer", [row(CONSUMER_COLUMNS, served, message)])


def log(folder, bytes_received, t_ns):
    """What the watcher of a side writes of one arrival on connection 1."""
    folder.mkdir()
    with (folder / layout.ARRIVALS).open("wb") as file:
        array.array("Q", [1, t_ns, bytes_received]).tofile(file)


def test_both_sides_make_one_account(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ("producer", "consumer"))
    fill(recent)
    clock[0] += live.SETTLED_S
    owners = recent.owners()
    assert owners == pytest.approx(
        {"amqp": 400 / 900, "driver": 200 / 900, "endpoint": 300 / 900, "process": 0}, abs=6e-4
    )


def test_what_lay_unread_is_not_the_wire(tmp_path, clock):
    log(tmp_path / "consumer", 70, 1150)
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ("producer", "consumer"))
    fill(recent)
    clock[0] += live.SETTLED_S
    owners = recent.owners()
    assert owners["process"] == pytest.approx(200 / 900, abs=6e-4)
    assert owners["amqp"] == pytest.approx(200 / 900, abs=6e-4)


def test_arrivals_are_waited_for_and_the_past_is_forgotten(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ("producer", "consumer"))
    fill(recent)
    assert recent.owners() is None
    clock[0] += live.SETTLED_S
    assert recent.owners()
    # Not at every turn.
    assert recent.owners() is None
    clock[0] += live.WINDOW_S
    assert recent.owners() is None


def test_messages_that_one_side_has_not_shown_do_not_count(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ("producer", "consumer"))
    fill(recent, messages=(7, 8))
    recent.add("producer", [row(PRODUCER_COLUMNS, SENT | {"depart": 1899, "read": 1900}, 9)])
    clock[0] += live.SETTLED_S
    assert recent.owners()["endpoint"] == pytest.approx(300 / 900, abs=6e-4)


def test_one_side_alone_says_what_it_cannot_see(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ("producer",))
    fill(recent)
    clock[0] += live.SETTLED_S
    assert recent.owners()["remote"] == pytest.approx(800 / 900, abs=6e-4)


def test_a_cast_ends_in_the_endpoint(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["cast"],), ("producer", "consumer"))
    served = {name: stamp for name, stamp in SERVED.items() if name not in ("reply", "depart")}
    served |= {"reply": served["endpoint_end"]}
    fill(recent, SENT | {"confirm": 0, "woke": 0, "return": 1100}, served)
    # A call that waits for the consumer has a reply, and is none of the load.
    recent.add("consumer", [row(CONSUMER_COLUMNS, SERVED, 8)])
    clock[0] += live.SETTLED_S
    assert recent.owners()["endpoint"] == pytest.approx(300 / 650, abs=6e-4)


def test_where_nothing_is_on_a_wire_nothing_is_accounted(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ())
    fill(recent)
    clock[0] += live.SETTLED_S
    assert recent.owners() is None


def test_members_of_a_side_make_one_account(tmp_path, clock):
    names = ("producer-1", "producer-2", "consumer-1", "consumer-2")
    recent = live.Recent(tmp_path, (PATTERNS["call"],), names)
    for message, producer, consumer in (
        (7, "producer-1", "consumer-2"),
        (8, "producer-2", "consumer-1"),
    ):
        recent.add(producer, [row(PRODUCER_COLUMNS, SENT, message)])
        recent.add(consumer, [row(CONSUMER_COLUMNS, SERVED, message)])
    clock[0] += live.SETTLED_S
    owners = recent.owners()
    assert owners == pytest.approx(
        {"amqp": 400 / 900, "driver": 200 / 900, "endpoint": 300 / 900, "process": 0}, abs=6e-4
    )


def test_a_member_that_has_shown_nothing_yet_holds_nobody_up(tmp_path, clock):
    recent = live.Recent(tmp_path, (PATTERNS["call"],), ("producer", "consumer-1", "consumer-2"))
    recent.add("producer", [row(PRODUCER_COLUMNS, SENT)])
    clock[0] += live.SETTLED_S
    assert recent.owners() is None
    recent.add("producer", [row(PRODUCER_COLUMNS, SENT)])
    recent.add("consumer-2", [row(CONSUMER_COLUMNS, SERVED)])
    clock[0] += 2 * live.INTERVAL_S
    assert recent.owners()["endpoint"] == pytest.approx(300 / 900, abs=6e-4)
