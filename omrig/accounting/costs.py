"""The distortion part of a result: the slices of a run's load, with and without its profilers."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from omrig.accounting import latency, overhead
from omrig.accounting.books import Book, Timelines
from omrig.model.units import NS
from omrig.recordings.recording import Column, Recording

Sides = Mapping[str, Recording]

Keep = Callable[[Book], NDArray[Any]]
"""Which rows of a side's book are to be accounted."""


@dataclasses.dataclass(frozen=True)
class Span:
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

    spans: Sequence[Span]
    modes: Mapping[str, Sequence[str]]
    slow_only: bool
    method: str

    @property
    def who(self) -> str:
        """The profilers that were compared, as the subject of a sentence."""
        named = {side: " and ".join(modes) for side, modes in self.modes.items() if modes}
        if len(set(named.values())) == 1 and len(named) == len(self.modes):
            who = next(iter(named.values()))
        else:
            who = " and ".join(f"{modes} on the {side}" for side, modes in named.items())
        together = len({mode for modes in self.modes.values() for mode in modes}) > 1
        return f"{who} together" if together else who


def slicing(sides: Sides) -> Slicing | None:
    """How the load of a run was sliced; None where it was not, or where it cannot be read."""
    if _why_not(sides) is not None:
        return None
    spans = _sent(sides) if "producer" in sides else _received(sides["consumer"])
    about = _about(sides)
    if about is None or not spans:
        return None
    return Slicing(spans, about["modes"], about["slow_only"], _method(sides, about, spans))


def _about(sides: Sides) -> Mapping[str, Any] | None:
    """What the producer said of its slices; a consumer noted that."""
    side = sides.get("producer") or sides.get("consumer")
    return side.about.get("slicing") if side else None


def _why_not(sides: Sides) -> str | None:
    """Why the slices of a run cannot be compared, or that there are none."""
    consumer = sides.get("consumer")
    if consumer and len(consumer.about["producers"]) > 1:
        return (
            f"{len(consumer.about['producers'])} producers used this consumer, and each disturbed"
            " the slices of the others"
        )
    about = _about(sides)
    if about is None:
        return "the load was not sent in slices"
    reason: str | None = about["reason"]
    return reason


def _sent(sides: Sides) -> list[Span]:
    producer, consumer = sides["producer"], sides.get("consumer")
    received = _received_by_seq(sides)
    told = {each.first: each.received_ns for each in _received(consumer)} if consumer else {}
    return [
        _span(each, _times(sides, each, received), told.get(each["first"]))
        for each in _slices_of(producer)
    ]


def _slices_of(side: Recording | None) -> list[dict[str, Any]]:
    return side.about.get("slices", []) if side else []


def _received_by_seq(sides: Sides) -> Column | None:
    """When the consumer received each message of a cast; None where replies end the messages."""
    producer, consumer = sides["producer"], sides.get("consumer")
    if consumer is None or producer.run["plan"]["pattern"] == "call":
        return None
    return consumer.times.get(f"received_ns.{producer.about['producer_id']}")


class _Times(NamedTuple):
    """What was timed of a slice; see :class:`Span`."""

    messages: int
    began_ns: int | None
    ended_ns: int | None
    counted: int


def _times(sides: Sides, each: Mapping[str, Any], received: Column | None) -> _Times:
    producer, part = sides["producer"], slice(each["first"], each["end"])
    started, ended = producer.times["start_ns"][part], producer.times["end_ns"][part]
    done = ended > 0
    if not done.any():
        return _NOTHING
    began, messages = int(started[done].min()), int(done.sum())
    if producer.run["plan"]["pattern"] == "call":
        return _Times(messages, began, int(ended.max()), messages)
    if received is None:
        # The consumer was asked, behind the casts in the same queue, until it had received all.
        drained = each.get("drained_ns")
        return _Times(messages, began, drained or int(ended.max()), messages if drained else 0)
    arrived = _timed_at_consumer(received[part])
    if arrived.messages and len({side.about["boot_id"] for side in sides.values()}) == 1:
        return arrived._replace(began_ns=began, counted=arrived.messages)
    return arrived


def _timed_at_consumer(received: Column) -> _Times:
    """The first receipt starts the time, and does not lie in it."""
    came = received[received > 0]
    if not len(came):
        return _NOTHING
    return _Times(len(came), int(came.min()), int(came.max()), len(came) - 1)


_NOTHING = _Times(0, None, None, 0)


def _cpu(each: Mapping[str, Any]) -> dict[str, float]:
    names = {"producer": "producer_cpu_seconds", "consumer": "consumer_cpu_seconds"}
    return {side: each[name] for side, name in names.items() if name in each}


def _received(consumer: Recording) -> list[Span]:
    spans = []
    for each in _slices_of(consumer):
        part = slice(each["first"], each["end"])
        times = _timed_at_consumer(consumer.times[f"received_ns.{each['producer']}"][part])
        told = (each["at_ns"], times.ended_ns or each["at_ns"])
        spans.append(_span(each, times, told))
    return spans


def _span(each: Mapping[str, Any], times: _Times, received: tuple[int, int] | None) -> Span:
    return Span(
        # Runs of before slices had pairs were of another make.
        pair=each.get("pair"),
        profiled=each["profiled"],
        first=each["first"],
        end=each["end"],
        cpu_seconds=_cpu(each),
        received_ns=received,
        **times._asdict(),
    )


def _method(sides: Sides, about: Mapping[str, Any], spans: Sequence[Span]) -> str:
    size = next((each.end - each.first for each in spans if each.pair is not None), 0)
    parts = [
        f"pairs of slices of the same run, {size:,} messages each, in turn without and with the"
        " profilers (ABBA); median and quartiles of the ratio within a pair"
    ]
    modes = {mode for modes in about["modes"].values() for mode in modes}
    if len(modes) > 1:
        parts.append(f"{' and '.join(sorted(modes))} were in and out together: one figure for all")
    lasting = (
        {mode for side in sides.values() for mode in side.run["plan"]["profile"]} - modes - {"none"}
    )
    if lasting:
        parts.append(f"{' and '.join(sorted(lasting))} in every slice")
    if "producer" not in sides:
        parts.append("seen by the consumer alone: rate of receipts, its own CPU and stages")
    elif all("consumer" not in each.cpu_seconds for each in spans):
        parts.append("CPU of the producer alone")
    return "; ".join(parts)


def of_modes(sides: Sides, found: Slicing | None, every: Timelines | None) -> dict[str, Any]:
    """The distortion of each profiler mode, or why it is not known."""
    about = _about(sides) or {"modes": {}}
    compared = [mode for modes in about["modes"].values() for mode in modes]
    asked = [mode for side in sides.values() for mode in side.run["plan"]["profile"]]
    measured = _measure(sides, found, every) if found else None
    reason = _why_not(sides) or "too little of the load was sent to compare slices of it"
    result = {}
    for mode in dict.fromkeys([*asked, *compared]):
        if mode == "none":
            continue
        if mode in compared:
            result[mode] = measured or _unknown(reason)
        else:
            result[mode] = _unknown(_why_not_compared(mode, sides))
    return result


def _unknown(reason: str) -> dict[str, Any]:
    return {
        "throughput_ratio": None,
        "method": None,
        "pairs": 0,
        "reason": reason,
        "text": f"not measured: {reason}",
    }


def _why_not_compared(mode: str, sides: Sides) -> str:
    offers = [side.about.get("offer") or {} for side in sides.values()]
    if any(mode in offer.get("lasting", []) for offer in offers):
        return (
            f"{mode} cannot be stopped and started while the load runs: compare runs with and"
            " without it"
        )
    if not any(mode in offer.get("all", [mode]) for offer in offers):
        cpu = _sampler_cpu(sides)
        return f"nothing of it runs in the measured processes; beside them it took {cpu}"
    if (_about(sides) or {}).get("slow_only"):
        return f"with other modes it stays on in every slice; --profile {mode} --twin measures it"
    if any(mode in offer.get("slow", []) for offer in offers):
        return "the producer did not send its load in slices; its own result says why"
    return "run with --twin to measure it"


def _sampler_cpu(sides: Sides) -> str:
    used = {
        side.folder.parent: (side.run.get("sampling") or {}).get("cpu_seconds")
        for side in sides.values()
    }
    known = [seconds for seconds in used.values() if seconds is not None]
    return f"{sum(known):.2f} s of CPU" if known else "CPU that was not counted"


def _measure(sides: Sides, found: Slicing, every: Timelines | None) -> dict[str, Any] | None:
    durations = _durations(found, every) if every and found.slow_only else None
    slices = [
        overhead.Slice(
            pair=each.pair,
            profiled=each.profiled,
            rate=each.counted / each.lasted_s,
            cpu_seconds=_cpu_a_message(each, found),
            stages=durations(each) if durations else {},
        )
        for each in found.spans
        if each.pair is not None and each.complete
    ]
    measured = overhead.measure(slices)
    if measured is None:
        return None
    counted = {each.pair for each in slices if not each.profiled} & {
        each.pair for each in slices if each.profiled
    }
    return {
        **measured,
        "who": found.who,
        "latency": _latencies(sides, [each for each in found.spans if each.pair in counted]),
        "method": found.method,
        "text": overhead.describe(measured, found.who),
    }


def _cpu_a_message(each: Span, found: Slicing) -> float | None:
    """CPU seconds a message of the sides of which it is known for all slices but the last."""
    sides = {side for span in found.spans for side in span.cpu_seconds}
    if not sides <= each.cpu_seconds.keys():
        return None
    return sum(each.cpu_seconds.values()) / (each.end - each.first)


def _durations(found: Slicing, every: Timelines) -> Callable[[Span], dict[str, NDArray[Any]]]:
    rows = _slice_of_rows(found, every.book)

    def of(each: Span) -> dict[str, NDArray[Any]]:
        if rows is None:
            return {}
        mine = rows == found.spans.index(each)
        return {name: values[mine] for name, values in every.durations.items()}

    return of


def _slice_of_rows(found: Slicing, book: Book) -> NDArray[Any] | None:
    """The slice of each row of a book: by sequence number, on a consumer by time; -1 for none.

    None for a consumer of an older omrig, which was not told of slices.
    """
    if "seq" in book.columns:
        borders = [each.first for each in found.spans]
        place: NDArray[Any] = numpy.searchsorted(borders, book.columns["seq"], side="right") - 1
        return place
    told = [each.received_ns for each in found.spans if each.received_ns is not None]
    if len(told) < len(found.spans):
        return None
    place = numpy.searchsorted([since for since, _ in told], book.columns["read"], side="right") - 1
    until = numpy.array([until for _, until in told])
    # What comes after the last receipt of a slice is the producer's word that it has ended.
    return numpy.where(book.columns["read"] <= until[place], place, -1)


def _latencies(sides: Sides, spans: Sequence[Span]) -> dict[str, Any] | None:
    producer = sides.get("producer")
    if producer is None:
        return None
    taken = producer.times["end_ns"] - producer.times["start_ns"]
    found = {}
    for name, profiled in (("unprofiled", False), ("profiled", True)):
        parts = [taken[each.first : each.end] for each in spans if each.profiled == profiled]
        found[name] = latency.summarise(numpy.concatenate(parts))
    return found


def in_slices(found: Slicing | None) -> Keep | None:
    """The rows of messages, not of what a producer says between slices; None for all."""
    return functools.partial(_kept, found, quiet=False) if found else None


def undisturbed(found: Slicing | None) -> Keep | None:
    """The rows of messages that were sent without what slows the run; None where nothing does."""
    return functools.partial(_kept, found, quiet=True) if found and found.slow_only else None


def _kept(found: Slicing, book: Book, quiet: bool) -> NDArray[Any]:
    rows = _slice_of_rows(found, book)
    if rows is None:
        return numpy.ones(book.rows, numpy.bool_)
    profiled = numpy.array([each.profiled for each in found.spans])
    kept: NDArray[Any] = (rows >= 0) & ~(profiled[rows] & quiet)
    return kept


def coverage(found: Slicing | None, stages_are_quiet: bool) -> dict[str, Any] | None:
    """How many messages were profiled, and which of them the stages are about."""
    if found is None:
        return None
    counts = {profiled: 0 for profiled in (False, True)}
    for each in found.spans:
        counts[each.profiled] += each.messages
    text = f"{found.who}: {counts[True]:,} messages profiled, {counts[False]:,} sent without"
    if stages_are_quiet:
        text += f"; stages, books and verdict are of the {counts[False]:,} sent without"
    return {
        "modes": found.modes,
        "slow_only": found.slow_only,
        "profiled_messages": counts[True],
        "unprofiled_messages": counts[False],
        "stages_of": "unprofiled" if stages_are_quiet else None,
        "text": text,
    }


def pauses(found: Slicing | None) -> tuple[float, int]:
    """Seconds between slices, in which nothing was sent, and how many such pauses there were."""
    if found is None:
        return 0.0, 0
    spans = [each for each in found.spans if each.lasted_s]
    times = [
        ((after.began_ns or 0) - (before.ended_ns or 0)) / NS
        for before, after in itertools.pairwise(spans)
    ]
    return sum(max(0.0, seconds) for seconds in times), len(times)


def cpu_share(found: Slicing | None, profiled: bool) -> dict[str, float]:
    """Cores that each side used in the slices with or without profilers; empty if not known."""
    if found is None:
        return {}
    shares = {}
    for side in ("producer", "consumer"):
        spans = [
            each
            for each in found.spans
            if each.profiled == profiled and side in each.cpu_seconds and each.lasted_s
        ]
        lasted = sum(each.lasted_s for each in spans)
        if lasted:
            shares[side] = sum(each.cpu_seconds[side] for each in spans) / lasted
    return shares
