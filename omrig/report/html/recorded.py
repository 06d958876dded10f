"""What the page shows beyond the result: when each message was, and its stages, column by column.

A run may have millions of messages, so columns are read when they are asked for, one at a time.
All times given out here are in ns since the load began.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import Integers
from omrig.model.result import Result
from omrig.recordings import folder as run_folder
from omrig.recordings.series import BROKER

_MESSAGES = "messages.npz"
_SEQ = "seq"
_STAGE = "stage."


@dataclasses.dataclass(frozen=True)
class Recorded:
    """The recordings of a run.

    ``folders`` and ``origins`` are by side, and for the broker: where its files lie, and the
    reading of its host's CLOCK_MONOTONIC at which the load began. ``ended`` is when each message
    that counts in the throughput ended. ``latency`` and ``latency_at`` are how long each message
    of the producer took and when it ended, ``numbers`` their sequence numbers, ``unanswered`` when
    those were sent that never did; they are empty without a producer. ``starts`` is by sequence
    number. ``stages`` has a column ``stage.<name>`` each, rows as in its column ``seq`` where
    there is a producer; ``rows`` are those that the result is about, None for all.
    """

    folders: Mapping[str, Path]
    origins: Mapping[str, int]
    ended: Integers
    latency: Integers
    latency_at: Integers
    numbers: Integers
    unanswered: Integers
    starts: Integers
    stages: Mapping[str, Integers]
    rows: Integers | None

    @property
    def length_ns(self) -> int:
        """From the beginning of the load to the end of its last message."""
        ends = [int(each.max()) for each in (self.ended, self.latency_at) if len(each)]
        return max(ends, default=0)

    def stage_names(self) -> list[str]:
        """The stages that were recorded of each message."""
        return [name.removeprefix(_STAGE) for name in self.stages if name.startswith(_STAGE)]

    def stage(self, name: str) -> Integers:
        """The durations of one stage, a row each message."""
        return self._chosen(_STAGE + name)

    def stage_numbers(self) -> Integers | None:
        """The sequence numbers of the messages whose stages are known; None without a producer."""
        return self._chosen(_SEQ) if _SEQ in self.stages else None

    def _chosen(self, column: str) -> Integers:
        values = _integers(self.stages[column])
        return values if self.rows is None else values[self.rows]


@contextlib.contextmanager
def opened(
    folders: Sequence[Path],
    result: Result,
    stages: Mapping[str, Integers] | None = None,
) -> Iterator[Recorded]:
    """The recordings in ``folders``; ``stages`` are those of a merge, which no folder holds."""
    sides = _sides(folders)
    with contextlib.ExitStack() as files:
        columns = {
            side: files.enter_context(numpy.load(folder / _MESSAGES))
            for side, folder in sides.items()
            if (folder / _MESSAGES).exists()
        }
        yield _recorded(folders, sides, columns, result, stages)


def _sides(folders: Sequence[Path]) -> dict[str, Path]:
    return {
        side: folder / side
        for folder in folders
        for side in ("producer", "consumer")
        if (folder / side / "side.json").exists()
    }


def _recorded(
    folders: Sequence[Path],
    sides: Mapping[str, Path],
    columns: Mapping[str, Any],
    result: Result,
    stages: Mapping[str, Integers] | None,
) -> Recorded:
    none = numpy.zeros(0, numpy.int64)
    starts = ends = none
    if "producer" in columns:
        starts = _integers(columns["producer"]["start_ns"])
        ends = _integers(columns["producer"]["end_ns"])
    received = _received(columns["consumer"]) if "consumer" in columns else none
    origins = _origins(sides, starts, ends, received, result)
    began = origins.get("producer", 0)
    done = ends > 0
    counted = ends[done] - began
    if _counts_received(sides, result) or "producer" not in columns:
        counted = received - origins.get("consumer", 0)
    if stages is None:
        stages = next(iter(columns.values()), {})
    rows = None
    if result.coverage and result.coverage.stages_of:
        rows = _undisturbed(sides, stages)
        # Which rows of a consumer alone those are is not written down.
        stages = stages if rows is not None else {}
    return Recorded(
        folders={**sides, BROKER: folders[0] / BROKER},
        origins={**origins, BROKER: next(iter(origins.values()), 0)},
        ended=counted,
        latency=(ends - starts)[done],
        latency_at=ends[done] - began,
        numbers=numpy.flatnonzero(done),
        unanswered=numpy.sort(starts[(starts > 0) & ~done] - began),
        starts=starts - began,
        stages=stages,
        rows=rows,
    )


def _undisturbed(sides: Mapping[str, Path], stages: Mapping[str, Integers]) -> Integers | None:
    """The rows of the messages that were sent without what slows the run; None if not known."""
    if _SEQ not in stages or "producer" not in sides:
        return None
    slices = run_folder.read_json(sides["producer"] / "side.json")["slices"]
    place = numpy.searchsorted([each["first"] for each in slices], stages[_SEQ], side="right") - 1
    profiled = numpy.array([each["profiled"] for each in slices])
    return numpy.flatnonzero(~profiled[place])


def _origins(
    sides: Mapping[str, Path],
    starts: Integers,
    ends: Integers,
    received: Integers,
    result: Result,
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
    if len(origins) > 1:
        clock = result.clock
        if clock:
            origins["consumer"] = origins["producer"] + clock.offset_ns
        elif _on_one_host(sides):
            origins["consumer"] = origins["producer"]
    return origins


def _counts_received(sides: Mapping[str, Path], result: Result) -> bool:
    """Whether messages end where they are received: without replies, seen on one clock."""
    return result.pattern != "call" and len(sides) > 1 and _on_one_host(sides)


def _on_one_host(sides: Mapping[str, Path]) -> bool:
    abouts = [run_folder.read_json(folder / "side.json") for folder in sides.values()]
    return len({about["boot_id"] for about in abouts}) == 1


def _received(columns: Any) -> Integers:
    """When the endpoint had each message, of all producers, in order."""
    times = [_integers(columns[name]) for name in columns if name.startswith("received_ns")]
    received = numpy.concatenate([numpy.zeros(0, numpy.int64), *times])
    return numpy.sort(received[received > 0])


def _integers(column: NDArray[Any]) -> Integers:
    return column.astype(numpy.int64, copy=False)
