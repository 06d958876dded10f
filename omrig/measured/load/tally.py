"""What arrived at a consumer, counted while it serves."""

import array
import itertools
import threading

MORE = 1 << 16
"""So many further messages there is room for where nobody knows how many there will be."""


class Tally:
    """What arrived: when, by producer and sequence number."""

    def __init__(self, wanted: int | None) -> None:
        self.wanted = wanted
        # Of each producer, by sequence number: 8 bytes a message, 0 for one that has not come.
        self.received: dict[str, array.array[int]] = {}
        self.numbers = itertools.count(1)
        self.last = 0
        self._open: set[str] = set()
        self._growing = threading.Lock()
        self.warmed: dict[str, list[None]] = {}
        """Of each producer, one for each message of the warm-up that came."""
        self.finished = False
        """Whether nothing more will come."""
        self.duplicated: list[None] = []
        self.requeued = 0
        """How many deliveries the endpoint gave back to the broker."""
        self.redelivered = 0
        """How many of those have come again."""
        self.batches: list[None] = []
        """One for each batch of the load that the endpoint was called with."""
        self._returned: set[tuple[str, int]] = set()
        self._returning = threading.Lock()
        self.out_of_range: list[None] = []
        self.foreign: list[None] = []
        self.wake = threading.Event()

    def expect(self, producer: str, messages: int | None) -> None:
        """A producer will send so many messages, None where it does not know; nobody else's
        count."""
        if messages is None:
            self._open.add(producer)
        self.warmed.setdefault(producer, [])
        self.received.setdefault(producer, array.array("Q", bytes(8 * (messages or 0))))

    def make_room(self, producer: str, seq: int) -> bool:
        """Make room for a message of a producer that did not know how many it will send, and for
        more of them; False where it did."""
        if producer not in self._open:
            return False
        column = self.received[producer]
        with self._growing:
            while seq >= len(column):
                column.frombytes(bytes(8 * MORE))
        return True

    def want(self, messages: int) -> None:
        """So many messages will come in all."""
        for producer in self._open:
            self.make_room(producer, messages - 1)
        self.wanted = messages

    def again(self, producer: str, seq: int) -> None:
        """A message has come that was there before."""
        with self._returning:
            if (producer, seq) not in self._returned:
                self.duplicated.append(None)
                return
            self._returned.remove((producer, seq))
            self.redelivered += 1

    def requeue(self, producer: str, seq: int) -> None:
        """A message of the load goes back to the broker: it will come again."""
        if seq < 0:
            return
        with self._returning:
            self._returned.add((producer, seq))
            self.requeued += 1

    def unique(self) -> int:
        """How many different messages arrived."""
        return sum(len(column) - column.count(0) for column in self.received.values())

    def arrived(self, producer: str, first: int = 0, end: int | None = None) -> int:
        """How many of a producer's messages from ``first`` to before ``end`` arrived."""
        part = self.received[producer][first:end]
        return len(part) - part.count(0)

    def complete(self) -> bool:
        """Whether all there will be is there: as many as wanted, of which duplicates do not count,
        and what went back to the broker has come again; or nothing more is to come."""
        if self.finished:
            return True
        if self.wanted is None or self.last < self.wanted:
            return False
        return not self._returned and self.unique() >= self.wanted
