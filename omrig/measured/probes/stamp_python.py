"""The stamps of the stage instrument in Python: what runs where the C module was not built.

``_stamp.c`` beside it does exactly the same, for less. A stamp is called from the code of a
driver's function, into which :mod:`omrig.measured.probes.graft` has put the call. It costs what it
measures, so each does the least: no lock, no log, no call to anything that eventlet patches. And it
never breaks a message: one that fails notes why and turns all stamps off.
"""

from collections.abc import Callable
from typing import Any

from omrig.measured.probes.records import PRODUCER, Link, Path, Record, Served, now
from omrig.measured.probes.stamp_kinds import MAKERS
from omrig.measured.probes.stamp_shared import Shared
from omrig.model.stamps import (
    CONFIRM,
    CPU_DEPART,
    CPU_ENDPOINT,
    DEPART,
    ENDPOINT,
    SEQ,
)

__all__ = ["Link", "Record", "Stamps"]

Function = Callable[..., Any]


class Stamps(Shared):
    """What makes stamps, and begins and ends the load's own messages.

    The arguments are those of :class:`omrig.measured.probes.stamp_shared.Shared`.
    """

    # The load's own message

    def begin(self, seq: int) -> int:
        """Open the record of the load's message; what the load's clock says, in ns."""
        started = now()
        if self.on:
            try:
                self.open_sent().row[SEQ] = seq
            except Exception as error:  # noqa: BLE001 - no fault of ours breaks a message
                self.break_down(error)
        return started

    def end(self) -> int:
        """Close it, whatever became of the message; the clock likewise."""
        record = self.sending.get()
        if type(record) is not Record or record.side != PRODUCER:
            return now()
        try:
            return self.close_sent(record)
        except Exception as error:  # noqa: BLE001 - no fault of ours breaks a message
            self.break_down(error)
            return now()

    def entered(self) -> int:
        """The endpoint of the load has been entered; the clock likewise."""
        served = self.sending.get()
        if type(served) is Served and served.record is not None:
            if self.native:
                served.record.row[CPU_ENDPOINT] = self.thread_cpu()
            self.stamp_now(served.record, ENDPOINT)
        return now()

    # What is known

    def current(self) -> Record | None:
        """The record of the message that is being sent here, in this thread or greenlet."""
        record = None if self.broken else self.sending.get()
        return record if type(record) is Record else None

    def where(self) -> int:
        """In which stage the message is that is worked on here, as a number of ``places``."""
        value = self.sending.get()
        record = value.record if type(value) is Served else value
        place = record.place if record is not None else 0
        if place:
            return int(place)
        received = self.received.get()
        return received.place if received is not None else 0

    # Making stamps

    def stamp(
        self,
        kind: str,
        takes: int = 0,  # noqa: ARG002 - Python counts for itself
        column: int = 0,
        cpu: int = 0,
        path: Path = (),
        keys: Any = None,
        early: int = 0,
    ) -> Function:
        """What is called in a function: one of ``stamp_kinds.MAKERS``, which says what it does.

        It takes so many arguments. ``cpu`` is the column for the thread's CPU time, 0 for none;
        ``early`` that for a span that ends before the pool is asked, 0: the same.
        """
        if kind not in MAKERS:
            raise ValueError(f"no stamp of the kind {kind}")
        does = MAKERS[kind](self, column, cpu if self.native else 0, path, early or keys)

        def stamp(*args: Any) -> Any:
            if self.broken:
                return None
            try:
                return does(*args)
            except Exception as error:  # noqa: BLE001 - no fault of ours breaks a message
                self.break_down(error)
                return None

        return stamp

    def receive(
        self,
        socket: Any,  # noqa: ARG002
        link: Link,  # noqa: ARG002
        slow: Function,
        stamped: bool,  # noqa: ARG002
        green: bool = False,  # noqa: ARG002
    ) -> Function:
        """What reads from a connection: here nothing is faster than ``slow``."""
        return slow

    def write(self, socket: Any, plain: Function, rest: Function) -> Function:  # noqa: ARG002
        """A ``sendall`` that stamps the last send of a message; ``plain`` sends what is none's.

        ``rest(record, data, sent, entered_ns)`` sends what did not fit at once.
        """

        def write(data: Any) -> None:
            record = self.current()
            if record is None or record.row[CONFIRM]:
                plain(data)
                return
            if self.native:
                record.row[CPU_DEPART] = self.thread_cpu()
            rest(record, data, 0, 0)

        return write

    def departed(self, record: Record, entered_ns: int) -> None:
        """The last send of a message was entered then."""
        self.go_on(record, self.places[record.side][DEPART])
        record.row[DEPART] = entered_ns
        self.made += 1
