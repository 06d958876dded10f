"""Whose time the messages of the last seconds took, while the run is under way.

The sides show some of their rows of stamps, of messages whose ids both choose alike, and the
watchers' logs are on disk already: what is accounted here is a sample of what the result will say.
"""

import collections
import time
from pathlib import Path

import numpy

from omrig.accounting import accounting, books
from omrig.model.columns import Columns, Flags
from omrig.model.result import StageRow
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS
from omrig.report import owners as shares
from omrig.watcher import client

WINDOW_S = 10.0
"""How long a message counts as recent."""

SETTLED_S = 1.0
"""How long to wait for the watcher to have written down the arrival of a message."""

INTERVAL_S = 1.0
"""Between two accounts."""

SHARE = 0.005
"""Of a core may the accounts take: the logs grow with the run."""

_COLUMNS = {"producer": PRODUCER_COLUMNS, "consumer": CONSUMER_COLUMNS}


class Recent:
    """The rows of stamps of the last seconds, and what they add up to.

    ``folder`` is the run's, ``pattern`` that of its plan; of other than these ``sides`` nothing is
    taken.
    """

    def __init__(self, folder: Path, pattern: str, sides: tuple[str, ...]) -> None:
        self._folder = folder
        self._pattern = pattern
        self._rows: dict[str, collections.deque[tuple[float, list[int]]]] = {
            side: collections.deque() for side in sides
        }
        self._due = 0.0

    def add(self, side: str, rows: list[list[int]]) -> None:
        """Take rows that a side has shown."""
        now = time.monotonic()
        if side in self._rows:
            self._rows[side].extend((now, row) for row in rows)

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
        sides = {side: self._columns(side, now - SETTLED_S) for side in self._rows}
        if not all(sides.values()):
            return None
        producer, consumer = sides.get("producer"), sides.get("consumer")
        if producer and consumer:
            here, there = accounting.match(producer, consumer)
            producer = {name: column[here] for name, column in producer.items()}
            consumer = {name: column[there] for name, column in consumer.items()}
        durations = accounting.stages_of(
            self._pattern, producer, consumer, accounting.Clock(same_host=True)
        )
        if not len(next(iter(durations.values()))):
            return None
        grouped = shares.of_buckets(map(StageRow.from_json, accounting.statistics(durations)))
        return {owner: sum(buckets.values()) / 100 for owner, buckets in grouped.items()}

    def _columns(self, side: str, until: float) -> Columns | None:
        """The rows of whole messages that a side has shown by ``until``, as the books take them."""
        rows = [row for when, row in self._rows[side] if when <= until]
        stamps = numpy.array(rows, dtype=numpy.uint64).astype(numpy.int64)
        columns = books.named(_COLUMNS[side], stamps.reshape(-1))
        whole = self._whole(side, columns)
        columns = {name: column[whole] for name, column in columns.items()}
        if not len(columns["id"]):
            return None
        folder = self._folder / side
        try:
            log = client.read_arrivals(folder)
        except FileNotFoundError:
            # No watcher: what was read had arrived, and that is all there is to know.
            log = {}
        watched = client.arrival_times(log, columns["connection"], columns["offset"])
        columns["arrival"] = numpy.where(
            watched > 0, numpy.minimum(watched, columns["read"]), columns["read"]
        )
        columns["confirm_arrival"] = columns["confirm"]
        books.add_busy(columns, side, folder)
        return columns

    def _whole(self, side: str, columns: Columns) -> Flags:
        """Which messages went all the way; a producer of casts also calls, now and then."""
        is_call = self._pattern == "call"
        whole: Flags = columns["depart"] > 0
        if side == "producer":
            return whole & (columns["woke"] > 0) if is_call else whole
        return whole if is_call else ~whole
