"""The timelines of messages as trace events, for Perfetto and chrome://tracing.

The format is the Trace Event Format of Chrome's about:tracing, in its JSON object form: a complete
event (``X``) a stage, flow events (``s``, ``t``, ``f``) from the request to its endpoint to its
reply. A process of the trace is a side of the run or the wire; its tracks are lanes, in which
messages lie that do not overlap. Which worker sent a message is not recorded: in a closed loop
there are as many lanes as workers, and a lane is what a worker could have sent.
"""

import dataclasses
import heapq
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy

from omrig.model.columns import Integers
from omrig.model.patterns import PATTERNS, Pattern
from omrig.model.run import Run
from omrig.model.stages import BY_NAME
from omrig.recordings import recording, writer
from omrig.recordings.messages import Messages
from omrig.report import layout

TRACE = "trace.json"

MESSAGES = 2000
"""Messages in a trace at most: viewers stay quick, and nobody looks at more."""

SLOW = 1000
"""Of these at most so many for being slow."""

SLOW_FROM = 99.0
"""The percentile of latency from which a message is slow."""

_PROCESSES = {"producer": 1, "wire": 2, "consumer": 3}
_TITLES = {
    "producer": "producer",
    "wire": "AMQP: network and broker",
    "consumer": "consumer",
}

Event = dict[str, Any]


def write(folder: Path, run: Run) -> Path | None:
    """Write ``trace.json`` of the run in ``folder``; None without a producer's timelines."""
    with recording.opened([folder]) as sides:
        columns = _chosen(sides["producer"].messages) if "producer" in sides else {}
    if not columns:
        return None
    path = folder / TRACE
    events = list(trace(columns, run.plan.pattern, run.plan.patterns))
    writer.write_json(
        path,
        {
            "traceEvents": events,
            "displayTimeUnit": "ms",
            "otherData": {
                "omrig": run.omrig,
                "started_at": run.started_at,
            },
        },
        indent=None,
    )
    return path


def trace(
    columns: Mapping[str, Integers], pattern: str, mix: Sequence[Pattern] = ()
) -> Iterator[Event]:
    """The events of the messages in ``messages.npz`` of a producer, in ns since the first send.

    Where there is a ``mix`` a column says which of its patterns a message is of.
    """
    sequence = columns["seq"]
    began, ended = columns["start_ns"][sequence], columns["end_ns"][sequence]
    chosen = choose(ended - began)
    stages = {
        name.removeprefix("stage."): values
        for name, values in columns.items()
        if name.startswith("stage.")
    }
    origin = int(columns["start_ns"][columns["start_ns"] > 0].min())
    places = columns.get("pattern")
    visits: list[_Visit] = []
    for row in chosen.tolist():
        number = int(sequence[row])
        of = PATTERNS[pattern] if places is None else mix[int(places[number])]
        durations = {
            name: int(values[row])
            for name, values in stages.items()
            if places is None or name in of.stages
        }
        begin = int(began[row]) - origin
        visits += _visits(number, begin, of, layout.spans(durations, of.name))
    visits.sort(key=lambda visit: visit.begin)
    lanes = {side: _Lanes() for side in _PROCESSES}
    for visit in visits:
        yield from _events(visit, lanes[visit.side].take(visit.begin, visit.end))
    for side, process in _PROCESSES.items():
        if lanes[side].count:
            yield _name("process_name", process, 0, _TITLES[side])
        for lane in range(1, lanes[side].count + 1):
            yield _name("thread_name", process, lane, f"{side} lane {lane}")


def choose(latency_ns: Integers) -> Integers:
    """Rows of the messages to show, in order: the slow ones, and of the rest one in so many."""
    rows = numpy.arange(len(latency_ns))
    if len(rows) <= MESSAGES:
        return rows
    by_latency = numpy.argsort(latency_ns, kind="stable")
    slow = by_latency[int(len(rows) * SLOW_FROM / 100) :][-SLOW:]
    rest = numpy.setdiff1d(rows, slow)
    spread = numpy.linspace(0, len(rest) - 1, MESSAGES - len(slow)).astype(numpy.int64)
    return numpy.union1d(slow, rest[spread])


class _Lanes:
    """Tracks on which what is put does not overlap; the lowest that is free is taken."""

    def __init__(self) -> None:
        self.count = 0
        self._free: list[int] = []
        self._busy: list[tuple[int, int]] = []

    def take(self, begin: int, end: int) -> int:
        """The lane for this time; to be asked in the order of ``begin``."""
        while self._busy and self._busy[0][0] <= begin:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if not self._free:
            self.count += 1
            self._free.append(self.count)
        lane = heapq.heappop(self._free)
        heapq.heappush(self._busy, (end, lane))
        return lane


@dataclasses.dataclass(frozen=True)
class _Visit:
    """A message on one side, or once on the wire: from ``begin`` to ``end``, in ns."""

    seq: int
    pattern: str
    side: str
    begin: int
    end: int
    stages: tuple[tuple[str, int, int], ...]
    """Name, begin and end of each stage that lasted."""
    arrows: tuple[tuple[str, int], ...]
    """Kind and time of the flow events that begin, pass or end here."""


def _visits(
    seq: int, begin: int, pattern: Pattern, spans: Mapping[str, layout.Span]
) -> Iterator[_Visit]:
    """The producer's visit lasts until its call has returned, whatever comes in between."""
    arrows = _arrows(pattern, spans)
    for names in _parts(spans):
        side = BY_NAME[names[0]].side
        yield _Visit(
            seq=seq,
            pattern=pattern.name,
            side=side,
            begin=begin + min(spans[name].begin_ns for name in names),
            end=begin + max(spans[name].end_ns for name in names),
            stages=tuple(
                (name, begin + spans[name].begin_ns, begin + spans[name].end_ns)
                for name in names
                if spans[name].length_ns
            ),
            arrows=tuple((kind, begin + at) for kind, where, at in arrows if where == side),
        )


def _parts(spans: Mapping[str, layout.Span]) -> list[list[str]]:
    """The stages by side; each stage of the wire is by itself."""
    sides: dict[str, list[str]] = {}
    for name in spans:
        side = BY_NAME[name].side
        sides.setdefault(name if side == "wire" else side, []).append(name)
    return list(sides.values())


def _arrows(pattern: Pattern, spans: Mapping[str, layout.Span]) -> list[tuple[str, str, int]]:
    """From the message to its endpoint and, where it has one, on to its reply: kind, side, time."""
    there, *back = pattern.crossings()
    if not {there.stage, "endpoint"} <= set(spans):
        return []
    begin = ("s", there.sender, spans[there.stage].begin_ns)
    served, served_ns = there.receiver, spans["endpoint"].begin_ns
    replies = [each for each in back if each.stage in spans]
    if not replies:
        return [begin, ("f", served, served_ns)]
    ends = [("f", each.receiver, spans[each.stage].end_ns) for each in replies]
    return [begin, ("t", served, served_ns), *ends]


def _events(visit: _Visit, lane: int) -> Iterator[Event]:
    track = (_PROCESSES[visit.side], lane)
    if visit.side != "wire":
        name = f"{visit.pattern} {visit.seq}"
        yield _slice(name, "message", visit.begin, visit.end, track, visit.seq)
    for name, begin, end in visit.stages:
        yield _slice(name, BY_NAME[name].bucket, begin, end, track, visit.seq)
    for kind, at in visit.arrows:
        event = {"ph": kind, "id": visit.seq, "name": "message", "cat": "flow", "ts": at / 1000}
        # The end of an arrow is in the slice around it, not at the next one.
        yield event | {"pid": track[0], "tid": lane} | ({"bp": "e"} if kind == "f" else {})


def _slice(
    name: str, category: str, begin: int, end: int, track: tuple[int, int], seq: int
) -> Event:
    event = {"ph": "X", "name": name, "cat": category, "pid": track[0], "tid": track[1]}
    return event | {"ts": begin / 1000, "dur": (end - begin) / 1000, "args": {"seq": seq}}


def _name(kind: str, process: int, lane: int, name: str) -> Event:
    return {"ph": "M", "name": kind, "pid": process, "tid": lane, "ts": 0, "args": {"name": name}}


def _chosen(found: Messages) -> dict[str, Integers]:
    """The columns with the messages that are shown, one column of all messages at a time."""
    if not found.stage_names():
        return {}
    seq = found.seq()
    if seq is None or not len(seq):
        return {}
    began, ended = found.start_ns, found.end_ns
    rows = choose(ended[seq] - began[seq])
    columns = {"start_ns": began, "end_ns": ended, "seq": seq[rows]}
    if found.pattern is not None:
        columns["pattern"] = found.pattern
    return columns | {f"stage.{n}": found.stage(n)[rows] for n in found.stage_names()}
