"""What is written down of one message: a row of integers a side, in ns unless the column says else.

A row is a list while the message lives, so that a stamp is one item assignment, and is appended to
a typed array when it ends. The first columns are the same on both sides, because both send (the
request, the reply) and both receive (the reply, the request) through the same functions.

A column is declared once, in its place: the declaration is its index, and adds it to the layout.
"""

import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType


@dataclasses.dataclass(frozen=True)
class Stamp:
    """A column: its name, the sides that have it, and what it says."""

    name: str
    sides: tuple[str, ...]
    doc: str


def _declare(layout: list[Stamp], sides: tuple[str, ...], name: str, doc: str) -> int:
    layout.append(Stamp(name, sides, doc))
    return len(layout) - 1


_shared: list[Stamp] = []
_both = functools.partial(_declare, _shared, ("producer", "consumer"))

# Sending
ID = _both("id", "message id, its first 60 bits")
JSON_OUT = _both("json_out", "time in serialisation, summed")
POOL_BEGIN = _both("pool_begin", "a connection is asked for")
POOL_END = _both("pool_end", "... and held")
CONNECT = _both("connect", "time in making a connection inside the pool, part of the wait above")
RECONNECT = _both("reconnect", "time in making a lost connection again while publishing")
SOCKET_WAIT = _both("socket_wait", "time with a full send buffer, summed")
DEPART = _both("depart", "the last send of the message is entered")
CONFIRM_STAMP = _both(
    "confirm_stamp", "the publisher confirm is in our kernel (CLOCK_REALTIME; 0: not seen)"
)
CONFIRM = _both("confirm", "... and read and handled")

# Receiving
STAMP = _both("stamp", "the kernel's receive stamp (CLOCK_REALTIME; 0: none)")
READ = _both("read", "the last byte is read by the process")
JSON_IN = _both("json_in", "time in deserialisation, summed")
CONNECTION = _both("connection", "number of the connection in this process, from 1; 0: none")
OFFSET = _both("offset", "bytes of that connection's stream up to the message's end")
CPU_READ = _both(
    "cpu_read",
    "CPU time of the thread that reads, soon after the last byte; 0 with green threads",
)
CPU_JSON_IN = _both("cpu_json_in", "of the same, in deserialisation, summed")

# CPU time, and what a lost attempt had been
CPU_HANDED = _both(
    "cpu_handed", "of the same, when the message is handed on: to the executor, to the waiter"
)
CPU_BEGIN = _both(
    "cpu_begin", "of the thread that sends, when it begins: the client called, executor started"
)
CPU_JSON_OUT = _both("cpu_json_out", "... in serialisation, summed")
CPU_DEPART = _both("cpu_depart", "... when the last send of the message is entered")
LOST_DEPART = _both(
    "lost_depart",
    "as depart, of a first attempt whose connection was lost unconfirmed; 0: none",
)
LOST_JSON_OUT = _both("lost_json_out", "as json_out, up to then")

# What the message was, where no load of the rig's says so
KIND = _both("kind", "number of its pattern, exchange, topic, namespace and method; 0: none")
REQUEST = _both("request", "number of the request that it is part of; 0: none")
OUTCOME = _both(
    "outcome", "0: not ended or not known, 1: ended well, else number of what it raised"
)
PARENT = _both("parent", "as id, of the message whose endpoint sent this one; 0: none")
CONNECT_EARLY = _both(
    "connect_early", "time in making a connection before the pool is asked: the reply queue's"
)

_producer = [*_shared]
_produced = functools.partial(_declare, _producer, ("producer",))

SEQ = _produced("seq", "sequence number")
CALL = _produced("call", "the client is called")
SEND = _produced("send", "the driver's send is entered")
WAIT = _produced("wait", "the wait for the reply is entered")
PUT = _produced("put", "the reply is handed to the waiter")
WOKE = _produced("woke", "the waiter runs")
RETURN = _produced("return", "call() returns")

_consumer = [*_shared]
_consumed = functools.partial(_declare, _consumer, ("consumer",))

TAKEN = _consumed("taken", "the listener has it")
SUBMIT = _consumed("submit", "submitted to the executor")
START = _consumed("start", "started by it")
ENDPOINT = _consumed("endpoint", "the endpoint is entered")
ENDPOINT_END = _consumed("endpoint_end", "... and left")
REPLY = _consumed("reply", "the reply is entered")
END = _consumed("end", "all is done")
CPU_ENDPOINT = _consumed(
    "cpu_endpoint",
    "CPU time of the thread when the endpoint is entered; 0 with green threads",
)
CPU_ENDPOINT_END = _consumed("cpu_endpoint_end", "... and when it is left")

LAYOUTS: Mapping[str, tuple[Stamp, ...]] = MappingProxyType(
    {"producer": tuple(_producer), "consumer": tuple(_consumer)}
)
"""The columns of a row, in order, by side."""

PRODUCER_COLUMNS = tuple(stamp.name for stamp in LAYOUTS["producer"])
"""The names of a producer's columns, in order."""

CONSUMER_COLUMNS = tuple(stamp.name for stamp in LAYOUTS["consumer"])
"""The names of a consumer's columns, in order."""

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"producer": PRODUCER_COLUMNS, "consumer": CONSUMER_COLUMNS}
)
"""The names of the columns by side."""

LATER = frozenset({"taken", "kind", "request", "outcome", "parent", "connect_early"})
"""Columns that not every recording has: those of before could not tell what they tell."""

ENDED_WELL = 1
"""The ``OUTCOME`` of a message that was sent, answered or served without an exception."""

SERVED = slice(START, CPU_ENDPOINT_END + 1)
"""Where in a record goes what messages of a batch have in common: they are served at once."""

RECEIVED = slice(STAMP, CPU_JSON_IN + 1)
"""Where in a record goes what was noted of a received message before it had one."""

RECEIVED_COLUMNS = PRODUCER_COLUMNS[RECEIVED]
"""The names of what is noted until then, in order."""

RECEIVED_JSON_IN = JSON_IN - STAMP
"""The place of ``JSON_IN`` in it."""

RECEIVED_CPU_JSON_IN = CPU_JSON_IN - STAMP
"""The place of ``CPU_JSON_IN`` in it."""

ID_DIGITS = 15
"""Hexadecimal digits of a message id that are kept: 60 bits, so that they fit a signed integer.
Among a million messages two share them with a probability of 4e-7."""

SAMPLE_DIGITS = 8
"""Hexadecimal digits of a message id that decide whether it is in the sample."""

CPU = "cpu.u64"
"""The log of the measured process' CPU time, where its threads are the system's."""

CPU_COLUMNS = ("t_ns", "cpu_ns")
"""Columns of ``CPU``, little-endian unsigned 64-bit numbers: CLOCK_MONOTONIC, and what all threads
of the process have used until then."""

INDEX: Mapping[str, int] = MappingProxyType(
    {
        name: place
        for columns in (PRODUCER_COLUMNS, CONSUMER_COLUMNS)
        for place, name in enumerate(columns)
    }
)
"""Where a column is, by name: no name is at different places of the two layouts."""
