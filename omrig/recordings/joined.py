"""The messages of several members of a side as those of one.

A producer numbers its messages from 0. Here those of the first come first, and each number of the
next is its own one and an offset: so a number is one message of the run, whoever sent it. What
several consumers received is one column a producer: of a message that one of them takes, when it
was taken first; of one that each has a copy of, when the last of them had it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import Flags, Integers
from omrig.recordings.messages import FAILED, FAILED_KIND, RECEIVED, SEQ, STAGE, Messages

_Column = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Numbering:
    """The producers of a run by their ids, in order, and how many messages each has numbered."""

    ids: tuple[str, ...]
    counts: tuple[int, ...]

    @property
    def id(self) -> str:
        """All producers as one."""
        return "+".join(self.ids)

    @property
    def offsets(self) -> tuple[int, ...]:
        """The number of each producer's first message."""
        ends = numpy.cumsum([0, *self.counts]).tolist()
        return tuple(ends[:-1])


class _Columns(Mapping[str, _Column]):
    """Columns that are made when they are asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], _Column]]) -> None:
        self._makers = makers

    def __getitem__(self, name: str) -> _Column:
        return self._makers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def of_producers(
    members: Sequence[Messages], numbering: Numbering, ahead: Sequence[int]
) -> Messages:
    """What several producers sent, in the order of the numbering.

    ``ahead`` is by how many ns the clock of each is ahead of the first one's.
    """
    names = dict.fromkeys(name for each in members for name in each.columns)
    return Messages(
        _Columns(
            {name: functools.partial(_sent, members, numbering, ahead, name) for name in names}
        )
    )


def _sent(
    members: Sequence[Messages], numbering: Numbering, ahead: Sequence[int], name: str
) -> _Column:
    """One column of all producers; what one of them did not record is 0 of each of its messages."""
    found = []
    by_row = name in (SEQ, *FAILED, FAILED_KIND) or name.startswith(STAGE)
    for place, each in enumerate(members):
        if name not in each.columns:
            found.append(numpy.zeros(0 if by_row else numbering.counts[place], numpy.int64))
            continue
        column = each.columns[name]
        if name in (SEQ, FAILED[0]):
            column = column.astype(numpy.int64) + numbering.offsets[place]
        elif name.endswith("_ns") and ahead[place]:
            column = column.astype(numpy.int64)
            column = numpy.where(column > 0, column - ahead[place], 0)
        found.append(column)
    return numpy.concatenate(found)


def of_consumers(
    members: Sequence[Messages], numbering: Numbering | None, copies: bool
) -> Messages:
    """What several consumers received, the producers of the ``numbering`` as one.

    With ``copies`` each consumer was to have every message. Without a numbering each producer is
    one of its own. The stages that were accounted of each are one after the other.
    """
    names = dict.fromkeys(name for each in members for name in each.columns)
    ids = [name.removeprefix(RECEIVED) for name in names if name.startswith(RECEIVED)]
    makers: dict[str, Callable[[], _Column]] = {}
    if numbering and set(numbering.ids) & set(ids):
        makers[RECEIVED + numbering.id] = functools.partial(_numbered, members, numbering, copies)
        ids = [each for each in ids if each not in numbering.ids]
    for each in ids:
        makers[RECEIVED + each] = functools.partial(_received, members, each, copies)
    for name in names:
        if not name.startswith(RECEIVED):
            makers[name] = functools.partial(_rows, members, name)
    return Messages(_Columns(makers))


def _numbered(members: Sequence[Messages], numbering: Numbering, copies: bool) -> Integers:
    return _taken((received_at(each, numbering) for each in members), copies)


def _received(members: Sequence[Messages], producer: str, copies: bool) -> Integers:
    longest = max(
        len(found) for each in members if (found := each.received_of(producer)) is not None
    )
    return _taken((_padded(each.received_of(producer), longest) for each in members), copies)


def _rows(members: Sequence[Messages], name: str) -> _Column:
    return numpy.concatenate([each.columns[name] for each in members if name in each.columns])


def _taken(columns: Iterable[Integers], copies: bool) -> Integers:
    """When each message was there: at whichever consumer first; with ``copies`` at all of them.

    One consumer's after the other's: many messages are in memory twice, and not once for each.
    """
    rest = iter(columns)
    found = next(rest)
    for each in rest:
        if copies:
            absent = (found == 0) | (each == 0)
            numpy.maximum(found, each, out=found)
            found[absent] = 0
        else:
            # Without a sign 0 less 1 is later than everything.
            earliest, other = found.view(numpy.uint64), each.view(numpy.uint64)
            earliest -= 1
            other -= 1
            numpy.minimum(earliest, other, out=earliest)
            earliest += 1
    return found


def received_at(member: Messages, numbering: Numbering) -> Integers:
    """When one consumer had each message of the numbering, 0 for never."""
    found = numpy.zeros(sum(numbering.counts), numpy.int64)
    places = zip(numbering.ids, numbering.offsets, numbering.counts, strict=True)
    for producer, offset, count in places:
        column = member.received_of(producer)
        if column is not None:
            part = column[:count]
            found[offset : offset + len(part)] = part
    return found


def _padded(column: Integers | None, length: int) -> Integers:
    """A column of this length: what nobody noted did not come."""
    found = numpy.zeros(length, numpy.int64)
    if column is not None:
        found[: len(column)] = column[:length]
    return found


def again(members: Sequence[Messages]) -> int:
    """How many times a message came to a consumer after another one had had it, too."""
    producers = {
        name.removeprefix(RECEIVED)
        for each in members
        for name in each.columns
        if name.startswith(RECEIVED)
    }
    return sum(_again(members, producer) for producer in producers)


def _again(members: Sequence[Messages], producer: str) -> int:
    had: Flags | None = None
    again = 0
    for each in members:
        column = each.received_of(producer)
        if column is None:
            continue
        came: Flags = column > 0
        if had is None:
            had = came
            continue
        if len(had) < len(came):
            had, came = came, had
        again += int((had[: len(came)] & came).sum())
        had[: len(came)] |= came
    return again
