"""The slices of a run's load, with and without its profilers: what was timed, which rows count."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy

from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Flags, Integers
from omrig.model.mix import MIX
from omrig.model.units import NS
from omrig.recordings import recording, slices
from omrig.recordings.recording import Recording, Sides, SlicingPlan
from omrig.recordings.slices import RecordedSlice

Keep = Callable[[StampTable], Flags]
"""Which rows of a side's table are to be accounted."""


@dataclasses.dataclass(frozen=True)
class TimedSlice:
    """A slice of the load as it was recorded: sequence numbers from ``first`` to before ``end``.

    ``messages`` of them ended, or were received where that is the end and known. ``began_ns`` is
    the first send, where there is no producer the first receipt; ``ended_ns`` the last end; both on
    the clock of the side that was there. None where that is not known. ``counted`` messages lie
    between the two, 0 if the end is not that of all. ``received_ns`` is from when the consumer was
    told of the slice to its last receipt, on the consumer's clock.
    """

    pair: int | None
    profiled: bool
    first: int
    end: int
    began_ns: int | None
    ended_ns: int | None
    counted: int
    messages: int
    cpu_seconds: Mapping[str, float]
    received_ns: tuple[int, int] | None = None

    @property
    def complete(self) -> bool:
        """Whether all its messages ended, and how long they took is known."""
        return self.messages == self.end - self.first and self.counted > 0 and self.lasted_s > 0

    @property
    def lasted_s(self) -> float:
        """Seconds from its beginning to its end, 0 where that is not known."""
        if self.began_ns is None or self.ended_ns is None:
            return 0.0
        return max(0, self.ended_ns - self.began_ns) / NS


@dataclasses.dataclass(frozen=True)
class Slicing:
    """The slices of a run, and what was compared in them.

    ``modes`` are the modes that were taken out, by side; with ``slow_only`` the others were on in
    every slice.
    """

    slices: Sequence[TimedSlice]
    modes: Mapping[str, Sequence[str]]
    slow_only: bool
    method: str

    @property
    def who(self) -> str:
        """The profilers that were compared, as the subject of a sentence."""
        who = named(self.modes)
        together = len({mode for modes in self.modes.values() for mode in modes}) > 1
        return f"{who} together" if together else who


def named(modes: Mapping[str, Sequence[str]]) -> str:
    """Profiler modes by side in words; a side without any is there, too."""
    found = {side: " and ".join(each) for side, each in modes.items() if each}
    if len(set(found.values())) == 1 and len(found) == len(modes):
        return next(iter(found.values()))
    return " and ".join(f"{each} on the {side}" for side, each in found.items())


def read(sides: Sides) -> Slicing | None:
    """How the load of a run was sliced; None where it was not, or where it cannot be read."""
    if why_not(sides) is not None:
        return None
    slices = _sent(sides) if "producer" in sides else _received(sides["consumer"])
    plan = plan_of(sides)
    if plan is None or not slices:
        return None
    return Slicing(slices, plan.modes, plan.slow_only, _method(sides, plan, slices))


def plan_of(sides: Sides) -> SlicingPlan | None:
    """What the producer said of its slices; a consumer noted that."""
    side = sides.get("producer") or sides.get("consumer")
    return side.about.slicing if side else None


def why_not(sides: Sides) -> str | None:
    """Why the slices of a run cannot be compared, or that there are none."""
    consumer, producer = sides.get("consumer"), sides.get("producer")
    ours = len(producer.members) if producer else 1
    if consumer and len(consumer.about.producers) > ours:
        return (
            f"{len(consumer.about.producers)} producers used this consumer, and each disturbed"
            " the slices of the others"
        )
    plan = plan_of(sides)
    return plan.reason if plan else "the load was not sent in slices"


def _sent(sides: Sides) -> list[TimedSlice]:
    producer, consumer = sides["producer"], sides.get("consumer")
    received = _received_by_seq(sides)
    told = {each.first: each.received_ns for each in _received(consumer)} if consumer else {}
    return [
        _timed(each, _times(sides, each, received), told.get(each.first))
        for each in producer.about.slices
    ]


def _received_by_seq(sides: Sides) -> Integers | None:
    """When the consumer received each message; None where replies end the messages.

    In a mix those that are replied to were received, for the slices, when the reply was.
    """
    producer, consumer = sides["producer"], sides.get("consumer")
    if consumer is None or _ends_with_reply(producer):
        return None
    received = consumer.messages.received_of(producer.about.producer_id)
    places = producer.messages.pattern
    if received is None or places is None or producer.run.plan.pattern != MIX:
        return received
    replying = [pattern.ends == "reply" for pattern in producer.run.plan.patterns]
    return numpy.where(numpy.array(replying)[places], producer.messages.end_ns, received)


def _ends_with_reply(producer: Recording) -> bool:
    return all(pattern.ends == "reply" for pattern in producer.run.plan.patterns)


class _Times(NamedTuple):
    """What was timed of a slice; see :class:`TimedSlice`."""

    messages: int
    began_ns: int | None
    ended_ns: int | None
    counted: int


def _times(sides: Sides, each: RecordedSlice, received: Integers | None) -> _Times:
    producer, part = sides["producer"], slice(each.first, each.end)
    started, ended = producer.messages.start_ns[part], producer.messages.end_ns[part]
    done = ended > 0
    if not done.any():
        return _NOTHING
    began, messages = int(started[done].min()), int(done.sum())
    if _ends_with_reply(producer):
        return _Times(messages, began, int(ended.max()), messages)
    if received is None:
        # The consumer was asked, behind the casts in the same queue, until it had received all.
        drained = each.drained_ns
        return _Times(messages, began, drained or int(ended.max()), messages if drained else 0)
    arrived = _timed_at_consumer(received[part])
    if arrived.messages and recording.on_one_clock(sides.values()):
        return arrived._replace(began_ns=began, counted=arrived.messages)
    return arrived


def _timed_at_consumer(received: Integers) -> _Times:
    """The first receipt starts the time, and does not lie in it."""
    came = received[received > 0]
    if not len(came):
        return _NOTHING
    return _Times(len(came), int(came.min()), int(came.max()), len(came) - 1)


_NOTHING = _Times(0, None, None, 0)


def _cpu(each: RecordedSlice) -> dict[str, float]:
    used = {"producer": each.producer_cpu_seconds, "consumer": each.consumer_cpu_seconds}
    return {side: seconds for side, seconds in used.items() if seconds is not None}


def _received(consumer: Recording) -> list[TimedSlice]:
    found = []
    for each in consumer.about.slices:
        received = consumer.messages.received_of(each.producer)
        times = (
            _NOTHING if received is None else _timed_at_consumer(received[each.first : each.end])
        )
        told = (each.at_ns, times.ended_ns or each.at_ns)
        found.append(_timed(each, times, told))
    return found


def _timed(each: RecordedSlice, times: _Times, received: tuple[int, int] | None) -> TimedSlice:
    return TimedSlice(
        pair=each.pair,
        profiled=each.profiled,
        first=each.first,
        end=each.end,
        cpu_seconds=_cpu(each),
        received_ns=received,
        **times._asdict(),
    )


def _method(sides: Sides, plan: SlicingPlan, slices: Sequence[TimedSlice]) -> str:
    size = next((each.end - each.first for each in slices if each.pair is not None), 0)
    parts = [
        f"pairs of slices of the same run, {size:,} messages each, in turn without and with the"
        " profilers (ABBA); median and quartiles of the ratio within a pair"
    ]
    modes = {mode for modes in plan.modes.values() for mode in modes}
    if len(modes) > 1:
        parts.append(f"{' and '.join(sorted(modes))} were in and out together: one figure for all")
    lasting = {mode for side in sides.values() for mode in side.run.plan.profile} - modes - {"none"}
    if lasting:
        parts.append(f"{' and '.join(sorted(lasting))} in every slice")
    if "producer" not in sides:
        parts.append("seen by the consumer alone: rate of receipts, its own CPU and stages")
    elif all("consumer" not in each.cpu_seconds for each in slices):
        parts.append("CPU of the producer alone")
    return "; ".join(parts)


def rows(found: Slicing, table: StampTable) -> Integers | None:
    """The slice of each row of a table: by sequence number, on a consumer by time; -1 for none.

    None for a consumer that was not told of every slice.
    """
    if "seq" in table.columns:
        return slices.place([each.first for each in found.slices], table["seq"])
    told = [each.received_ns for each in found.slices if each.received_ns is not None]
    if len(told) < len(found.slices):
        return None
    number = slices.place([since for since, _ in told], table["read"])
    until = numpy.array([until for _, until in told])
    # What comes after the last receipt of a slice is the producer's word that it has ended.
    return numpy.where(table["read"] <= until[number], number, -1)


def are_told(found: Slicing, tables: Iterable[StampTable]) -> bool:
    """Whether it is known in which slice the messages were: the rows of one side tell of both."""
    return any(rows(found, table) is not None for table in tables)


def in_slices(found: Slicing | None) -> Keep | None:
    """The rows of messages, not of what a producer says between slices; None for all."""
    return functools.partial(_kept, found, quiet=False) if found else None


def undisturbed(found: Slicing | None) -> Keep | None:
    """The rows of messages that were sent without what slows the run; None where nothing does."""
    return functools.partial(_kept, found, quiet=True) if found and found.slow_only else None


def _kept(found: Slicing, table: StampTable, quiet: bool) -> Flags:
    number = rows(found, table)
    if number is None:
        return numpy.ones(table.rows, numpy.bool_)
    profiled = numpy.array([each.profiled for each in found.slices])
    kept: Flags = (number >= 0) & ~(profiled[number] & quiet)
    return kept


def pauses(found: Slicing | None) -> tuple[float, int]:
    """Seconds between slices, in which nothing was sent, and how many such pauses there were."""
    if found is None:
        return 0.0, 0
    timed = [each for each in found.slices if each.lasted_s]
    times = [
        ((after.began_ns or 0) - (before.ended_ns or 0)) / NS
        for before, after in itertools.pairwise(timed)
    ]
    return sum(max(0.0, seconds) for seconds in times), len(times)


def cpu_share(found: Slicing | None, profiled: bool) -> dict[str, float]:
    """Cores that each side used in the slices with or without profilers; empty if not known."""
    if found is None:
        return {}
    shares = {}
    for side in ("producer", "consumer"):
        mine = [
            each
            for each in found.slices
            if each.profiled == profiled and side in each.cpu_seconds and each.lasted_s
        ]
        lasted = sum(each.lasted_s for each in mine)
        if lasted:
            shares[side] = sum(each.cpu_seconds[side] for each in mine) / lasted
    return shares
