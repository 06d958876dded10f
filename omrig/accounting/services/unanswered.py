"""Messages that did not end well, and where they were last seen."""

import numpy

from omrig.accounting.services.hosts import Hosts
from omrig.accounting.services.traffic import Traffic, first_of
from omrig.accounting.services.ways import Kind
from omrig.model.columns import Flags, Integers
from omrig.model.service import LAST_SEEN, Unanswered
from omrig.model.stamps import ID_DIGITS

MOST_REQUESTS = 5
"""Request ids that are given of each kind of such messages."""

_NEVER = numpy.iinfo(numpy.int64).max

_PLACES = tuple(LAST_SEEN)
"""Where a message may be, in the order of its way."""

_SERVER = (("received", "read"), ("started", "start"), ("endpoint", "endpoint"))
_REPLY = (("replying", "endpoint_end"), ("replied", "depart"))


def request_id(number: int) -> str:
    """The beginning of a request's id as oslo.context writes it."""
    digits = f"{number:0{ID_DIGITS}x}"
    return f"req-{digits[:8]}-{digits[8:12]}-{digits[12:]}"


def of_kind(traffic: Traffic, hosts: Hosts, kind: Kind, edge: Flags) -> tuple[Unanswered, ...]:
    """The messages of a kind that did not end well, the most first.

    What a server did after the sender had given up does not count. Of ``edge``, which are under
    way for no longer than others took, those have done nothing wrong that wait still.
    """
    waits = traffic.producer["return"][kind.sent] == 0
    rows = kind.sent[~kind.ended & ~(edge & waits)]
    if not len(rows):
        return ()
    places = _last_seen(traffic, hosts, kind, rows)
    outcome, request = traffic.producer["outcome"][rows], traffic.producer["request"][rows]
    found, which, counts = numpy.unique(
        numpy.stack([places, outcome]), axis=1, return_inverse=True, return_counts=True
    )
    made = []
    for number, count in enumerate(counts.tolist()):
        mine = request[which.reshape(-1) == number]
        ids = numpy.unique(mine[mine > 0])[:MOST_REQUESTS]
        made.append(
            Unanswered(
                count=count,
                last_seen=_PLACES[int(found[0, number])],
                outcome=traffic.outcome(int(found[1, number])),
                requests=tuple(request_id(each) for each in ids.tolist()),
            )
        )
    return tuple(sorted(made, key=lambda each: -each.count))


def _last_seen(traffic: Traffic, hosts: Hosts, kind: Kind, rows: Integers) -> Integers:
    """Places in ``LAST_SEEN``, when each message was given up."""
    producer, consumer = traffic.producer, traffic.consumer
    server = numpy.full(producer.rows, -1, numpy.int64)
    first = first_of(kind.here)
    server[kind.here[first]] = kind.there[first]
    there = server[rows]
    met = there >= 0
    returned = producer["return"][rows]
    given_up = numpy.where(returned > 0, returned, _NEVER)
    known = hosts.comparable(producer.member[rows], consumer.member[there]) if met.any() else met
    given_up = numpy.where(known, given_up, _NEVER)
    places = numpy.zeros(len(rows), numpy.int64)
    places[producer["depart"][rows] > 0] = _PLACES.index("sent")
    for place, column in (*_SERVER, *(_REPLY if kind.pattern.replies else ())):
        when = consumer[column][there] if met.any() else numpy.zeros_like(rows)
        places[met & (when > 0) & (when <= given_up)] = _PLACES.index(place)
    places[producer["put"][rows] > 0] = _PLACES.index("answered")
    return places


def counted(found: tuple[Unanswered, ...], name: str) -> int:
    """How many messages of these have an outcome."""
    return sum(each.count for each in found if each.outcome == name)
