"""What arrived at a consumer, counted while it serves."""

import array
import itertools
import threading


class Tally:
    """What arrived: when, by producer and sequence number."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted
        # Of each producer, by sequence number: 8 bytes a message, 0 for one that has not come.
        self.received: dict[str, array.array[int]] = {}
        self.numbers = itertools.count(1)
        self.last = 0
        self.duplicated: list[None] = []
        self.out_of_range: list[None] = []
        self.foreign: list[None] = []
        self.wake = threading.Event()

    def unique(self) -> int:
        """How many different messages arrived."""
        return sum(len(column) - column.count(0) for column in self.received.values())

    def complete(self) -> bool:
        """Whether as many messages as wanted arrived; duplicates do not count."""
        if self.wanted is None or self.last < self.wanted:
            return False
        return self.unique() >= self.wanted
