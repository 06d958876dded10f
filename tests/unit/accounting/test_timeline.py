"""Timelines of whole runs of hand-made stamps: which messages have one, and whether they add up."""

import dataclasses
from pathlib import Path

import numpy
import pytest

from omrig.accounting import closure, timeline
from omrig.model.patterns import PATTERNS
from omrig.recordings.messages import Messages
from omrig.recordings.recording import About, Recording
from omrig.recordings.stamping import Stamping
from tests.unit.accounting import stamped
from tests.unit.accounting.test_legs import REPLIED, SENT, SERVED

ROWS = 4
IDS = numpy.arange(ROWS) + 70


def rows(stamps, **others):
    """The same stamps for each of the messages."""
    given = {**stamps, **others}
    return {name: numpy.array(numpy.broadcast_to(each, ROWS)) for name, each in given.items()}


def sent(**others):
    stamps = {**SENT, **REPLIED, "json_in": 4, "confirm": 1160, "confirm_arrival": 1150}
    return stamped.producer(**rows(stamps, id=IDS, seq=numpy.arange(ROWS), **others))


def served(**others):
    return stamped.consumer(**rows(SERVED, id=IDS[::-1], **others))


def sides(began=1000, ended=1410, received=1208, lost=()):
    """Both sides' own clocks around the stamps."""
    by_seq = {"start_ns": numpy.full(ROWS, began), "end_ns": numpy.full(ROWS, ended)}
    stamping = Stamping(realtime_offsets=[(0, 0)], lost_stages=tuple(lost))
    run, who = stamped.run(), {"boot_id": "b"}
    return {
        "producer": Recording(
            "producer", Path(), run, About(producer_id="p", **who), Messages(by_seq), None, stamping
        ),
        "consumer": Recording(
            "consumer",
            Path(),
            run,
            About(producers={"p": {}}, **who),
            Messages({"received_ns.p": numpy.full(ROWS, received)}),
        ),
    }


def made(pattern, **tables):
    return timeline.of_sides(sides(), tables, PATTERNS[pattern])


def checked(pattern, own=None, **tables):
    found = made(pattern, **tables)
    return closure.check(own or sides(), found)


def test_a_call_adds_up_to_what_the_load_measured():
    found = checked("call", producer=sent(), consumer=served())
    assert (found.messages, found.matched, found.within_tolerance) == (ROWS, ROWS, ROWS)
    assert found.unexplained_share == 0
    assert found.negative_stages == 0


def test_what_the_load_measured_beyond_the_stages_is_unexplained():
    own = sides(ended=1410 + 1_000_000)
    found = checked("call", own, producer=sent(), consumer=served())
    assert found.within_tolerance == 0
    assert found.unexplained_share == pytest.approx(1_000_000 / 1_000_410)


def test_a_producer_alone_adds_up_with_what_is_remote():
    found = checked("call", producer=sent())
    assert (found.matched, found.within_tolerance, found.unexplained_share) == (None, ROWS, 0)


def test_a_consumer_alone_has_no_clock_to_check_with():
    found = checked("call", consumer=served())
    assert (found.messages, found.matched) == (ROWS, None)
    assert found.within_tolerance is found.unexplained_share is None


CAST = {"return": 1190, "put": 0, "woke": 0}


@pytest.mark.parametrize(
    ("ended", "received", "close"),
    [(1190, 1208, ROWS), (500_000, 1208, 0), (1190, 500_000, 0)],
)
def test_both_ends_of_a_cast_have_to_add_up(ended, received, close):
    tables = {"producer": sent(**CAST), "consumer": served(depart=0)}
    found = checked("cast", sides(ended=ended, received=received), **tables)
    assert (found.matched, found.within_tolerance) == (ROWS, close)


def test_a_connection_that_is_made_again_later_is_not_on_the_way_to_the_endpoint():
    resent = {"lost_depart": 1100, "lost_json_out": 7, "json_out": 12, "reconnect": 300_000}
    resent |= {"depart": 400_000, "confirm": 500_000, "confirm_arrival": 500_000}
    tables = {"producer": sent(**CAST | resent | {"return": 500_030}), "consumer": served(depart=0)}
    found = checked("cast", sides(ended=500_030), **tables)
    assert found.within_tolerance == ROWS
    assert found.unexplained_share == pytest.approx(0, abs=1e-4)


def test_a_stage_that_is_lost_leaves_a_gap():
    own = sides(lost=["wakeup"], ended=1410 + 200_000)
    producer = sent(woke=1400 + 200_000, **{"return": 1410 + 200_000})
    found = timeline.of_sides(own, {"producer": producer, "consumer": served()}, PATTERNS["call"])
    assert "wakeup" not in found.durations
    assert closure.check(own, found).within_tolerance == 0


def test_calls_that_got_no_reply_have_no_timeline():
    own = sides()
    own["producer"].messages.columns["end_ns"][1] = 0
    found = timeline.of_sides(
        own,
        {"producer": sent(put=numpy.array([1370, 1370, 0, 1370])), "consumer": served()},
        PATTERNS["call"],
    )
    assert found.seq.tolist() == [0, 3]
    assert found.expected == 2


def test_each_server_of_a_fanout_has_a_timeline_of_its_own():
    first, second = served(depart=0), served(depart=0)
    both = dataclasses.replace(
        first,
        columns={n: numpy.concatenate([first[n], second[n]]) for n in first.columns},
        **{
            name: numpy.concatenate([getattr(first, name), getattr(second, name)])
            for name in (
                "arrival",
                "latest",
                "confirm_arrival",
                "flagged",
                "reconnect_later",
                "member",
            )
        },
    )
    found = made("fanout", producer=sent(**CAST), consumer=both)
    assert found.rows == 2 * ROWS
    assert found.seq.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    own = sides(ended=1190)
    checked = closure.check(own, found)
    # Of messages, not of copies.
    assert (checked.messages, checked.matched, checked.within_tolerance) == (ROWS, ROWS, ROWS)
    # One copy that does not add up is a message that does not.
    late = numpy.where(numpy.arange(2 * ROWS) == 3, 200_000, 0)
    legs = {**found.legs, "serve": {**found.legs["serve"], "decode": late}}
    checked = closure.check(own, dataclasses.replace(found, legs=legs))
    assert checked.within_tolerance == ROWS - 1


def test_rows_are_taken_of_all_there_is_of_a_timeline():
    found = made("call", producer=sent(), consumer=served())
    others, chosen = found.without(numpy.array([2]))
    assert (others.rows, chosen.rows) == (ROWS - 1, 1)
    assert chosen.seq.tolist() == [2]
    assert chosen.consumer["id"].tolist() == [72]
    assert closure.total(chosen.durations).tolist() == [410]
