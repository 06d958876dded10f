"""A record for any message: what is sent and served by oslo.messaging over queues in memory."""

import collections
import contextlib
import os
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import oslo_messaging
import pytest
from oslo_config import cfg

from omrig.drivers import maps
from omrig.measured.probes import install, kinds, messages
from omrig.measured.probes.state import State
from omrig.model import stamps as at
from tests.unit.measured.stamping import IMPLEMENTATIONS, NoWatcher

pytestmark = pytest.mark.usefixtures("module")
"""Each with both implementations of the stamps."""

REQUEST = "req-0123abcd-0123-4567-89ab-0123456789ab"
CONTEXT = {"request_id": REQUEST}
NUMBER = 0x0123ABCD0123456


class Seen:
    """The rows of both sides, with kinds and outcomes by what they stand for."""

    def __init__(self):
        self.state = State(NoWatcher(), 1, native=True, enlarge=False)
        self.told = []
        self.state.kinds = kinds.Kinds(self.told.append)

    def rows(self, side):
        columns = at.COLUMNS[side]
        found = self.state.rows()[side]
        names = {each["number"]: each for each in self.told if "number" in each}
        outcomes = {each["outcome"]: each["name"] for each in self.told if "outcome" in each}
        for begin in range(0, len(found), len(columns)):
            row = dict(zip(columns, found[begin : begin + len(columns)], strict=True))
            kind = {**names[row["kind"]]}
            assert kind.pop("number") == row["kind"]
            row["kind"] = tuple(kind.values())
            row["outcome"] = outcomes.get(row["outcome"], row["outcome"])
            yield row

    def wait(self, side, count):
        """So many rows, in the order in which they ended; what failed is told."""
        deadline = time.monotonic() + 10
        while len(found := list(self.rows(side))) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not self.state.stamps.broken, self.state.stamps.failure
        assert self.state.failures == []
        assert len(found) == count
        return found


@pytest.fixture
def seen():
    """All of oslo.messaging with stamps in it."""
    seen = Seen()
    sites, missing = maps.resolve(maps.for_scheme("rabbit"))
    assert missing == []
    with install.stamping(seen.state, sites):
        seen.state.stamps.on = True
        yield seen


@pytest.fixture
def conf():
    cfg.CONF([], project="omrig")
    return cfg.CONF


class Endpoint:
    """Calls and casts from within a call; raises, waits."""

    def __init__(self, client, released):
        self.client = client
        self.released = released

    def outer(self, context):
        self.client.cast(context, "nothing", value=1)
        return self.client.call(context, "inner")

    def inner(self, _context):
        return 3

    def nothing(self, _context, value):
        pass

    def fails(self, _context):
        raise LookupError("on purpose")

    @oslo_messaging.expected_exceptions(ValueError)
    def refuses(self, _context):
        raise ValueError("expected")

    def waits(self, _context):
        assert self.released.wait(20)


@pytest.fixture
def rpc(conf, seen):
    """A client, and what lets an endpoint go on that waits."""
    transport = oslo_messaging.get_rpc_transport(conf, "kombu+memory://")
    target = oslo_messaging.Target(topic="topic", server="server", namespace="space")
    client = oslo_messaging.get_rpc_client(
        transport, oslo_messaging.Target(topic="topic", namespace="space", exchange="mine")
    )
    endpoint = Endpoint(client, threading.Event())
    endpoint.target = oslo_messaging.Target(namespace="space")
    served = oslo_messaging.Target(topic="topic", server="server", exchange="mine")
    server = oslo_messaging.get_rpc_server(transport, served, [endpoint], executor="threading")
    server.start()
    yield types.SimpleNamespace(client=client, endpoint=endpoint, target=target)
    endpoint.released.set()
    server.stop()
    server.wait()
    transport.cleanup()


def _sent(pattern, method):
    return (pattern, "mine", "topic", "space", method)


def _column(found, *names):
    return [tuple(row[name] for name in names) for row in found]


def test_what_an_endpoint_sends_is_the_child_of_the_message_it_serves(rpc, seen):
    assert rpc.client.call(CONTEXT, "outer") == 3
    cast, inner, outer = seen.wait("producer", 3)
    assert _column([cast, inner, outer], "kind", "outcome", "request", "seq") == [
        (_sent(pattern, method), at.ENDED_WELL, NUMBER, 0)
        for pattern, method in (("cast", "nothing"), ("call", "inner"), ("call", "outer"))
    ]
    assert outer["parent"] == 0
    assert cast["parent"] == inner["parent"] == outer["id"]
    served = {row["id"]: row for row in seen.wait("consumer", 3)}
    for row in (cast, inner, outer):
        other = served[row["id"]]
        assert other["kind"] == ("served", *row["kind"][1:])
        assert (other["outcome"], other["request"]) == (at.ENDED_WELL, NUMBER)
    assert 0 < outer["call"] <= outer["send"] <= outer["wait"] <= outer["return"]
    assert served[outer["id"]]["endpoint"] <= inner["call"] <= inner["return"]
    assert inner["return"] <= served[outer["id"]]["endpoint_end"]


def test_the_reply_queue_s_connection_is_told_from_the_pool_s(rpc, seen):
    rpc.client.cast(CONTEXT, "nothing", value=1)
    rpc.client.call(CONTEXT, "inner")
    rpc.client.call(CONTEXT, "inner")
    cast, first, second = seen.wait("producer", 3)
    assert cast["connect"] > 0 and cast["connect_early"] == 0
    assert first["connect"] == 0 and first["connect_early"] > 0
    assert second["connect"] == second["connect_early"] == 0
    assert first["send"] + first["connect_early"] <= first["pool_begin"]
    assert cast["connect"] <= cast["pool_end"] - cast["pool_begin"]


def test_a_fanout_has_its_own_kind(rpc, seen):
    rpc.client.prepare(fanout=True).cast({}, "nothing", value=1)
    (row,) = seen.wait("producer", 1)
    assert (row["kind"], row["outcome"]) == (_sent("fanout", "nothing"), at.ENDED_WELL)
    assert row["request"] == 0


@pytest.mark.parametrize(
    ("method", "raised", "of_the_endpoint"),
    [
        ("fails", "LookupError", "LookupError"),
        ("refuses", "ValueError", "ValueError"),
        # No endpoint was entered.
        ("missing", "RemoteError", 0),
    ],
)
def test_what_was_raised_is_told_on_both_sides(rpc, seen, method, raised, of_the_endpoint):
    with pytest.raises(Exception) as caught:
        rpc.client.call(CONTEXT, method)
    assert type(caught.value).__name__ == raised
    (sent,) = seen.wait("producer", 1)
    (served,) = seen.wait("consumer", 1)
    assert (sent["outcome"], served["outcome"]) == (raised, of_the_endpoint)
    assert sent["id"] == served["id"]
    assert sent["return"] > sent["put"] > 0


def test_a_call_that_is_not_answered_ends_with_what_it_raises(rpc, seen):
    with pytest.raises(oslo_messaging.MessagingTimeout):
        rpc.client.prepare(timeout=0.2).call(CONTEXT, "waits")
    (sent,) = seen.wait("producer", 1)
    assert (sent["outcome"], sent["put"]) == ("MessagingTimeout", 0)
    assert seen.state.stamps.in_flight == {}
    rpc.endpoint.released.set()
    (served,) = seen.wait("consumer", 1)
    assert served["outcome"] == at.ENDED_WELL


def test_what_was_never_sent_leaves_no_row(rpc, seen):
    with pytest.raises(oslo_messaging.InvalidTarget):
        rpc.client.prepare(fanout=True).call(CONTEXT, "inner")
    assert list(seen.rows("producer")) == []
    assert seen.state.stamps.current() is None
    assert not seen.state.stamps.broken


def test_a_call_that_waits_when_the_instrument_is_taken_out_ends_well(conf):
    seen = Seen()
    sites, _ = maps.resolve(maps.for_scheme("rabbit"))
    transport = oslo_messaging.get_rpc_transport(conf, "kombu+memory://")
    target = oslo_messaging.Target(topic="topic", server="server")
    endpoint = Endpoint(None, threading.Event())
    server = oslo_messaging.get_rpc_server(transport, target, [endpoint], executor="threading")
    server.start()
    client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="topic"))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(client.call(CONTEXT, "waits")))
    made = install.prepared(seen.state, sites)
    for each in made:
        each.put_in()
    seen.state.stamps.on = True
    caller.start()
    deadline = time.monotonic() + 10
    while not seen.state.stamps.in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    ((message_id, record),) = seen.state.stamps.in_flight.items()
    assert record[at.ID] == message_id and record[at.CALL] > 0 and record[at.KIND] > 0
    seen.state.stamps.on = False
    for each in made:
        each.take_out()
    seen.state.stamps.tables(None, None)
    endpoint.released.set()
    caller.join()
    assert answers == [None]
    assert seen.state.stamps.in_flight == {}
    assert list(seen.rows("producer")) == []
    assert client.call(CONTEXT, "inner") == 3
    server.stop()
    server.wait()
    transport.cleanup()
    assert not seen.state.stamps.broken, seen.state.stamps.failure


class Listener:
    """Takes notifications, and fails at some."""

    def info(self, _context, _publisher, event, _payload, _metadata):
        if event == "fails":
            raise KeyError(event)


class BatchListener:
    """Takes several notifications at once."""

    def info(self, notifications):
        pass


class Context(dict):
    """What a notifier takes for a context that may be sent."""

    def redacted_copy(self):
        return self


@contextlib.contextmanager
def _listening(conf, batch):
    transport = oslo_messaging.get_notification_transport(conf, "kombu+memory://")
    targets = [oslo_messaging.Target(topic=topic) for topic in ("events", "others")]
    more = {"batch_size": 3, "batch_timeout": 5} if batch else {}
    name = "get_batch_notification_listener" if batch else "get_notification_listener"
    endpoints = [BatchListener() if batch else Listener()]
    listener = getattr(oslo_messaging, name)(
        transport, targets, endpoints, executor="threading", **more
    )
    listener.start()
    yield transport
    listener.stop()
    listener.wait()
    transport.cleanup()


@pytest.mark.parametrize("driver", ["messaging", "messagingv2"])
def test_a_notification_is_known_by_its_event_with_and_without_an_envelope(conf, seen, driver):
    with _listening(conf, batch=False) as transport:
        notifier = oslo_messaging.Notifier(transport, "me", driver=driver, topics=["events"])
        for event in ("created", "fails"):
            notifier.info(Context(CONTEXT), event, {"a": 1})
        sent = seen.wait("producer", 2)
        served = {row["id"]: row for row in seen.wait("consumer", 2)}
    for row, event, outcome in zip(sent, ("created", "fails"), (1, "KeyError"), strict=True):
        assert row["kind"] == ("notify", "openstack", "events.info", "", event)
        assert (row["outcome"], row["request"]) == (at.ENDED_WELL, NUMBER)
        other = served[row["id"]]
        assert other["kind"] == ("served", "openstack", "events.info,others.info", "", event)
        assert (other["outcome"], other["request"]) == (outcome, NUMBER)


def test_each_notification_of_a_batch_is_what_it_is(conf, seen):
    events = ["one", "two", "three"]
    with _listening(conf, batch=True) as transport:
        notifier = oslo_messaging.Notifier(transport, "me", driver="messagingv2", topics=["events"])
        for event in events:
            notifier.info(Context(CONTEXT), event, {})
        sent = {row["id"]: row["kind"][-1] for row in seen.wait("producer", 3)}
        served = seen.wait("consumer", 3)
    assert {row["id"]: row["kind"][-1] for row in served} == sent
    assert sorted(sent.values()) == sorted(events)
    assert {row["outcome"] for row in served} == {at.ENDED_WELL}
    assert len({row["endpoint"] for row in served}) == 1


# Numbers


def test_a_request_s_number_is_that_of_its_uuid_or_of_its_sha_1():
    number = messages.request_number
    assert number(CONTEXT) == NUMBER
    assert number({"request_id": REQUEST.removeprefix("req-")}) == NUMBER
    assert number(types.SimpleNamespace(request_id=REQUEST)) == NUMBER
    for nothing in (
        None,
        {},
        object(),
        {"request_id": None},
        {"request_id": ""},
        {"request_id": 7},
    ):
        assert number(nothing) == 0
    others = [number({"request_id": each}) for each in ("mine", "req-short", "x" * 40, "\ud800é")]
    assert all(0 < each < 1 << 60 for each in others) and len(set(others)) == len(others)
    # As sha1sum has it.
    assert number({"request_id": "mine"}) == 0x8034C43D15BB7EF


def test_a_kind_is_written_down_once_and_of_many_threads_each_gets_the_same():
    written, found = [], collections.defaultdict(set)
    numbers = kinds.Kinds(written.append)
    barrier = threading.Barrier(8)

    def work():
        barrier.wait()
        for method in map(str, range(300)):
            found[method].add(numbers.kind(("call", "", "topic", "", method)))
            found[method].add(-numbers.outcome(method))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    named = {each["method"]: each["number"] for each in written if "number" in each}
    outcomes = {each["name"]: each["outcome"] for each in written if "outcome" in each}
    assert len(written) == 600 and len(set(named.values())) == len(set(outcomes.values())) == 300
    assert found == {name: {named[name], -outcomes[name]} for name in named}
    assert min(named.values()) == 1 and min(outcomes.values()) == 2


def test_of_too_many_kinds_nothing_is_kept():
    written = []
    numbers = kinds.Kinds(written.append)
    for method in map(str, range(kinds.MOST + 5)):
        number = numbers.kind(("call", "", "topic", "", method))
        assert bool(number) == (int(method) < kinds.MOST)
        assert bool(numbers.outcome(method)) == (int(method) < kinds.MOST)
    assert len(written) == 2 * kinds.MOST


GREEN = """
import eventlet
eventlet.monkey_patch()
import oslo_messaging
from oslo_config import cfg
from omrig.drivers import maps
from omrig.measured.probes import install, kinds
from omrig.measured.probes.state import State
from omrig.model import stamps as at
from tests.unit.measured.stamping import NoWatcher

state = State(NoWatcher(), 1, enlarge=False)
state.kinds = kinds.Kinds(lambda told: None)
made = install.prepared(state, maps.resolve(maps.for_scheme("rabbit"))[0])
cfg.CONF([], project="omrig")
transport = oslo_messaging.get_rpc_transport(cfg.CONF, "kombu+memory://")
client = oslo_messaging.get_rpc_client(transport, oslo_messaging.Target(topic="topic"))

class Endpoint:
    def outer(self, context, number):
        eventlet.sleep(0.001 * (number % 3))
        return client.call(context, "inner", number=number)
    def inner(self, context, number):
        eventlet.sleep(0.001)
        return number

target = oslo_messaging.Target(topic="topic", server="server")
server = oslo_messaging.get_rpc_server(transport, target, [Endpoint()], executor="eventlet")
server.start()

def many(count):
    pool = eventlet.GreenPool(20)
    asked = list(range(count))
    assert list(pool.imap(lambda number: client.call({}, "outer", number=number), asked)) == asked

many(20)
for turn in range(3):
    for each in made:
        each.put_in()
    state.stamps.on = True
    many(40)
    state.stamps.on = False
    for each in made:
        each.take_out()
    many(20)
assert not state.stamps.broken, state.stamps.failure
assert state.failures == [] and state.stamps.in_flight == {}
def rows(side):
    found = zip(*[iter(state.rows()[side])] * len(at.COLUMNS[side]))
    return {row[at.ID]: row for row in found}
sent, served = rows("producer"), rows("consumer")
children = [row for row in sent.values() if row[at.PARENT]]
assert sent.keys() == served.keys() and len(sent) == 240 and len(children) == 120, len(sent)
assert len({row[at.PARENT] for row in children}) == 120
for row in children:
    parent = served[row[at.PARENT]]
    assert parent[at.ENDPOINT] <= row[at.CALL] <= row[at.RETURN] <= parent[at.ENDPOINT_END]
assert {row[at.OUTCOME] for found in (sent, served) for row in found.values()} == {at.ENDED_WELL}
server.stop()
"""


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_green_threads_keep_apart_what_each_of_them_sends_and_serves(implementation):
    environment = {**os.environ, "OMRIG_STAMP": implementation}
    done = subprocess.run(
        [sys.executable, "-Wignore", "-c", GREEN],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
