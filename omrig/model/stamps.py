"""What is written down of one message: a row of integers a side, in ns unless the name says else.

A row is a list while the message lives, so that a stamp is one item assignment, and is appended to
a typed array when it ends. The first columns are the same on both sides, because both send (the
request, the reply) and both receive (the reply, the request) through the same functions.
"""

# Sending
(
    ID,  # message id, its first 60 bits
    JSON_OUT,  # time in serialisation, summed
    POOL_BEGIN,  # a connection is asked for
    POOL_END,  # ... and held
    CONNECT,  # time in making a connection inside the pool, part of the wait above
    RECONNECT,  # time in making a lost connection again while publishing
    SOCKET_WAIT,  # time with a full send buffer, summed
    DEPART,  # the last send of the message is entered
    CONFIRM_STAMP,  # the publisher confirm is in our kernel (CLOCK_REALTIME; 0: not seen)
    CONFIRM,  # ... and read and handled
    # Receiving
    STAMP,  # the kernel's receive stamp (CLOCK_REALTIME; 0: none)
    READ,  # the last byte is read by the process
    JSON_IN,  # time in deserialisation, summed
    CONNECTION,  # number of the connection in this process, from 1; 0: none
    OFFSET,  # bytes of that connection's stream up to the message's end
    CPU_READ,  # CPU time of the thread that reads, soon after the last byte; 0 with green threads
    CPU_JSON_IN,  # of the same, in deserialisation, summed
    CPU_HANDED,  # of the same, when the message is handed on: to the executor, to the waiter
    CPU_BEGIN,  # of the thread that sends, when it begins: call() entered, executor started
    CPU_JSON_OUT,  # ... in serialisation, summed
    CPU_DEPART,  # ... when the last send of the message is entered
    LOST_DEPART,  # as DEPART, of a first attempt whose connection was lost unconfirmed; 0: none
    LOST_JSON_OUT,  # as JSON_OUT, up to then
    # The side's own
    FIRST_OWN,
) = range(24)

SEQ, CALL, SEND, WAIT, PUT, WOKE, RETURN = range(FIRST_OWN, FIRST_OWN + 7)
"""The producer's: sequence number, call() entered, driver's send entered, wait for the reply
entered, reply handed to the waiter, waiter runs, call() returns."""

SUBMIT, START, ENDPOINT, ENDPOINT_END, REPLY, END, CPU_ENDPOINT, CPU_ENDPOINT_END = range(
    FIRST_OWN, FIRST_OWN + 8
)
"""The consumer's: submitted to the executor, started, endpoint entered and left, reply entered,
all done; CPU time of the thread when the endpoint is entered and left, 0 with green threads."""

_COMMON = (
    "id",
    "json_out",
    "pool_begin",
    "pool_end",
    "connect",
    "reconnect",
    "socket_wait",
    "depart",
    "confirm_stamp",
    "confirm",
    "stamp",
    "read",
    "json_in",
    "connection",
    "offset",
    "cpu_read",
    "cpu_json_in",
    "cpu_handed",
    "cpu_begin",
    "cpu_json_out",
    "cpu_depart",
    "lost_depart",
    "lost_json_out",
)

PRODUCER_COLUMNS = (*_COMMON, "seq", "call", "send", "wait", "put", "woke", "return")
"""The names of a producer's columns, in order."""

CONSUMER_COLUMNS = (
    *_COMMON,
    "submit",
    "start",
    "endpoint",
    "endpoint_end",
    "reply",
    "end",
    "cpu_endpoint",
    "cpu_endpoint_end",
)
"""The names of a consumer's columns, in order."""

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
