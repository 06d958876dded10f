"""When all begin: clocks by exchanges, and how long before it is told."""

from omrig.fleet import starting
from omrig.fleet.starting import Exchanges, Offset


def test_the_fastest_exchange_says_the_offset():
    exchanges = Exchanges()
    for number, (sent, host, came) in enumerate([(100, 5_090, 200), (300, 5_340, 340)]):
        exchanges.asked(number, sent)
        exchanges.answered(number, host, came)
    # The middle of 300 and 340 is 320.
    assert exchanges.fastest() == Offset(5_020, 40)
    assert exchanges.slowest_ns() == 100


def test_only_what_was_asked_counts_and_only_once():
    exchanges = Exchanges()
    assert exchanges.fastest() is None
    assert exchanges.slowest_ns() == 0
    exchanges.answered(7, 5, 10)
    exchanges.asked(1, 0)
    exchanges.answered(1, 5, 10)
    exchanges.answered(1, 500, 1000)
    assert len(exchanges) == 1
    assert exchanges.fastest() == Offset(0, 10)


def test_clocks_drift_so_that_old_exchanges_are_forgotten():
    exchanges = Exchanges()
    for number in range(starting.EXCHANGES + 1):
        took = 10 if number == 0 else 50
        exchanges.asked(number, 0)
        exchanges.answered(number, number, took)
    assert exchanges.fastest().round_trip_ns == 50


def test_a_host_that_answers_no_more_fills_no_memory():
    exchanges = Exchanges()
    for number in range(1000):
        exchanges.asked(number, number)
    exchanges.answered(0, 1, 2)
    assert len(exchanges) == 0
    exchanges.answered(999, 1000, 1001)
    assert len(exchanges) == 1


def test_the_slowest_host_has_time_to_hear_it():
    assert starting.ahead_s([]) == 0.5
    assert starting.ahead_s([1_000_000, 40_000_000]) == 0.9
