"""Nodes of the broker that were lost: when, for how long nothing moved, how each side recovered."""

from types import SimpleNamespace

import numpy
import pytest

from omrig.accounting import outages
from omrig.accounting.verdict import incidents
from omrig.model.connections import CLOSED, LOST, OPENED
from omrig.model.patterns import PATTERNS
from omrig.model.result import Clock
from omrig.model.run import BrokerNode, BrokerProcess
from omrig.model.units import MS, NS

BEGAN = 50 * NS
A, B, C = "h:1", "h:2", "h:3"
OFFSET = 9 * NS


def ns(*seconds):
    return numpy.array([BEGAN + round(each * NS) for each in seconds], numpy.int64)


def side(pattern="call", starts=(), ends=(), received=(), notes=(), ended=None, ahead=0):
    """What the accounting reads of a member, on its clock; ``ended`` is when node A did."""
    nodes = tuple(
        BrokerNode(
            address=address,
            process=BrokerProcess(pid=1),
            ended_ns=int(ns(ended)[0]) if ended is not None and address == A else None,
        )
        for address in (A, B, C)
    )
    without = SimpleNamespace(stamping=None)
    noted = [(int(ns(when)[0]) + ahead, number, what, at) for when, number, what, at in notes]
    return SimpleNamespace(
        run=SimpleNamespace(
            plan=SimpleNamespace(patterns=(PATTERNS[pattern],)), broker_nodes=nodes
        ),
        # Of the first of two members; the other one noted nothing.
        members=[SimpleNamespace(stamping=SimpleNamespace(connections=noted)), without],
        messages=SimpleNamespace(
            start_ns=ns(*starts), end_ns=ns(*ends), received=lambda: ns(*received)
        ),
    )


STEADY = [each / 10 for each in range(1, 21)]
"""A message ends every 100 ms for two seconds ..."""

AFTER = [3.5 + each / 10 for each in range(10)]
"""... and again from 3.5 s on."""


def test_a_node_that_ended_and_how_both_sides_recovered():
    producer = side(
        starts=[0.0],
        ends=STEADY + AFTER,
        ended=2.04,
        notes=[
            (-1.0, 1, OPENED, A), (-1.0, 2, OPENED, B), (-1.0, 3, OPENED, A),
            (2.1, 1, LOST, A), (2.2, 3, LOST, A), (3.1, 4, OPENED, B), (3.3, 5, OPENED, C),
            (4.0, 6, OPENED, C), (4.4, 2, CLOSED, B),
        ],
    )  # fmt: skip
    consumer = side(
        ended=2.04,
        ahead=OFFSET,
        notes=[(-1.0, 1, OPENED, A), (2.06, 1, LOST, A), (2.5, 2, OPENED, A), (3.2, 3, OPENED, B)],
    )
    clock = Clock(same_host=False, offset_ns=OFFSET)
    (lost,) = outages.of_run({"producer": producer, "consumer": consumer}, clock)
    assert (lost.node, lost.ended, lost.ended_again) == (A, True, True)
    assert lost.at_ns == pytest.approx(2.04 * NS)
    assert (lost.still_from_ns, lost.still_ns) == pytest.approx((2 * NS, 1.5 * NS))
    sent, served = lost.sides
    assert (sent.side, sent.lost, sent.at_ns) == ("producer", 2, 2.1 * NS)
    assert (sent.first_again_ns, sent.all_again_ns) == (3.1 * NS, 3.3 * NS)
    assert sent.nodes == (B, C)
    # At the address of the lost node nothing is open again.
    assert (served.lost, served.first_again_ns, served.nodes) == (1, 3.2 * NS, (B,))
    told = incidents.outage(lost)
    assert told == "the broker's node h:1 ended at 2.0 s of the load, and for 1.5 s nothing moved"
    assert incidents.recovery(sent, A) == (
        "the producer lost 2 connections to h:1, the first at 2.10 s; the first was open again"
        " 1.0 s later, as many 1.2 s later (to h:2, h:3)"
    )


def test_a_node_to_which_nobody_was_connected_is_known_by_its_process():
    (lost,) = outages.of_run({"producer": side(starts=[0], ends=STEADY + AFTER, ended=2.0)}, None)
    assert lost.ended
    assert lost.sides == ()
    assert lost.still_ns == pytest.approx(1.5 * NS)


def test_a_node_elsewhere_is_known_by_its_connections():
    notes = [(-1.0, 1, OPENED, A), (2.01, 1, LOST, A), (3.0, 2, OPENED, B)]
    (lost,) = outages.of_run({"producer": side(starts=[0], ends=STEADY, notes=notes)}, None)
    assert not lost.ended
    assert not lost.ended_again
    assert incidents.outage(lost) == (
        "the broker at h:1 was lost at 2.0 s of the load, and nothing moved any more"
    )


def test_of_casts_the_consumer_knows_what_moved():
    producer = side("cast", starts=[0], ends=STEADY + AFTER, ended=2.0)
    consumer = side("cast", received=[*STEADY, 2.2, *AFTER])
    (lost,) = outages.of_run({"producer": producer, "consumer": consumer}, None)
    assert lost.still_ns == pytest.approx(0.2 * NS)


@pytest.mark.parametrize("ended", [-1.0, None])
def test_what_ended_before_the_load_and_what_was_closed_is_no_outage(ended):
    notes = [(-2.0, 1, OPENED, A), (-1.0, 1, LOST, A), (0.5, 2, OPENED, B), (1.0, 2, CLOSED, B)]
    producer = side(starts=[0], ends=STEADY, notes=notes, ended=ended)
    assert outages.of_run({"producer": producer}, None) is None


def test_without_messages_nothing_is_told():
    assert outages.of_run({"producer": side(ended=1.0)}, None) is None
    assert outages.of_run({}, None) is None


def test_connections_that_were_not_needed_again():
    notes = [(0, 1, OPENED, A), (0, 2, OPENED, A), (1.0, 1, LOST, A), (1.001, 2, LOST, A)]
    (lost,) = outages.of_run({"producer": side(starts=[0], ends=STEADY, notes=notes)}, None)
    (sent,) = lost.sides
    assert (sent.lost, sent.first_again_ns, sent.all_again_ns) == (2, None, None)
    assert incidents.recovery(sent, A).endswith("and opened none again")
    assert lost.still_ns == 100 * MS
