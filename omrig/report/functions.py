"""The functions of a comparison in words, for every medium."""

import dataclasses

from omrig.compare import mover
from omrig.compare.conclusion import signed_percent
from omrig.compare.explanation import signed
from omrig.compare.functions import Change, Profiled
from omrig.model import units

MOST = 8
"""So many functions of a side are shown."""

COLUMNS = ("function", "module", "BASE", "NEW", "change", "95 % interval", "calls", "stage")

_TOLD_SPEED = 0.01
"""What all functions alike took longer or shorter is told from this share on."""

_TOLD_ADDED = 0.1
"""What the profiler itself added to a change is told from this part of it on."""

_MOSTLY = 0.5


@dataclasses.dataclass(frozen=True)
class Row:
    """A function that surely changed, as tables have it, by :data:`COLUMNS`."""

    function: str
    module: str
    base: str
    new: str
    change: str
    interval: str
    calls: str
    stage: str
    change_ns: float


def heading(found: Profiled) -> str:
    """What a table of functions is of."""
    return f"functions, {found.mode}, {found.side}: own time a message, {found.design.text}"


def rows(found: Profiled) -> list[Row]:
    """The functions that surely changed: the largest change first, those behind that were only
    called more often, or less."""
    return [_row(each) for each in _shown(found)]


def _shown(found: Profiled) -> list[Change]:
    return sorted(found.sure, key=lambda each: each.is_by_calls)[:MOST]


def _row(change: Change) -> Row:
    estimate = change.difference
    return Row(
        function=change.name,
        module=change.module,
        base="none" if change.only == "NEW" else _duration(change.base_ns),
        new="none" if change.only == "BASE" else _duration(change.new_ns),
        change=signed(change.change_ns),
        interval=f"{signed(estimate.low)} to {signed(estimate.high)}" if estimate else "",
        calls=_calls(change),
        stage=_stage(change),
        change_ns=change.change_ns,
    )


def _duration(nanoseconds: float) -> str:
    return units.duration(nanoseconds) if nanoseconds >= 1 else "0"


def _calls(change: Change) -> str:
    if not change.calls:
        return ""
    base, new = (f"{each:.4g}" for each in change.calls)
    return base if base == new else f"{base} to {new}"


def _stage(change: Change) -> str:
    """The stage that most of the change is in; ``none`` where that is in no stage."""
    for name, part in change.stages_ns.items():
        if part * change.change_ns > 0 and abs(part) >= _MOSTLY * abs(change.change_ns):
            return name or "none"
    return "several" if change.stages_ns else ""


def notes(found: Profiled) -> list[str]:
    """What the changes rest on, and how far to trust their sizes."""
    told = []
    left = len(found.sure) - MOST
    if left > 0:
        told.append(f"{left} more changed, too; --json has all")
    called = sum(each.is_by_calls for each in found.sure)
    if called:
        told.append(
            f"{called} of the {len(found.sure)} took as long a call as before, and it is the number"
            " of calls that changed: look for who calls them; a side that waits longer for the"
            " other one looks so"
        )
    if not found.tested:
        told.append(
            "one run each: how much a function differs from run to run is not known, so that none"
            " is named; make 5 runs of each in turn, as omrig ab does"
        )
    elif not found.sure:
        told.append(f"no function surely changed, of {found.tested} that take enough to tell")
    speed = found.speed
    if speed and abs(speed.value - 1) >= _TOLD_SPEED and (speed.low > 1 or speed.high < 1):
        told.append(
            f"all functions alike took {signed_percent(speed.value)}"
            f" ({signed_percent(speed.low)} to {signed_percent(speed.high)}) in NEW, which is no"
            " one function's and taken out of the changes"
        )
    if found.sure and mover.is_slowed(found):
        told.append(
            f"under {found.mode} a message takes {found.slowed:.2g} times the CPU: sizes are larger"
            " than without it, and shares are surer; stages are measured without it"
        )
    told += [_added(each, found.mode) for each in _shown(found) if _is_added(each)]
    return told


def _is_added(change: Change) -> bool:
    added = change.added_ns
    return added is not None and added * change.change_ns > _TOLD_ADDED * change.change_ns**2


def _added(change: Change, mode: str) -> str:
    added = change.added_ns or 0.0
    return (
        f"{change.name}: about {units.duration(abs(added))} of it are {mode}'s own, for"
        f" {'more' if added > 0 else 'fewer'} calls"
    )
