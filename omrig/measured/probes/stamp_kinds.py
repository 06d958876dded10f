"""The kinds of stamps in Python, one function each: it makes what is called in a driver's function.

Each does the least: it costs what it measures.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from omrig.measured.probes.records import CONSUMER, RECEIVED_ONLY, Link, Path, Record, follow, now
from omrig.measured.probes.stamp_sent import make_failed, make_message, make_sent
from omrig.measured.probes.stamp_served import (
    make_carried,
    make_carried_all,
    make_process,
    make_process_all,
    make_processed,
    make_serve,
    make_served,
    make_served_well,
)
from omrig.measured.probes.stamp_shared import Shared
from omrig.model.stamps import (
    CONFIRM,
    CONFIRM_STAMP,
    CONNECTION,
    CPU_READ,
    DEPART,
    JSON_OUT,
    LOST_DEPART,
    LOST_JSON_OUT,
    OFFSET,
    POOL_BEGIN,
    READ,
    RECEIVED,
    STAMP,
)

Function = Callable[..., Any]


def begin_span(stamps: Shared, record: Record, column: int, cpu: int) -> None:
    """A span of a record begins."""
    record.place_before = record.place
    stamps.go_on(record, stamps.places[record.side][column])
    record.begun = now()
    if cpu:
        record.begun_cpu = stamps.thread_cpu()


def end_span(stamps: Shared, record: Record, column: int, cpu: int, early: int = 0) -> None:
    """... and ends, if it had begun; ``early``: its column until the pool is asked, or 0."""
    if record.begun:
        if early and not record.row[POOL_BEGIN]:
            column = early
        if cpu:
            record.row[cpu] += stamps.thread_cpu() - record.begun_cpu
        record.row[column] += now() - record.begun
        record.begun = 0
        stamps.go_on(record, record.place_before)
        stamps.made += 2


def make_at(stamps: Shared, column: int, _cpu: int, _path: Path, _keys: Any) -> Function:
    """Stamp the message that is being sent."""

    def at() -> None:
        record = stamps.sending.get()
        if type(record) is Record:
            stamps.stamp_now(record, column)

    return at


def make_first(stamps: Shared, column: int, _cpu: int, _path: Path, _keys: Any) -> Function:
    """... unless it has this stamp."""

    def first() -> None:
        record = stamps.sending.get()
        if type(record) is Record and not record.row[column]:
            stamps.stamp_now(record, column)

    return first


def make_begin(stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any) -> Function:
    """A span begins of the message that is being sent."""

    def begin() -> None:
        record = stamps.sending.get()
        if type(record) is Record:
            begin_span(stamps, record, column, cpu)

    return begin


def make_finish(stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any) -> Function:
    """... and ends."""

    def finish() -> None:
        record = stamps.sending.get()
        if type(record) is Record:
            end_span(stamps, record, column, cpu)

    return finish


def make_begin_received(stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any) -> Function:
    """A span begins of the message that was just received."""

    def begin_received() -> None:
        record = stamps.received.get()
        if record is not None:
            begin_span(stamps, record, column, cpu)

    return begin_received


def make_finish_received(
    stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any
) -> Function:
    """... and ends."""

    def finish_received() -> None:
        record = stamps.received.get()
        if record is not None:
            end_span(stamps, record, column, cpu)

    return finish_received


def make_name(stamps: Shared, column: int, cpu: int, _path: Path, keys: Any) -> Function:
    """The message that is being sent has its id under the first of ``keys``.

    A span begins, unless ``column`` is 0.
    """

    def name(message: Mapping[str, Any]) -> None:
        record = stamps.sending.get()
        if type(record) is not Record:
            return
        if record.id is None:
            found = [message.get(key) for key in keys] if isinstance(message, dict) else []
            message_id = next((each for each in found if each is not None), None)
            if not isinstance(message_id, str) or not stamps.is_in_sample(message_id):
                stamps.sending.set(None)
                return
            record.id = message_id
            stamps.in_flight[message_id] = record
        if column:
            begin_span(stamps, record, column, cpu)

    return name


def make_set_aside(stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any) -> Function:
    """A span begins in which what is sent is not this message's; its record, for ``take_up``."""

    def set_aside() -> Record | None:
        record = stamps.sending.get()
        if type(record) is not Record:
            return None
        begin_span(stamps, record, column, cpu)
        stamps.sending.set(None)
        return record

    return set_aside


def make_set_aside_lost(stamps: Shared, column: int, cpu: int, path: Path, keys: Any) -> Function:
    """... after an attempt to publish has failed: the broker may have got it nevertheless."""
    set_aside = make_set_aside(stamps, column, cpu, path, keys)

    def set_aside_lost() -> Record | None:
        record: Record | None = set_aside()
        if record is not None:
            row = record.row
            if not row[LOST_DEPART] and not row[CONFIRM]:
                row[LOST_DEPART], row[LOST_JSON_OUT] = row[DEPART], row[JSON_OUT]
        return record

    return set_aside_lost


def make_take_up(stamps: Shared, column: int, cpu: int, _path: Path, early: Any) -> Function:
    """It has ended; ``early``: its column until the pool is asked, or 0."""

    def take_up(record: Any) -> None:
        if type(record) is Record:
            end_span(stamps, record, column, cpu, early)
            stamps.sending.set(record)

    return take_up


def make_confirmed(stamps: Shared, column: int, _cpu: int, path: Path, _keys: Any) -> Function:
    """The broker has confirmed the message, on the connection to which ``path`` leads."""

    def confirmed(start: Any) -> None:
        record = stamps.sending.get()
        if type(record) is Record:
            stamps.stamp_now(record, column)
            link = follow(start, path)
            if type(link) is Link:
                record.row[CONFIRM_STAMP] = link.stamp

    return confirmed


def make_receive(stamps: Shared, _column: int, _cpu: int, path: Path, keys: Any) -> Function:
    """The last byte of a message has just been read, on the connection to which ``path`` leads.

    ``keys(link)`` tells how far where the link does not: with TLS, of which it has other bytes,
    and once for a connection that was read from before it was stamped.
    """

    def receive(start: Any) -> None:
        if not stamps.on:
            return
        begun = now()
        record = Record(RECEIVED_ONLY, stamps.generation)
        stamps.go_on(record, stamps.places[RECEIVED_ONLY][READ])
        cpu = stamps.thread_cpu()
        link = follow(start, path)
        row = record.row
        if type(link) is not Link:
            # In memory: nothing was read, the message is simply there.
            row[READ] = begun
        else:
            # Nothing where the receive that read the end was not a stamped one yet.
            row[STAMP], row[READ], row[CONNECTION] = link.stamp, link.read or begun, link.number
            counts = link.tls_socket is None and link.anew is None
            row[OFFSET] = link.offset if counts else keys(link)
            row[CPU_READ] = cpu
        stamps.made += 1
        stamps.received.set(record)

    return receive


def make_open(stamps: Shared, column: int, _cpu: int, _path: Path, _keys: Any) -> Function:
    """What was received gets a record, which ``carrier`` carries: its id is the first there.

    Without a ``column`` that is not stamped.
    """

    def open_received(carrier: Any, *ids: Any) -> None:
        message_id = next((each for each in ids if each is not None), None)
        if not stamps.on or not isinstance(message_id, str):
            return
        received = stamps.received.get()
        if received is None or not stamps.is_in_sample(message_id):
            return
        record = Record(CONSUMER, stamps.generation)
        record.id = message_id
        record.row[RECEIVED] = received.row[RECEIVED]
        if column:
            # The code is not in another place for it.
            record.row[column] = now()
            stamps.made += 1
        carrier._omrig_record = record

    return open_received


def make_match(stamps: Shared, column: int, cpu: int, _path: Path, keys: Any) -> Function:
    """A reply is handed to its caller, whose record has this id: what has ``keys`` is one."""
    (key,) = keys

    def match(message_id: str, message: Mapping[str, Any]) -> None:
        record = stamps.in_flight.get(message_id)
        if record is None or not isinstance(message, dict) or not message.get(key):
            return
        received = stamps.received.get()
        if received is not None:
            record.row[RECEIVED] = received.row[RECEIVED]
            stamps.go_on(received, 0)
        if cpu:
            record.row[cpu] = stamps.thread_cpu()
        # The place is that of the thread which sends, not of the one that brings the reply.
        record.row[column] = now()
        stamps.made += 1

    return match


MAKERS: Mapping[str, Callable[[Shared, int, int, Path, Any], Function]] = MappingProxyType(
    {
        "at": make_at,
        "first": make_first,
        "begin": make_begin,
        "finish": make_finish,
        "begin_received": make_begin_received,
        "finish_received": make_finish_received,
        "name": make_name,
        "set_aside": make_set_aside,
        "set_aside_lost": make_set_aside_lost,
        "take_up": make_take_up,
        "confirmed": make_confirmed,
        "receive": make_receive,
        "open": make_open,
        "carried": make_carried,
        "carried_all": make_carried_all,
        "match": make_match,
        "process": make_process,
        "process_all": make_process_all,
        "processed": make_processed,
        "serve": make_serve,
        "served": make_served,
        "served_well": make_served_well,
        "message": make_message,
        "failed": make_failed,
        "sent": make_sent,
    }
)
"""What makes a stamp, by its kind: of the stamps that it belongs to, a column, the column for the
thread's CPU time (0: none), a path, and keys."""
