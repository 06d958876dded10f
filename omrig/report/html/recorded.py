"""What the page shows beyond the result: when each message was, and its stages, column by column.

A run may have millions of messages, so columns are read when they are asked for, one at a time.
All times given out here are in ns since the load began.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy

from omrig.model.columns import Integers
from omrig.model.host_clock import HostClock
from omrig.model.mix import MIX
from omrig.model.patterns import PATTERNS
from omrig.model.result import Result
from omrig.recordings import fleet_hosts, on_clock, recording, slices
from omrig.recordings.messages import Messages
from omrig.recordings.recording import Recording, Sides
from omrig.recordings.series import BROKER


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The recordings of a run.

    ``folders`` and ``origins`` are by member, and for the broker: where its files lie, and the
    reading of its host's CLOCK_MONOTONIC at which the load began. ``ended`` is when each message
    that counts in the throughput ended. ``latency`` and ``latency_at`` are how long each message
    of the producer took and when it ended, ``numbers`` their sequence numbers, ``unanswered`` when
    those were sent that never did; they are empty without a producer. ``starts`` is by sequence
    number. ``stages`` has those of each message, ``rows`` are the rows in it that the result is
    about, None for all.

    In a mix the messages' latencies are by pattern, in ``latency_of``, and ``latency``,
    ``latency_at`` and ``numbers`` are empty: they would be of several patterns at once.
    ``places`` are the places of the messages' patterns, by sequence number.
    """

    folders: Mapping[str, Path]
    origins: Mapping[str, int]
    ended: Integers
    latency: Integers
    latency_at: Integers
    numbers: Integers
    unanswered: Integers
    starts: Integers
    stages: Messages
    rows: Integers | None
    latency_of: Mapping[str, Integers] = dataclasses.field(default_factory=dict)
    places: Integers | None = None

    @property
    def length_ns(self) -> int:
        """From the beginning of the load to the end of its last message."""
        ends = [int(each.max()) for each in (self.ended, self.latency_at) if len(each)]
        return max(ends, default=0)

    def stage_names(self) -> list[str]:
        """The stages that were recorded of each message."""
        return self.stages.stage_names()

    def stage(self, name: str) -> Integers:
        """The durations of one stage, a row each message."""
        return self._chosen(self.stages.stage(name))

    def stage_numbers(self) -> Integers | None:
        """The sequence numbers of the messages whose stages are known; None without a producer."""
        seq = self.stages.seq()
        return None if seq is None else self._chosen(seq)

    def of_pattern(self, name: str, place: int) -> "Recorded":
        """The stages of the messages of one pattern of the mix, and nothing of the others."""
        seq = self.stages.seq()
        if seq is None or self.places is None:
            return dataclasses.replace(self, stages=Messages(), rows=None)
        rows = numpy.arange(len(seq)) if self.rows is None else self.rows
        columns = {
            f"stage.{stage}": self.stages.stage(stage)
            for stage in self.stages.stage_names()
            if stage in PATTERNS[name].stages
        }
        return dataclasses.replace(
            self,
            stages=Messages({"seq": seq, **columns}),
            rows=rows[self.places[seq[rows]] == place],
        )

    def _chosen(self, column: Integers) -> Integers:
        return column if self.rows is None else column[self.rows]


@contextlib.contextmanager
def opened(
    folders: Sequence[Path],
    result: Result,
    stages: Messages | None = None,
) -> Iterator[Recorded]:
    """The recordings in ``folders``; ``stages`` are those of a merge, which no folder holds."""
    clocks = result.clocks or ()
    with recording.opened(folders, lambda found: on_clock.put_all(found, clocks)) as sides:
        yield _recorded(folders, sides, result, stages)


def _recorded(
    folders: Sequence[Path], sides: Sides, result: Result, stages: Messages | None
) -> Recorded:
    sent = sides["producer"].messages if "producer" in sides else Messages()
    starts, ends = sent.start_ns, sent.end_ns
    received = sides["consumer"].messages.received() if "consumer" in sides else starts[:0]
    origins = _origins(sides, starts, ends, received)
    began = origins.get("producer", 0)
    done = ends > 0
    counted = ends[done] - began
    if _counts_received(sides, result) or not sent.columns:
        counted = received - origins.get("consumer", 0)
    if stages is None:
        stages = next((side.messages for side in sides.values() if side.messages.columns), sent)
    rows = None
    if result.coverage and result.coverage.stages_of == "unprofiled":
        rows = _undisturbed(sides, stages)
        # Which rows of a consumer alone those are is not written down.
        stages = stages if rows is not None else Messages()
    members = [each for side in sides.values() for each in side.members]
    is_mix = result.pattern == MIX
    if is_mix:
        counted = _ended_by_pattern(sides, result, origins)
        done = numpy.zeros(len(ends), numpy.bool_)
    return Recorded(
        folders={
            **{each.member.name: each.folder for each in members},
            BROKER: folders[0] / BROKER,
        },
        origins={
            **{
                each.member.name: _own(each, origins[each.side], result.clocks or ())
                for each in members
                if each.side in origins
            },
            BROKER: _of_broker(members, origins),
        },
        ended=counted,
        latency=(ends - sent.due_ns)[done],
        latency_at=ends[done] - began,
        numbers=numpy.flatnonzero(done),
        unanswered=numpy.sort(starts[(starts > 0) & (ends == 0)] - began),
        starts=starts - began,
        stages=stages,
        rows=rows,
        latency_of=_latency_by_pattern(sent, result) if is_mix else {},
        places=sent.pattern,
    )


def _latency_by_pattern(sent: Messages, result: Result) -> dict[str, Integers]:
    places, ends = sent.pattern, sent.end_ns
    if places is None:
        return {}
    return {
        name: (ends - sent.start_ns)[(ends > 0) & (places == place)]
        for place, name in enumerate(result.patterns or {})
    }


def _ended_by_pattern(sides: Sides, result: Result, origins: Mapping[str, int]) -> Integers:
    """When the messages of a mix ended, each as its pattern does."""
    if "producer" not in sides:
        return numpy.zeros(0, numpy.int64)
    producer, began = sides["producer"], origins.get("producer", 0)
    ends, places = producer.messages.end_ns, producer.messages.pattern
    received = None
    if "consumer" in sides and recording.on_one_clock(sides.values()):
        received = sides["consumer"].messages.received_of(producer.about.producer_id)
    if places is None or received is None:
        return ends[ends > 0] - began
    replied = numpy.array([PATTERNS[name].ends == "reply" for name in result.patterns or {}])
    times = numpy.where(replied[places], ends, received)
    return times[times > 0] - began


def _undisturbed(sides: Sides, stages: Messages) -> Integers | None:
    """The rows of the messages that were sent without what slows the run; None if not known."""
    seq = stages.seq()
    if seq is None or "producer" not in sides:
        return None
    sent = sides["producer"].about.slices
    profiled = numpy.array([each.profiled for each in sent])
    return numpy.flatnonzero(~profiled[slices.place([each.first for each in sent], seq)])


def _origins(
    sides: Sides,
    starts: Integers,
    ends: Integers,
    received: Integers,
) -> dict[str, int]:
    """The beginning of the load on the clock of each side's host.

    Where two hosts' clocks were not compared, each side's load begins with its first message.
    """
    origins = {}
    sent = starts[ends > 0] if (ends > 0).any() else starts[starts > 0]
    if len(sent):
        origins["producer"] = int(sent.min())
    if "consumer" in sides and len(received):
        origins["consumer"] = int(received.min())
    if len(origins) > 1 and recording.on_one_clock(sides.values()):
        origins["consumer"] = origins["producer"]
    return origins


def _of_broker(members: Sequence[Recording], origins: Mapping[str, int]) -> int:
    """The beginning of the load where the broker was sampled: on the host of the run's command."""
    some = next((each for each in members if each.side in origins), None)
    if some is None:
        return 0
    ahead = fleet_hosts.ahead_ns(some.run, some.on or some.host) if some.fleet_host else 0
    return origins[some.side] - (ahead or 0)


def _own(each: Recording, began: int, clocks: Sequence[HostClock]) -> int:
    """The beginning of the load on a member's own clock, by that on which its times are."""
    known = next((clock for clock in clocks if clock.host == each.host), None)
    if known is None or not known.lines or each.own is None:
        return began
    return began + known.lines[0].ahead_ns(began + known.lines[0].offset_ns)


def _counts_received(sides: Sides, result: Result) -> bool:
    """Whether messages end where they are received, seen on one clock."""
    ends = "" if result.pattern == MIX else PATTERNS[result.pattern].ends
    return ends == "receipt" and len(sides) > 1 and recording.on_one_clock(sides.values())
