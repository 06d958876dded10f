"""The messages that both sides recorded, and the clock of one side on that of the other."""

import dataclasses

import numpy

from omrig.accounting.arrival import not_before
from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Integers
from omrig.model.result import Clock


def match(sent: Integers, received: Integers, copies: bool = False) -> tuple[Integers, Integers]:
    """Row numbers of the messages with the same ids on both sides, in the producer's order.

    A message that was delivered twice is the first of the consumer's rows; with ``copies`` each of
    them is a message of its own, and the producer's row meets them all, in their order.
    """
    order = numpy.argsort(received, kind="stable")
    ids = received[order]
    begin = numpy.searchsorted(ids, sent, side="left")
    met = numpy.searchsorted(ids, sent, side="right") - begin
    if not copies:
        met = numpy.minimum(met, 1)
    here = numpy.repeat(numpy.arange(len(sent)), met)
    nth = numpy.arange(len(here)) - numpy.repeat(numpy.cumsum(met) - met, met)
    return here, order[begin[here] + nth]


def synchronise(producer: StampTable, consumer: StampTable, same_host: bool) -> Clock | None:
    """The consumer's clock against the producer's, from matched rows; None when it cannot be told.

    With another host the fastest request and the fastest reply bound the offset from both sides:
    it is the middle, and wrong by half of what they took together (RFC 5905, section 8).
    """
    if same_host:
        return Clock(same_host=True)
    replied = (producer["put"] > 0) & (consumer["depart"] > 0)
    # What was sent twice arrived by the one or by the other.
    replied &= (producer["lost_depart"] == 0) & (consumer["lost_depart"] == 0)
    if not replied.any():
        return None
    there = (consumer.arrival - producer["depart"])[replied].min()
    back = (producer.arrival - consumer["depart"])[replied].min()
    return Clock(
        same_host=False, offset_ns=int(there - back) // 2, error_ns=int(there + back + 1) // 2
    )


def settled(
    producer: StampTable, consumer: StampTable, clock: Clock
) -> tuple[StampTable, StampTable]:
    """The tables with what a side knows only by the other: which attempt of its own arrived."""
    request_read = consumer.latest - clock.offset_ns
    reply_read = producer.latest + clock.offset_ns
    producer, consumer = as_arrived(producer, request_read), as_arrived(consumer, reply_read)
    if not clock.same_host:
        return producer, consumer
    return _arrived_later(producer, consumer), _arrived_later(consumer, producer)


def _arrived_later(receiver: StampTable, sender: StampTable) -> StampTable:
    """Nothing arrives before it is sent: such an arrival is the kernel's stamp gone wrong."""
    known = not_before(receiver.arrival, receiver.latest, sender["depart"])
    return dataclasses.replace(receiver, arrival=known)


def as_arrived(table: StampTable, latest: Integers) -> StampTable:
    """The sender's table, otherwise where a message arrived by its first attempt.

    A message whose connection was lost before it was confirmed is sent again; the broker may have
    had it already. It had if the other side read it, at ``latest`` on the sender's clock, before
    the second attempt left: then the first one counts, and the connection was made again while the
    message was under way.
    """
    first = (table["lost_depart"] > 0) & (latest < table["depart"])
    found = table.stamped(
        depart=numpy.where(first, table["lost_depart"], table["depart"]),
        json_out=numpy.where(first, table["lost_json_out"], table["json_out"]),
        reconnect=numpy.where(first, 0, table["reconnect"]),
    )
    later = numpy.where(first, table["reconnect"], 0)
    return dataclasses.replace(found, reconnect_later=later)
