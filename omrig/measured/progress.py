"""How far a side is, said every half second by a thread that the load does not wait for."""

import threading
import time
from collections.abc import Iterator
from typing import Protocol, TypeVar

from omrig.measured.executors.base import Executor
from omrig.measured.measurement import Measurement
from omrig.model import events
from omrig.model.events import Emit

INTERVAL_S = 0.5
"""How often a side says how far it is."""

# Lines shorter than what a pipe takes in one piece: other threads write to it, too.
_LATENCIES_A_LINE = 200
_ROWS_A_LINE = 6

T = TypeVar("T")


class Side(Protocol):
    """What can be asked of a side while its load goes on."""

    name: str

    def progress(self) -> dict[str, int]:
        """Messages so far, by what became of them."""

    def recent_ns(self) -> list[int]:
        """Latencies of messages that ended since the last time, in ns."""


def report(
    executor: Executor, emit: Emit, side: Side, measurement: Measurement, over: threading.Event
) -> None:
    """Say every half second, from a native thread, how far ``side`` is, until ``over`` is set."""

    def loop() -> None:
        while not over.is_set():
            emit(events.Progress(side.name, side.progress()))
            for few in _pieces(side.recent_ns(), _LATENCIES_A_LINE):
                emit(events.Latencies(side.name, few))
            for name, rows in measurement.recent().items():
                for some in _pieces(rows, _ROWS_A_LINE):
                    emit(events.Rows(name, some))
            measurement.progress_seconds = time.thread_time()
            executor.native_sleep(INTERVAL_S)

    executor.start_native_thread(loop, "omrig progress")


def _pieces(values: list[T], length: int) -> Iterator[list[T]]:
    for begin in range(0, len(values), length):
        yield values[begin : begin + length]
