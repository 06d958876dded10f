"""What a member recorded with its times on the clock of another host."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import Integers
from omrig.model.host_clock import HostClock
from omrig.recordings.messages import RECEIVED, STAGE, Messages
from omrig.recordings.recording import About, Recording
from omrig.recordings.stamping import Stamping

Ahead = Callable[[Integers], Integers]
"""By how many ns a clock is ahead of another one, by its own times."""


class _Moved(Mapping[str, NDArray[Any]]):
    """Columns whose times are put on another clock when they are asked for."""

    def __init__(self, columns: Mapping[str, NDArray[Any]], ahead: Ahead) -> None:
        self._columns = columns
        self._ahead = ahead

    def __getitem__(self, name: str) -> NDArray[Any]:
        column = self._columns[name]
        return moved(column, self._ahead) if _is_time(name) else column

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


def _is_time(name: str) -> bool:
    return not name.startswith(STAGE) and (name.endswith("_ns") or name.startswith(RECEIVED))


def moved(times: NDArray[Any], ahead: Ahead) -> Integers:
    """These times on the other clock; 0 is no time and stays."""
    own = times.astype(numpy.int64, copy=False)
    found: Integers = numpy.where(own > 0, own - ahead(own), own)
    return found


def put(each: Recording, on: str, ahead: Ahead | None, errors_ns: Mapping[str, int]) -> Recording:
    """A member's recording on the clock of the host ``on``, of which its own one is ``ahead``.

    ``ahead`` is None on that host itself. ``errors_ns`` is by how much its times may be wrong
    beside those of members on each of the hosts whose times are put on that clock, too.
    """
    put_on = dataclasses.replace(each, on=on, own=each, errors_ns=errors_ns)
    if ahead is None:
        return put_on
    return dataclasses.replace(
        put_on,
        about=_about(each.about, ahead),
        messages=Messages(_Moved(each.messages.columns, ahead)),
        stamping=each.stamping and _stamping(each.stamping, ahead),
    )


def put_all(found: Sequence[Recording], clocks: Sequence[HostClock]) -> list[Recording]:
    """The members' recordings as far as ``clocks`` says what their hosts' clocks were.

    How far that may be wrong is left out: it is for what only places them beside one another.
    """
    known = {clock.host: clock for clock in clocks if clock.lines}
    others = {clock.against_host for clock in known.values()}
    made = []
    for each in found:
        clock = known.get(each.host)
        if clock:
            each = put(each, clock.against_host, clock.ahead_ns, {})
        elif each.host in others:
            each = put(each, each.host, None, {})
        made.append(each)
    return made


def _at(when: int, ahead: Ahead) -> int:
    return int(moved(numpy.array([when], numpy.int64), ahead)[0])


def _about(about: About, ahead: Ahead) -> About:
    pacing = about.pacing
    return dataclasses.replace(
        about,
        pacing=pacing and dataclasses.replace(pacing, began_ns=_at(pacing.began_ns, ahead)),
        slices=tuple(
            dataclasses.replace(
                each,
                drained_ns=None if each.drained_ns is None else _at(each.drained_ns, ahead),
                at_ns=_at(each.at_ns, ahead),
            )
            for each in about.slices
        ),
    )


def _stamping(stamping: Stamping, ahead: Ahead) -> Stamping:
    """The instrument's notes; CLOCK_REALTIME is as far from the other clock as it always was."""
    return dataclasses.replace(
        stamping,
        realtime_offsets=tuple(
            (_at(when, ahead), offset + when - _at(when, ahead))
            for when, offset in stamping.realtime_offsets
        ),
        notices=tuple((_at(when, ahead), reason) for when, reason in stamping.notices),
        connections=tuple((_at(note[0], ahead), *note[1:]) for note in stamping.connections),
    )
