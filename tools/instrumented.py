"""The stage instrument in a process that has no load: every message that passes is recorded."""

import contextlib
import functools
from collections.abc import Iterator

from eventlet import patcher

from omrig.drivers import maps
from omrig.measured.probes import install, stamp
from omrig.measured.probes.state import State
from omrig.model.stamps import COLUMNS, PRODUCER_COLUMNS
from omrig.model.values import Json


class _NoWatcher:
    """Takes the commands that a watcher would; the process' own stamps are what is tried."""

    capturing = False

    def add(self, *_: object) -> None:
        pass

    watch = drop = add


@functools.cache
def _state() -> State:
    """What all probes share; with native threads where eventlet has not patched them."""
    return State(_NoWatcher(), sample=1, native=not patcher.is_monkey_patched("thread"))


@functools.cache
def _sites() -> tuple[list[maps.Site], list[maps.Site]]:
    """Every function that is touched: what connections bind, and what messages pass."""
    sites, missing = maps.resolve(maps.for_scheme("rabbit"))
    if missing:
        raise SystemExit("\n".join(missing))
    bound, passed, _ = install.split(sites)
    return bound, passed


@contextlib.contextmanager
def instrument() -> Iterator[None]:
    """Put the instrument in and stamp, for the length of the block."""
    state = _state()
    bound, passed = _sites()
    with install.installed(state, bound), install.stamping(state, passed):
        state.stamps.on = True
        yield


@contextlib.contextmanager
def message() -> Iterator[None]:
    """A message of the load's is on its way in this thread for the length of the block.

    What sends without a client, as tests of drivers do, has its stamps in that one's record.
    """
    stamps = _state().stamps
    stamps.begin(1)
    record = stamps.current()
    try:
        yield
    finally:
        stamps.end()
        if record is not None:
            _stamps.append(sum(bool(record[column]) for column in range(len(PRODUCER_COLUMNS))))


_stamps: list[int] = []
"""How many columns were stamped of each record that ``message`` opened."""


def recorded() -> dict[str, Json]:
    """What came of it: messages that left a row, records that were stamped, and their stamps."""
    state = _state()
    if state.stamps.broken or state.failures:
        raise SystemExit(f"the instrument failed: {state.stamps.failure}; {state.failures}")
    rows = sum(len(rows) // len(COLUMNS[side]) for side, rows in state.rows().items())
    return {"rows": rows, "records": sum(map(bool, _stamps)), "stamps": sum(_stamps)}


def implementation() -> str:
    """What makes the stamps in this process: ``python``, or ``c``."""
    return stamp.IMPLEMENTATION
