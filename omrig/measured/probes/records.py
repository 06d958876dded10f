"""What is known in Python of a message and of a connection while they live."""

import time
from collections.abc import Sequence
from typing import Any

from omrig.model.stamps import CONSUMER_COLUMNS, ID

now = time.perf_counter_ns

Path = Sequence[str | int]
"""Attributes and places that lead from one object to another."""

PRODUCER, CONSUMER, RECEIVED_ONLY = range(3)
"""Whose a record is; the last is what was just received, and has none yet."""


class Record:
    """The stamps of a message while it lives: ``record[COLUMN]`` as in a list.

    ``generation`` is that of the stamps when it began: its row is for others if it is another when
    it ends. ``others`` are the records of the messages that are served with it, at once.
    """

    __slots__ = (
        "begun", "begun_cpu", "generation", "id", "others", "outer", "place", "place_before", "row",
        "side",
    )  # fmt: skip

    def __init__(self, side: int, generation: int) -> None:
        self.side = side
        self.generation = generation
        self.id: str | None = None
        self.outer: Any = None
        self.others: list[Record] = []
        self.place = self.place_before = 0
        self.begun = self.begun_cpu = 0
        self.row = [0] * len(CONSUMER_COLUMNS)

    def __getitem__(self, column: int) -> Any:
        return self.id if column == ID and self.id is not None else self.row[column]

    def __setitem__(self, column: int, value: int) -> None:
        self.row[column] = value


class Served:
    """In the place of the record that is being sent, while its endpoint runs: what the endpoint
    sends is not its reply. Empty once the endpoint has returned, whoever still holds it."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        self.record: Record | None = record


class Link:
    """A connection: its number, and what was last received on it.

    ``anew`` is the socket whose stream is to be counted anew when a message was read, or None.
    """

    __slots__ = (
        "__weakref__", "anew", "consumes", "number", "offset", "read", "stamp", "tls_socket",
    )  # fmt: skip

    def __init__(self, number: int, tls_socket: Any = None) -> None:
        self.number = number
        self.offset = 0
        self.read = 0
        self.stamp = 0
        self.tls_socket = tls_socket
        self.anew: Any = None
        self.consumes = False


def follow(thing: Any, path: Path) -> Any:
    """What a path of attributes and places leads to; None where it ends before."""
    try:
        for step in path:
            thing = getattr(thing, step) if isinstance(step, str) else thing[step]
    except (AttributeError, LookupError, TypeError):
        return None
    return thing
