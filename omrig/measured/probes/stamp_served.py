"""The kinds of stamps of a message that is served, one function each, as in ``stamp_kinds``."""

from collections.abc import Callable
from typing import Any

from omrig.measured.probes.records import Path, Record, Served, follow
from omrig.measured.probes.stamp_shared import Shared
from omrig.model.stamps import CPU_BEGIN, ENDED_WELL, OUTCOME, SERVED

Function = Callable[..., Any]


def _let_go(stamps: Shared) -> None:
    """What was received is handed on: nothing is done for it any more."""
    received = stamps.received.get()
    if received is not None:
        stamps.go_on(received, 0)


def make_carried(stamps: Shared, column: int, cpu: int, path: Path, _keys: Any) -> Function:
    """Stamp the record to which ``path`` leads; what was received is handed on."""

    def carried(start: Any) -> None:
        record = follow(start, path)
        if type(record) is Record:
            if cpu:
                record.row[cpu] = stamps.thread_cpu()
            stamps.stamp_now(record, column)
            _let_go(stamps)

    return carried


def make_carried_all(stamps: Shared, column: int, cpu: int, path: Path, keys: Any) -> Function:
    """... the records to which ``path`` leads from each of a list."""
    carried = make_carried(stamps, column, cpu, path, keys)

    def carried_all(starts: Any) -> None:
        for start in starts if isinstance(starts, list) else ():
            carried(start)

    return carried_all


def make_process(stamps: Shared, column: int, cpu: int, path: Path, _keys: Any) -> Function:
    """The record to which ``path`` leads is the one that is being sent: its reply will be."""

    def process(start: Any) -> Record | None:
        record = follow(start, path)
        if type(record) is not Record:
            return None
        stamps.stamp_now(record, column)
        if cpu:
            record.row[cpu] = stamps.thread_cpu()
        stamps.begin_sending(record)
        return record

    return process


def make_process_all(stamps: Shared, column: int, cpu: int, path: Path, keys: Any) -> Function:
    """... of a list of messages the first that has a record, with the others beside it."""
    process = make_process(stamps, column, cpu, path, keys)

    def process_all(starts: Any) -> Record | None:
        found = [follow(start, path) for start in starts] if isinstance(starts, list) else []
        has = [type(each) is Record for each in found]
        if True not in has:
            return None
        first = has.index(True)
        record: Record | None = process(starts[first])
        if record is not None:
            record.others = [each for each in found[first + 1 :] if type(each) is Record]
        return record

    return process_all


def make_processed(stamps: Shared, column: int, _cpu: int, _path: Path, tell: Any) -> Function:
    """All is done: it is kept, and those that were served with it.

    ``tell(record, ...)``, if there is one, writes down what the messages were, by all arguments.
    """

    def processed(record: Any, *more: Any) -> None:
        if type(record) is Record:
            stamps.stamp_now(record, column)
            stamps.end_sending(record)
            if tell is not None:
                tell(record, *more)
            others, record.others = record.others, []
            stamps.keep(record)
            for other in others:
                other.row[SERVED] = record.row[SERVED]
                other.row[CPU_BEGIN] = record.row[CPU_BEGIN]
                other.row[OUTCOME] = record.row[OUTCOME]
                stamps.keep(other)

    return processed


def make_serve(stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any) -> Function:
    """The endpoint is entered."""

    def serve() -> Served | None:
        record = stamps.sending.get()
        if type(record) is not Record:
            return None
        if cpu:
            record.row[cpu] = stamps.thread_cpu()
        stamps.stamp_now(record, column)
        served = Served(record)
        stamps.sending.set(served)
        return served

    return serve


def make_served(stamps: Shared, column: int, cpu: int, _path: Path, _keys: Any) -> Function:
    """... and left."""

    def served(served: Any) -> None:
        if type(served) is Served and served.record is not None:
            record, served.record = served.record, None
            stamps.stamp_now(record, column)
            if cpu:
                record.row[cpu] = stamps.thread_cpu()
            stamps.sending.set(record)

    return served


def make_served_well(stamps: Shared, column: int, cpu: int, path: Path, keys: Any) -> Function:
    """... as ``served``; what was not noted to have failed ended well."""
    served_of = make_served(stamps, column, cpu, path, keys)

    def served_well(served: Any) -> None:
        record = served.record if type(served) is Served else None
        if record is not None and not record.row[OUTCOME]:
            record.row[OUTCOME] = ENDED_WELL
        served_of(served)

    return served_well
