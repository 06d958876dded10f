"""What endpoints sent: which message was sent for which other one, and how long that took them."""

import dataclasses

import numpy

from omrig.accounting import clocks
from omrig.accounting.services.traffic import Traffic, first_of
from omrig.model.columns import Integers


@dataclasses.dataclass(frozen=True)
class Inner:
    """``parent`` is by the producer's rows the consumer's row whose endpoint sent it (-1: none),
    ``nested_ns`` by the consumer's rows how long its endpoint was sending, or waiting for what it
    had sent."""

    parent: Integers
    nested_ns: Integers


def of_traffic(traffic: Traffic) -> Inner:
    """The messages within endpoints; what was sent at the same time is counted once."""
    producer, consumer = traffic.producer, traffic.consumer
    parent = numpy.full(producer.rows, -1, numpy.int64)
    nested = numpy.zeros(consumer.rows, numpy.int64)
    inside = numpy.flatnonzero(producer["parent"] > 0)
    here, there = clocks.match(producer["parent"][inside], consumer["id"], copies=True)
    # Each server with a copy of a message sends for itself.
    own = producer.member[inside[here]] == consumer.member[there]
    here, there = here[own], there[own]
    first = first_of(here)
    parent[inside[here[first]]] = there[first]
    begun = numpy.flatnonzero(parent >= 0)
    begun = begun[consumer["endpoint_end"][parent[begun]] > 0]
    if len(begun):
        _add_union(traffic, begun, parent[begun], nested)
    return Inner(parent, nested)


def _add_union(traffic: Traffic, rows: Integers, parents: Integers, nested: Integers) -> None:
    """Add to ``nested`` how long messages took of the endpoints that sent them."""
    consumer = traffic.consumer
    entered, left = consumer["endpoint"], consumer["endpoint_end"]
    found, places = numpy.unique(parents, return_inverse=True)
    lengths = left[found] - entered[found]
    # All endpoints one after the other: what is in the one is before what is in the next.
    begins = numpy.cumsum(lengths) - lengths
    since = begins[places] - entered[parents]
    ended = traffic.producer["return"][rows]
    begin = numpy.clip(traffic.producer["call"][rows], entered[parents], left[parents]) + since
    end = numpy.where(ended > 0, ended, left[parents])
    end = numpy.clip(end, entered[parents], left[parents]) + since
    order = numpy.lexsort((end, begin))
    begin, end, places = begin[order], end[order], places[order]
    reached = numpy.maximum.accumulate(end)
    before = numpy.concatenate([[0], reached[:-1]])
    part = numpy.maximum(0, end - numpy.maximum(begin, before))
    numpy.add.at(nested, found[places], part)
