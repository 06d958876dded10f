"""Whose turn it is in a ping: no more calls than asked, none to a server that has not replied."""

import threading
import time

import oslo_messaging

from omrig.measured.load.side import Stop
from omrig.measured.pinging import calls
from omrig.measured.pinging.turns import Turns
from omrig.model.units import NS


class Clock:
    def __init__(self) -> None:
        self.now = 1_000 * NS

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += int(seconds * NS)


def test_servers_have_their_turn_one_after_the_other() -> None:
    clock = Clock()
    turns = Turns(3, rate=1, lasts_s=100, stop=Stop(), clock=clock)
    seen = []
    for _ in range(7):
        server = turns.take()
        seen.append(server)
        turns.done(server, again=True)
        clock.pass_s(1)
    assert seen == [0, 1, 2, 0, 1, 2, 0]


def test_a_turn_is_waited_for() -> None:
    turns = Turns(1, rate=20, lasts_s=10, stop=Stop())
    began = time.monotonic()
    for _ in range(5):
        turns.done(turns.take(), again=True)
    assert time.monotonic() - began >= 4 / 20


def test_calls_that_were_held_up_are_not_made_up_for() -> None:
    clock = Clock()
    turns = Turns(1, rate=10, lasts_s=100, stop=Stop(), clock=clock)
    turns.take()
    clock.pass_s(5)
    turns.done(0, again=True)
    assert turns.take() == 0
    turns.done(0, again=True)
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(turns.take()), daemon=True)
    waiting.start()
    waiting.join(0.6)
    assert taken == []
    clock.pass_s(0.1)
    waiting.join(2)
    assert taken == [0]


def test_a_server_that_has_not_replied_is_passed_over() -> None:
    clock = Clock()
    turns = Turns(2, rate=1, lasts_s=100, stop=Stop(), clock=clock)
    assert turns.take() == 0
    seen = []
    for _ in range(3):
        clock.pass_s(1)
        seen.append(turns.take())
        turns.done(seen[-1], again=True)
    assert seen == [1, 1, 1]


def test_there_are_no_turns_after_the_time_nor_without_servers_nor_when_stopped() -> None:
    clock, stop = Clock(), Stop()
    turns = Turns(2, rate=1, lasts_s=2, stop=stop, clock=clock)
    turns.done(turns.take(), again=False)
    clock.pass_s(1)
    turns.done(turns.take(), again=False)
    assert turns.take() is None
    turns = Turns(1, rate=1, lasts_s=2, stop=stop, clock=clock)
    turns.done(turns.take(), again=True)
    clock.pass_s(2)
    assert turns.take() is None
    turns = Turns(1, rate=1, lasts_s=2, stop=stop, clock=clock)
    stop.request()
    assert turns.take() is None


class MadeAgain_Remote(Exception):
    pass


def test_what_became_of_a_call_is_told_apart() -> None:
    found = [
        calls.outcome_of(error)
        for error in (
            oslo_messaging.MessagingTimeout("nobody"),
            oslo_messaging.MessageUndeliverable("no", "route", "key", "message"),
            oslo_messaging.RemoteError("UnsupportedVersion", "1.0", []),
            oslo_messaging.RemoteError("NoSuchMethod", "ping", []),
            oslo_messaging.RemoteError("DBError", "gone", []),
            MadeAgain_Remote("is made of a reply"),
            RuntimeError("no database\nTraceback (most recent call last):\n ..."),
            ConnectionError("no broker"),
            oslo_messaging.MessageDeliveryFailure("the broker is gone"),
        )
    ]
    assert found == [
        ("silent", ""), ("unrouted", ""), ("refused", "UnsupportedVersion"),
        ("refused", "NoSuchMethod"), ("error", "DBError"), ("error", "MadeAgain"),
        ("error", "RuntimeError"), ("failed", "ConnectionError"),
        ("failed", "MessageDeliveryFailure"),
    ]  # fmt: skip
