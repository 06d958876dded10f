"""Faults of known size land on the stage they belong to: the campaign of tools/fault_table.py."""

import numpy
import pytest

from omrig.model.units import MS
from tests.accuracy import faults
from tests.accuracy.bench import EXECUTORS

MICROSECOND = 1_000
HELD_NS = 100 * MS

ATTEMPTS = 5

SLOW_MS = 4.0
"""By how much a serialiser is slowed.

What runs after it does so with cold caches, which costs 40 to 140 us however long it lasted: less
than the 5 % that no other stage may grow by, but more than 5 % of 2 ms.
"""

both = pytest.mark.parametrize("executor", EXECUTORS)


def settled(inject, *arguments, check):
    """Inject a fault until it lands as ``check`` asks, at most five times.

    Time that a neighbour took from one of the processes is in that process' stage, and rightly so;
    it comes and goes. Time that omrig misplaces is misplaced every time.
    """
    for _ in range(ATTEMPTS - 1):
        found = inject(*arguments)
        try:
            check(found)
        except AssertionError:
            continue
        return found
    found = inject(*arguments)
    check(found)
    return found


def assert_books_close(found, least=0.95):
    """Nothing negative, nothing guessed, and (nearly) every message adds up, ``least`` of them."""
    closure = found.run.result["closure"]
    assert closure["matched"] == closure["messages"] == len(found.run.seq)
    assert closure["negative_stages"] == 0
    assert closure["flagged_arrivals"] == 0
    assert closure["unexplained_share"] < 0.02
    # The rest was interrupted between the load's clock and the first stamp, or after the last.
    assert closure["within_tolerance"] >= least * closure["messages"]


def assert_lands(found, least=0.95):
    """The stages grow by what was injected, within max(50 us, 2 %), no other by 5 % of it."""
    assert_books_close(found, least)
    for name, size in found.injected.items():
        assert found.growth[name] == pytest.approx(size, rel=0.02, abs=50 * MICROSECOND), name
    # What was not injected can be nowhere.
    assert found.size > MS
    size = min(found.injected.values())
    elsewhere = {
        name: growth
        for name, growth in found.growth.items()
        if name not in found.injected and growth > 0.05 * size
    }
    assert not elsewhere


@both
def test_a_longer_link_is_amqp(bench, executor):
    found = settled(faults.link, bench, executor, check=assert_lands)
    verdict = found.run.result["verdict"]
    assert verdict["owner"] == "amqp"
    assert verdict["stage"] in found.injected
    # The publisher confirm comes as late as the reply, and before it: it is not counted twice.
    assert found.growth["confirm_wait"] < MS


@both
def test_a_slow_serializer_is_the_driver(bench, executor):
    found = settled(faults.serialize, bench, executor, SLOW_MS, check=assert_lands)
    verdict = found.run.result["verdict"]
    assert (verdict["owner"], verdict["stage"]) == ("driver", "serialize")
    # What a thread sleeps in there (injection.SETTLE_S) is not taken out of what is around it.
    assert numpy.median(found.run.stages["publish"]) > 0


@both
def test_a_slow_serializer_of_replies_is_not_amqp(bench, executor):
    found = settled(faults.reply_serialize, bench, executor, SLOW_MS, check=assert_lands)
    verdict = found.run.result["verdict"]
    assert (verdict["owner"], verdict["stage"]) == ("driver", "reply_serialize")
    assert numpy.median(found.run.stages["reply_publish"]) > 0


@both
def test_a_slow_endpoint_is_the_endpoint(bench, executor):
    found = settled(faults.endpoint, bench, executor, check=assert_lands)
    verdict = found.run.result["verdict"]
    assert (verdict["owner"], verdict["stage"]) == ("endpoint", "endpoint")


# A cast does not wait for its endpoint: in an open loop each is alone, and the next one does not
# wait behind it.
ALONE = ("--rate", "40")


def assert_lands_alone(found):
    """As :func:`assert_lands`: processes that sleep between messages are interrupted more often."""
    assert_lands(found, least=0.9)


without_replies = pytest.mark.parametrize(
    ("pattern", "executor"),
    [("cast", "eventlet"), ("fanout", "threading"), ("notify", "eventlet")],
)


@without_replies
def test_a_slow_endpoint_is_the_endpoint_where_nobody_replies_too(bench, pattern, executor):
    load = ("--pattern", pattern, *ALONE)
    found = settled(faults.endpoint, bench, executor, 5.0, load, check=assert_lands_alone)
    assert found.run.result["verdict"]["stage"] == "endpoint"


@without_replies
def test_a_slow_serializer_is_the_driver_where_nobody_replies_too(bench, pattern, executor):
    load = ("--pattern", pattern, *ALONE)
    found = settled(faults.serialize, bench, executor, SLOW_MS, load, check=assert_lands_alone)
    assert found.named == "serialize"


def assert_is_busy(found):
    """The added time is the process': the scheduler's, and the executor's, which has threads."""
    assert_books_close(found)
    # It has to be felt before it can be misplaced.
    assert found.size > MS
    assert found.named in found.injected
    busy = found.growth_of("scheduler", "executor")
    # A greenlet is held up where it yields, and there stamps are. A thread loses the interpreter
    # wherever it releases the lock (a random number, a socket option), also in the middle of the
    # driver's code; what it waited there is known by its CPU clock, and less exactly.
    assert busy >= (0.9 if found.executor == "eventlet" else 0.85) * found.size
    assert abs(found.growth_of("amqp", "backpressure", "confirm")) <= 0.1 * found.size


@both
@pytest.mark.parametrize("hog", [faults.consumer_hog, faults.producer_hog])
def test_a_hog_is_our_own_process(bench, executor, hog):
    found = settled(hog, bench, executor, check=assert_is_busy)
    assert found.run.result["verdict"]["owner"] == "process"


def test_a_small_pool_is_the_pool(bench):
    found = faults.pool(bench, "eventlet")
    assert found.named == "pool_wait"
    assert found.growth_of("pool") > 0.9 * found.size
    verdict = found.run.result["verdict"]
    assert (verdict["owner"], verdict["stage"]) == ("driver", "pool_wait")
    assert "rpc_conn_pool_size 2" in verdict["text"]
    assert found.run.result["closure"]["negative_stages"] == 0


def assert_is_amqp(found):
    """What was added is AMQP's, as much as was injected, and next to nothing is elsewhere."""
    assert_books_close(found)
    amqp = found.growth_of("amqp", "backpressure", "confirm")
    assert amqp == pytest.approx(found.size, rel=0.05)
    assert found.share > 0.95


def test_a_stopped_broker_is_amqp(bench):
    settled(faults.stopped, bench, "threading", check=assert_is_amqp)


def test_a_broker_short_of_memory_is_amqp_and_said_so(bench):
    found = settled(faults.alarm, bench, "eventlet", check=assert_is_amqp)
    verdict = found.run.result["verdict"]
    assert "blocked by the broker" in verdict["text"]
    assert any("blocked by the broker" in line for line in verdict["evidence"])


def test_messages_of_many_frames(bench):
    settled(faults.large, bench, "threading", check=assert_lands)


def test_a_longer_link_with_tls(tls_bench):
    found = settled(faults.tls_link, tls_bench, "eventlet", check=assert_lands)
    assert found.run.result["verdict"]["owner"] == "amqp"


def test_a_slow_serializer_with_tls(tls_bench):
    settled(faults.tls_serialize, tls_bench, "threading", check=assert_lands)


def test_a_lost_connection_costs_few_messages_their_publishing(bench):
    found = faults.reconnect(bench, "eventlet")
    closure, messages = found.run.result["closure"], found.run.result["messages"]
    assert closure["negative_stages"] == 0
    assert closure["matched"] >= 0.99 * closure["messages"]
    assert messages["replied"] == messages["requested"]
    # The driver sleeps a second before it connects again.
    assert found.size > 500 * MS
    assert 1 <= found.run.held(HELD_NS) <= 4
    assert found.share > 0.9
