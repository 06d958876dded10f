"""Whose time the messages of the last seconds took, while the run is under way.

The members show some of their rows of stamps, of messages whose ids all choose alike, and the
watchers' logs are on disk already: what is accounted here is a sample of what the result will say.
"""

import collections
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy

from omrig.accounting import arrival, clocks, stamp_table, statistics, timeline
from omrig.accounting.legs import Stages
from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Flags
from omrig.model.members import side_of
from omrig.model.patterns import Pattern
from omrig.model.result import Clock, StageRow
from omrig.model.stages import BY_NAME, OWNERS
from omrig.model.stamps import COLUMNS
from omrig.recordings import arrivals

WINDOW_S = 10.0
"""How long a message counts as recent."""

SETTLED_S = 1.0
"""How long to wait for the watcher to have written down the arrival of a message."""

INTERVAL_S = 1.0
"""Between two accounts."""

SHARE = 0.005
"""Of a core may the accounts take: the logs grow with the run."""


class Recent:
    """The rows of stamps of the last seconds, and what they add up to.

    ``folder`` is the run's, ``patterns`` those of its plan; of other than these ``members`` nothing
    is taken.
    """

    def __init__(self, folder: Path, patterns: Sequence[Pattern], members: tuple[str, ...]) -> None:
        self._folder = folder
        # What a message of a mix is of, its stamps do not say; but whether it was replied to.
        self._kinds = tuple({pattern.replies: pattern for pattern in patterns}.values())
        self._copies = any(pattern.copies for pattern in patterns)
        self._rows: dict[str, collections.deque[tuple[float, list[int]]]] = {
            name: collections.deque() for name in members
        }
        self._due = 0.0

    def add(self, member: str, rows: list[list[int]]) -> None:
        """Take rows that a member has shown."""
        now = time.monotonic()
        if member in self._rows:
            self._rows[member].extend((now, row) for row in rows)

    def owners(self) -> dict[str, float] | None:
        """The share of each owner in the recent messages; None when there is nothing new to say.

        ``remote`` is among them where one side alone is seen.
        """
        now = time.monotonic()
        if now < self._due or not self._rows:
            return None
        used = time.thread_time()
        found = self._account(now)
        used = time.thread_time() - used
        self._due = now + max(INTERVAL_S, used / SHARE)
        return found

    def _account(self, now: float) -> dict[str, float] | None:
        for rows in self._rows.values():
            while rows and rows[0][0] < now - WINDOW_S:
                rows.popleft()
        every: dict[str, list[StampTable]] = {side_of(name): [] for name in self._rows}
        for name in self._rows:
            every[side_of(name)].append(self._table(name, now - SETTLED_S))
        found = [part for kind in self._kinds if (part := self._stages(kind, every))]
        return _owners(statistics.table(*found)) if found else None

    def _stages(self, pattern: Pattern, every: Mapping[str, Sequence[StampTable]]) -> Stages | None:
        """The stages of the messages that went the ways of ``pattern``."""
        whole = {
            side: [
                table.take(timeline.whole(pattern, table) & self._is_of(pattern, table))
                for table in tables
            ]
            for side, tables in every.items()
        }
        found = {side: [table for table in tables if table.rows] for side, tables in whole.items()}
        if not all(found.values()):
            return None
        tables = {side: stamp_table.as_one(each) for side, each in found.items()}
        producer, consumer = tables.get("producer"), tables.get("consumer")
        if producer and consumer:
            here, there = clocks.match(producer["id"], consumer["id"], self._copies)
            producer, consumer = producer.take(here), consumer.take(there)
        made = timeline.of_tables(pattern, producer, consumer, Clock(same_host=True))
        return made.durations if made and made.rows else None

    def _is_of(self, pattern: Pattern, table: StampTable) -> Flags:
        if len(self._kinds) == 1 or table.side == "consumer":
            return numpy.ones(table.rows, numpy.bool_)
        replied: Flags = table["put"] > 0
        return replied if pattern.replies else ~replied

    def _table(self, member: str, until: float) -> StampTable:
        """The rows that a member has shown by ``until``."""
        rows = [row for when, row in self._rows[member] if when <= until]
        side = side_of(member)
        stamps = numpy.array(rows, dtype=numpy.uint64).astype(numpy.int64)
        columns = stamp_table.named(COLUMNS[side], stamps.reshape(-1))
        folder = self._folder / member
        try:
            log = arrivals.read(folder)
        except FileNotFoundError:
            # No watcher: what was read had arrived, and that is all there is to know.
            log = {}
        watched = arrivals.times(log, columns["connection"], columns["offset"])
        arrived = arrival.latest(columns["read"], watched)
        return StampTable(
            side=side,
            columns=columns,
            arrival=arrived,
            latest=arrived,
            confirm_arrival=columns["confirm"],
            flagged=numpy.zeros(len(arrived), numpy.bool_),
            reconnect_later=numpy.zeros_like(arrived),
            member=numpy.zeros_like(arrived),
            busy=stamp_table.busy(columns, side, folder),
        )


def _owners(rows: Iterable[StageRow]) -> dict[str, float]:
    """The share of each owner, the largest first; ``remote``, which is everybody's, is apart."""
    shares: dict[str, float] = {}
    for row in rows:
        owner = row.name if BY_NAME[row.name].mixed else OWNERS[row.bucket]
        shares[owner] = shares.get(owner, 0.0) + row.share
    return dict(sorted(shares.items(), key=lambda each: -each[1]))
