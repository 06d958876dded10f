"""What a recording of services came to: all its processes' rows by method."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy

from omrig.accounting import closure
from omrig.accounting.services import (
    described,
    hosts,
    inner,
    judged,
    methods,
    requests,
    traffic,
)
from omrig.accounting.services.hosts import Hosts
from omrig.accounting.services.inner import Inner
from omrig.accounting.services.methods import Accounted
from omrig.accounting.services.traffic import Traffic
from omrig.accounting.services.ways import Stretch
from omrig.accounting.verdict.phrases import counted
from omrig.model.recorded import CAPTURE
from omrig.model.result import Closure
from omrig.model.service import REMOTE, Process, ServiceResult
from omrig.recordings.services import captured, recording
from omrig.recordings.services.processes import Instrument
from omrig.recordings.services.recording import Recording

_NEVER = numpy.iinfo(numpy.int64).max


def account(folder: Path) -> ServiceResult:
    """The result of the recording in ``folder``.

    Raises ``UsageError`` where there is none, or of another omrig's making.
    """
    found = recording.read(folder)
    seen = traffic.of_processes(found.processes, captured.read(folder / CAPTURE))
    sample = found.about.sample
    processes = described.account(seen, found.about)
    seen, hosts_of = hosts.on_one_clock(seen)
    within = inner.of_traffic(seen)
    seen = dataclasses.replace(seen, consumer=seen.consumer.stamped(nested=within.nested_ns))
    accounted = methods.account(
        methods.Recorded(
            traffic=seen,
            hosts=hosts_of,
            processes=processes,
            sample=sample,
            stretch=_stretch(seen, hosts_of),
        )
    )
    judged_methods = tuple(
        dataclasses.replace(each.method, verdict=judged.judge(each.method, each.sides, sample))
        for each in accounted
    )
    books = [each.books for each in accounted if each.books]
    # Of what is remote nobody can tell whether it was matched.
    books = [each for each in books if each[0].matched is not None] or books
    about = found.about
    return ServiceResult(
        complete=about.complete,
        reason=about.reason,
        recording=about.name,
        started_at=about.started_at,
        duration_ns=_duration(found, processes),
        sample=sample,
        sent=seen.producer.rows,
        served=seen.consumer.rows,
        matched=len(numpy.unique(seen.here)),
        closure=closure.added(books) if books else Closure(messages=0),
        processes=processes,
        methods=judged_methods,
        requests=requests.of_traffic(seen, within),
        broker_messages=about.broker_messages,
        not_seen=tuple(_not_seen(found, seen, hosts_of, within, processes, accounted)),
    )


def _duration(found: Recording, processes: Sequence[Process]) -> int:
    if found.about.ended_ns:
        return found.about.ended_ns - found.about.began_ns
    # Its recorder died.
    return max((each.recorded_ns for each in processes), default=0)


def _stretch(seen: Traffic, hosts_of: Hosts) -> Stretch:
    """From when to when each process was recorded; of one that does not say it always was."""
    instruments = [each.instrument or Instrument() for each in seen.processes]
    on = [each.began_ns + (each.turning_on_ns or 0) for each in instruments]
    off = [each.ended_ns or _NEVER for each in instruments]
    ahead = hosts_of.offset_ns[hosts_of.of]
    ended = numpy.array(off, numpy.int64)
    return Stretch(
        numpy.array(on, numpy.int64) - ahead, numpy.where(ended < _NEVER, ended - ahead, ended)
    )


def _not_seen(
    found: Recording,
    seen: Traffic,
    hosts_of: Hosts,
    within: Inner,
    processes: Sequence[Process],
    accounted: Sequence[Accounted],
) -> Iterator[str]:
    """What the recording could not see, in words."""
    yield from found.about.not_seen
    capture = found.about.capture
    if capture.used and capture.dropped:
        yield f"the capture had no room for {capture.dropped:,} segments: arrivals may be late"
    if capture.why_not:
        what = "what was captured is not all" if capture.used else "nothing was captured"
        yield f"{what}: {capture.why_not}; arrivals are {described.SOCKET}"
    if found.about.sample > 1:
        yield (
            f"one message in {found.about.sample:,} was recorded: what endpoints sent, the use of"
            " pools and whole requests cannot be told from a sample"
        )
    for each in processes:
        if each.overwritten:
            yield (
                f"{each.name} had no room for {each.overwritten:,} messages, the oldest: raise the"
                " limit, record for less time or a sample"
            )
        if each.ended:
            yield f"{each.name}: {each.ended}"
        yield from (f"{each.name}: its instrument failed in part: {text}" for text in each.failures)
    for process, shown in zip(seen.processes, processes, strict=True):
        yield from (f"{shown.name}: {text}" for text in process.about.missing)
        if process.about.others:
            others = ", ".join(process.about.others)
            yield f"{shown.name}: {others} wraps the same functions: its time is in the stages"
    yield from _of_methods(accounted)
    yield from _of_clocks(hosts_of, accounted)
    yield from _of_threads(seen, within)


def _of_methods(accounted: Sequence[Accounted]) -> Iterator[str]:
    for what, side in (("sends", "senders"), ("serves", "servers")):
        labels = [
            each.method.name.label or "messages of no known kind"
            for each in accounted
            if REMOTE in getattr(each.method, side)
        ]
        if labels:
            yield (
                f"what {what} {', '.join(labels)} is not recorded, or not all of it (remote): start"
                " it with omrig exec, too"
            )
    edge = sum(each.edge for each in accounted)
    if edge:
        yield (
            f"{counted(edge, 'message')} under way when processes were turned on or off, with a row"
            " on one side only: in no count of what is to have a timeline"
        )


def _of_clocks(hosts_of: Hosts, accounted: Sequence[Accounted]) -> Iterator[str]:
    labels = [each.method.name.label for each in accounted if each.is_apart]
    if labels:
        yield (
            f"no calls between the hosts tell how far their clocks are apart: the wire of"
            f" {', '.join(labels)} is left out"
        )
    errors = hosts_of.error_ns[hosts_of.error_ns > 0]
    if len(errors):
        yield (
            f"the clocks of {len(hosts_of.names)} hosts were compared by their calls: what is on"
            f" the wire may be wrong by {int(errors.max()) / 1000:,.0f} µs, one way against the"
            " other"
        )


def _of_threads(seen: Traffic, within: Inner) -> Iterator[str]:
    """Messages that a process sent for a request that it served, but no endpoint's own thread."""
    producer, consumer = seen.producer, seen.consumer
    alone = (within.parent < 0) & (producer["parent"] == 0) & (producer["request"] > 0)
    every = numpy.concatenate([consumer["request"], producer["request"][alone]])
    _, request = numpy.unique(every, return_inverse=True)
    member = numpy.concatenate([consumer.member, producer.member[alone]])
    both = request * len(seen.processes) + member
    served, sent = both[: consumer.rows], both[consumer.rows :]
    first = numpy.full(int(both.max(initial=0)) + 1, numpy.iinfo(numpy.int64).max)
    begun = consumer["start"] > 0
    numpy.minimum.at(first, served[begun], consumer["start"][begun])
    # Who sends a request may well serve a part of it later.
    count = int((producer["call"][alone] > first[sent]).sum())
    if count:
        yield (
            f"{counted(count, 'message')} sent for requests that their process served, and not by"
            " an endpoint's own thread: in no endpoint's nested time"
        )
