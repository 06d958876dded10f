"""The stamps of a side as columns, with the arrivals worked out member by member."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from omrig.accounting import arrival, interpreter
from omrig.model.columns import Columns, Flags, Integers
from omrig.model.errors import UsageError
from omrig.model.stamps import COLUMNS, LATER
from omrig.recordings import arrivals, cpu
from omrig.recordings.recording import Recording
from omrig.recordings.stamping import Stamping

_STRETCHES = {
    "producer": (("call", "read"), ("depart", "put")),
    "consumer": (("read", "start", "endpoint_end"), ("submit", "endpoint", "depart")),
}
"""Where the stretches begin and end in which a native thread may have to wait for others."""

TIMES = frozenset(
    {
        "pool_begin", "pool_end", "depart", "confirm", "read", "lost_depart", "call", "send",
        "wait", "put", "woke", "return", "taken", "submit", "start", "endpoint", "endpoint_end",
        "reply", "end",
    }
)  # fmt: skip
"""Columns that are times on CLOCK_MONOTONIC; the others are durations, bytes, numbers."""

_WAITS = ("connect", "connect_early", "reconnect", "socket_wait")
"""Columns that are durations up to seconds, so that a clock's drift is seen in them; all of them
before ``depart``. Of serialisation, a duration too, a drift of 50 ppm is 50 ns a millisecond."""


@dataclasses.dataclass(frozen=True)
class Busy:
    """How much CPU all threads of a process had used, in ns: before and after stamps, by name.

    Both are empty where threads have no CPU clock of their own.
    """

    before: Columns = dataclasses.field(default_factory=dict)
    after: Columns = dataclasses.field(default_factory=dict)

    def take(self, rows: Integers | Flags) -> "Busy":
        """The same of these rows only."""
        return Busy(_taken(self.before, rows), _taken(self.after, rows))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StampTable:
    """One side's stamps, a row a message: ``columns`` by name, as in :mod:`omrig.model.stamps`.

    ``arrival`` is when the last byte was in the kernel, ``latest`` the same without the kernel's
    own stamp, ``confirm_arrival`` the publisher confirm's; ``flagged`` the messages whose arrival
    nobody saw. ``reconnect_later`` is how long a lost connection was made again after the message
    had departed. ``member`` is which member of the side stamped a row, from 0. With ``batched``
    messages were handed on and served several at once. Times are
    CLOCK_MONOTONIC of the member's host, in ns.
    """

    side: str
    columns: Columns
    arrival: Integers
    latest: Integers
    confirm_arrival: Integers
    flagged: Flags
    reconnect_later: Integers
    member: Integers
    busy: Busy = Busy()
    batched: bool = False

    def __getitem__(self, name: str) -> Integers:
        return self.columns[name]

    @property
    def rows(self) -> int:
        """How many messages it holds."""
        return len(self.columns["id"])

    def take(self, rows: Integers | Flags) -> "StampTable":
        """The same table with only these rows."""
        if _are_all(rows, self.rows):
            return self
        return dataclasses.replace(
            self,
            columns=_taken(self.columns, rows),
            arrival=self.arrival[rows],
            latest=self.latest[rows],
            confirm_arrival=self.confirm_arrival[rows],
            flagged=self.flagged[rows],
            reconnect_later=self.reconnect_later[rows],
            member=self.member[rows],
            busy=self.busy.take(rows),
        )

    def timed(self, by: Callable[[Integers], Integers]) -> "StampTable":
        """The same table with all its times as ``by`` has them, each column of them at once."""
        columns = {
            name: by(column) if name in TIMES else column for name, column in self.columns.items()
        }
        for name in _WAITS:
            # They are parts of what is between times: what the clock gains, both gain.
            if name in columns and columns[name].any():
                columns[name] = columns["depart"] - by(self.columns["depart"] - columns[name])
        return dataclasses.replace(
            self,
            columns=columns,
            arrival=by(self.arrival),
            latest=by(self.latest),
            confirm_arrival=by(self.confirm_arrival),
        )

    def stamped(self, **columns: Integers) -> "StampTable":
        """The same table with these columns otherwise."""
        return dataclasses.replace(self, columns={**self.columns, **columns})


Tables = Mapping[str, StampTable]
"""The tables of a run, by side."""


def read(side: Recording) -> StampTable | None:
    """The table of a side, of all its members; None where it stamped nothing.

    Raises ``UsageError`` where other columns were stamped than those of today.
    """
    found = [(number, _of_member(each)) for number, each in enumerate(side.members)]
    tables = [
        dataclasses.replace(table, member=numpy.full(table.rows, number))
        for number, table in found
        if table
    ]
    if not tables or not side.parts:
        return tables[0] if tables else None
    offsets = side.numbering().offsets
    moved = [
        table.stamped(seq=table["seq"] + offsets[int(table.member[0])])
        if "seq" in table.columns and table.rows
        else table
        for table in tables
    ]
    return as_one(moved)


def as_one(tables: Sequence[StampTable]) -> StampTable:
    """The rows of several members; no two of them have a connection in common."""
    if len(tables) == 1:
        return tables[0]
    moved, connections = [], 0
    # A member without a row has no CPU readings either, and need not have had threads.
    for table in [each for each in tables if each.rows] or tables[:1]:
        columns = {
            "connection": numpy.where(table["connection"], table["connection"] + connections, 0)
        }
        connections = max(connections, int(columns["connection"].max(initial=0)))
        moved.append(table.stamped(**columns))

    def all_of(part: Callable[[StampTable], Any]) -> Any:
        return numpy.concatenate([part(each) for each in moved])

    def columns_of(part: Callable[[StampTable], Columns]) -> Columns:
        names = [name for name in part(moved[0]) if all(name in part(each) for each in moved)]
        return {name: numpy.concatenate([part(each)[name] for each in moved]) for name in names}

    made = StampTable(
        side=tables[0].side,
        columns=columns_of(lambda each: each.columns),
        arrival=all_of(lambda each: each.arrival),
        latest=all_of(lambda each: each.latest),
        confirm_arrival=all_of(lambda each: each.confirm_arrival),
        flagged=all_of(lambda each: each.flagged),
        reconnect_later=all_of(lambda each: each.reconnect_later),
        member=all_of(lambda each: each.member),
        busy=Busy(
            columns_of(lambda each: each.busy.before), columns_of(lambda each: each.busy.after)
        ),
        batched=any(each.batched for each in tables),
    )
    # What two of them received counts where it was read first.
    first = made.side == "consumer"
    return made.take(numpy.argsort(made["read"], kind="stable")) if first else made


def _of_member(recording: Recording) -> StampTable | None:
    stamping = recording.stamping
    stamps = recording.stamps()
    if stamps is None or stamping is None:
        return None
    names = stamping.columns.get(recording.side, ())
    if not set(COLUMNS[recording.side]) - LATER <= set(names):
        raise UsageError(
            f"RUN: {recording.folder} was written by an omrig that stamped other columns; what it"
            " says by itself, omrig report shows, but it cannot be accounted again"
        )
    return _with_arrivals(recording, stamping, named(names, stamps))


def _with_arrivals(recording: Recording, stamping: Stamping, columns: Columns) -> StampTable:
    offsets, watcher = stamping.realtime_offsets, stamping.watcher
    log = arrivals.read(recording.folder)
    absent, watched = arrivals.brackets(log, columns["connection"], columns["offset"])
    if watcher.capturing:
        # Every segment was noted as it came: the socket's own stamp could only be worse.
        columns = {**columns, "stamp": numpy.zeros_like(columns["stamp"])}
    arrived, flagged = arrival.arrivals(
        columns,
        watched,
        offsets,
        watching=watcher.alive and not watcher.capturing,
        absent=absent,
    )
    return StampTable(
        side=recording.side,
        columns=columns,
        batched=bool(recording.run.plan.batch),
        arrival=arrived,
        latest=arrival.latest(columns["read"], watched),
        confirm_arrival=arrival.confirm_arrival(columns, offsets),
        flagged=flagged,
        reconnect_later=numpy.zeros_like(columns["depart"]),
        member=numpy.zeros_like(columns["depart"]),
        busy=busy(columns, recording.side, recording.folder),
    )


def named(names: Sequence[str], stamps: Integers) -> dict[str, Integers]:
    """Rows of stamps, one after the other, as columns by name."""
    table = stamps.reshape(-1, len(names))
    return {name: table[:, number] for number, name in enumerate(names)}


def busy(columns: Columns, side: str, folder: Path) -> Busy:
    """How much CPU the process had used around each stretch, where threads have CPU clocks.

    ``folder`` is the side's, with the log of it. Raises OSError without a log.
    """
    if not columns["cpu_begin"].any():
        return Busy()
    return known(columns, side, *cpu.read(folder))


def known(columns: Columns, side: str, times: Integers, used: Integers) -> Busy:
    """The same by readings: by each of ``times``, rising, the process had ``used`` so much CPU."""
    begins, ends = _STRETCHES[side]
    return Busy(
        before={name: interpreter.known_before(columns[name], times, used) for name in begins},
        after={name: interpreter.known_after(columns[name], times, used) for name in ends},
    )


def _are_all(rows: Integers | Flags, count: int) -> bool:
    """Whether these are all rows in their order, of which no copy is needed."""
    if len(rows) != count:
        return False
    chosen = rows if rows.dtype == numpy.bool_ else rows == numpy.arange(count)
    return bool(chosen.all())


def _taken(columns: Columns, rows: Integers | Flags) -> dict[str, Integers]:
    return {name: column[rows] for name, column in columns.items()}
