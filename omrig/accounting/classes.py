"""A run by the patterns of its mix, and by the sizes of its payloads.

Each class is accounted as if its messages were all that was sent: its sides are the run's, in which
the messages of other classes never began and never arrived. So whatever is true of a run of one
pattern and one size is true of a class, and no figure is of two patterns at once.
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from omrig.model import failures
from omrig.model.columns import Flags, Integers
from omrig.model.mix import MIX
from omrig.model.result import Counts, Part, Result, Throughput
from omrig.model.run import Run
from omrig.recordings import recording
from omrig.recordings.messages import FAILED, FAILED_KIND, Messages
from omrig.recordings.recording import Recording, Sides

_OF_ANOTHER = -1
"""In place of a size: the message is of another class."""


@dataclasses.dataclass(frozen=True)
class Class:
    """Some messages of a run: the run as it would have been with these alone, and its sides.

    A class of sizes has payloads from ``least_bytes`` to ``most_bytes``.
    """

    run: Run
    sides: Sides
    least_bytes: int | None = None
    most_bytes: int | None = None


def by_pattern(run: Run, sides: Sides) -> dict[str, Class] | None:
    """The messages of each pattern of a mix by its name; None where the run has one pattern.

    Empty where nobody wrote down which message was of which pattern: its producer left nothing.
    """
    if run.plan.pattern != MIX:
        return None
    places = sides["producer"].messages.pattern if "producer" in sides else None
    if places is None:
        return {}
    return {
        pattern.name: Class(*_only(run, sides, places == place, pattern=pattern.name, mix=None))
        for place, pattern in enumerate(run.plan.patterns)
    }


def by_size(run: Run, sides: Sides) -> dict[str, Class] | None:
    """The messages of each class of sizes, the small ones first; None where there is one size.

    A class has the sizes from a power of two up to the next one, and is called by its bounds in
    bytes; one without messages is left out.
    """
    sizes = sides["producer"].messages.size_bytes if "producer" in sides else None
    if sizes is None:
        return None
    found = {}
    mine = sizes[sizes != _OF_ANOTHER]
    for least, most in _bounds(int(mine.max(initial=0))):
        if ((mine >= least) & (mine <= most)).any():
            chosen = (sizes >= least) & (sizes <= most)
            found[f"{least}-{most}"] = Class(*_only(run, sides, chosen), least, most)
    return found


def _bounds(largest: int) -> list[tuple[int, int]]:
    """The classes up to that of the largest size: 0 and 1, 2 and 3, 4 to 7, 8 to 15 ..."""
    powers = range(1, max(2, largest.bit_length() + 1))
    return [(2 ** (power - 1) if power > 1 else 0, 2**power - 1) for power in powers]


def _only(run: Run, sides: Sides, chosen: Flags, **plan: Any) -> tuple[Run, Sides]:
    """The run and its sides with the ``chosen`` messages alone; ``plan`` is what else changes."""
    plan = {"messages": int(chosen.sum()), **plan}
    run = dataclasses.replace(run, plan=dataclasses.replace(run.plan, **plan))
    numbering = sides["producer"].numbering()
    of_producer = {
        producer: chosen[offset : offset + count]
        for producer, offset, count in zip(
            numbering.ids, numbering.offsets, numbering.counts, strict=True
        )
    }
    found = [_producer(run, each, of_producer) for each in sides["producer"].members]
    if "consumer" in sides:
        found += [_consumer(run, each, of_producer) for each in sides["consumer"].members]
    return run, recording.held(recording.join(found))


def _producer(run: Run, side: Recording, chosen_of: Mapping[str, Flags]) -> Recording:
    columns, chosen = dict(side.messages.columns), chosen_of[side.about.producer_id]
    columns.pop("pattern", None)
    for name in ("start_ns", "end_ns"):
        columns[name] = numpy.where(chosen, columns[name], 0)
    if "size_bytes" in columns:
        columns["size_bytes"] = numpy.where(chosen, columns["size_bytes"], _OF_ANOTHER)
    errors: dict[str, int] = {}
    if side.messages.failed is not None:
        kept = chosen[side.messages.failed[0]]
        for name in (*FAILED, FAILED_KIND):
            if name in columns:
                columns[name] = columns[name][kept]
        errors = _errors(side, columns.get(FAILED_KIND))
    about = dataclasses.replace(
        side.about,
        sent=int((columns["start_ns"] > 0).sum()),
        done=int((columns["end_ns"] > 0).sum()),
        errors=errors,
    )
    return dataclasses.replace(side, run=run, about=about, messages=Messages(columns))


def _errors(side: Recording, kinds: Integers | None) -> dict[str, int]:
    """How many of these failures were of which error."""
    if kinds is None:
        return {}
    names = {failures.kind(name): name for name in side.about.errors}
    return dict(Counter(names[kind] for kind in kinds.tolist()))


def _consumer(run: Run, side: Recording, chosen_of: Mapping[str, Flags]) -> Recording:
    columns = {}
    for producer, chosen in chosen_of.items():
        received = side.messages.received_of(producer)
        if received is not None:
            columns[f"received_ns.{producer}"] = numpy.where(chosen[: len(received)], received, 0)
    messages = Messages(columns)
    about = dataclasses.replace(side.about, received=len(messages.received()), duplicated=0)
    return dataclasses.replace(side, run=run, about=about, messages=messages)


def part(
    found: Class,
    result: Result,
    whole: Throughput | None,
    sizes: Mapping[str, Part] | None = None,
) -> Part:
    """What a class came to, by the ``result`` of its run; ``whole`` is the throughput of all."""
    is_pattern = found.least_bytes is None
    return Part(
        least_bytes=found.least_bytes,
        most_bytes=found.most_bytes,
        # Who sent a message twice or to nobody is not known of it, and so neither is its class.
        messages=dataclasses.replace(
            result.messages, duplicated=None, out_of_range=None, foreign=None,
            of_other_producers=None,
        ),
        throughput=_of_whole(result.throughput, whole),
        latency=result.latency,
        latency_with_failures=result.latency_with_failures,
        latency_of_failures=result.latency_of_failures,
        stages=result.stages,
        buckets=result.buckets,
        closure=result.closure,
        waterfall=result.waterfall if is_pattern else None,
        stalls=result.stalls if is_pattern else None,
        verdict=result.verdict if is_pattern else None,
        sizes=sizes,
    )  # fmt: skip


def _of_whole(found: Throughput | None, whole: Throughput | None) -> Throughput | None:
    """The throughput of a class over the time of the load, so that those of all add up."""
    if found is None or whole is None:
        return found
    part = found.duration_seconds / whole.duration_seconds
    return Throughput(
        messages_per_second=round(found.messages_per_second * part, 3),
        bytes_per_second=round(found.bytes_per_second * part, 1),
        duration_seconds=whole.duration_seconds,
    )


def added(sides: Sides, whole: Counts, parts: Sequence[Counts]) -> Counts:
    """The counts of a mix: of ``whole`` is what does not depend on how a message ends."""
    replied = [each.replied for each in parts if each.replied is not None]
    lost = [each.lost for each in parts if each.lost is not None]
    received = [each.received for each in parts if each.received is not None]
    expected = None
    if any(each.expected is not None for each in parts):
        expected = sum(each.expected or each.sent or 0 for each in parts)
    others = whole.of_other_producers
    if others is not None:
        others = sides["consumer"].about.received - sum(received)
    again = sum(each.duplicated or 0 for each in parts)
    return dataclasses.replace(
        whole,
        expected=expected,
        received=sum(received) if received else whole.received,
        replied=sum(replied) if replied else None,
        lost=sum(lost) if len(lost) == len(parts) else None,
        duplicated=None if whole.duplicated is None else whole.duplicated + again,
        of_other_producers=others,
    )
