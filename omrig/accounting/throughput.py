"""How many messages a second."""

from collections import Counter
from collections.abc import Sequence

import numpy

from omrig.accounting import latency, slicing
from omrig.accounting.slicing import Slicing
from omrig.model.columns import CHUNK, Integers
from omrig.model.result import Second, Throughput
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings import recording
from omrig.recordings.recording import Sides


def measure(
    run: Run, sides: Sides, sliced: Slicing | None, patterns: Sequence[tuple[Run, Sides]] = ()
) -> Throughput | None:
    """Messages that ended well, over the time from the first one's start to the last one's end.

    Where the load was sent in slices, the time between them does not count. A consumer alone sees
    arrivals only: the first one starts the time and is not counted in the rate. In a mix the
    messages of each of the ``patterns`` end as theirs do.
    """
    ended, first = _together(patterns) if patterns else ended_of(run, sides)
    if not len(ended):
        return None
    paused_s, pauses = slicing.pauses(sliced)
    counted = len(ended) - (0 if "producer" in sides else 1 + pauses)
    duration = (int(ended.max()) - first) / NS - paused_s
    if counted < 1 or duration <= 0:
        return None
    per_second = _per_second(ended, first)
    return Throughput(
        messages_per_second=round(counted / duration, 3),
        bytes_per_second=round(counted * _payload_bytes(run, sides) / duration, 1),
        duration_seconds=round(duration, 6),
        series=tuple(
            Second(t_seconds=second, messages=per_second.get(second, 0))
            for second in range(int(max(per_second)) + 1)
        ),
    )


def _per_second(ended: Integers, first: int) -> Counter[int]:
    """How many messages ended in each second since ``first``."""
    found: Counter[int] = Counter()
    for begin in range(0, len(ended), CHUNK):
        seconds, counts = numpy.unique(
            (ended[begin : begin + CHUNK] - first) // NS, return_counts=True
        )
        found.update(dict(zip(seconds.tolist(), counts.tolist(), strict=True)))
    return found


def _payload_bytes(run: Run, sides: Sides) -> float:
    """The mean payload of the messages that ended well."""
    producer = sides.get("producer")
    if producer is None or producer.messages.size_bytes is None:
        return run.plan.size_bytes
    return float(producer.messages.size_bytes[producer.messages.end_ns > 0].mean())


def _together(patterns: Sequence[tuple[Run, Sides]]) -> tuple[Integers, int]:
    """When the messages of all patterns ended, and when the first of them began."""
    found = [ended_of(run, sides) for run, sides in patterns]
    found = [(ended, first) for ended, first in found if len(ended)]
    if not found:
        return numpy.zeros(0, numpy.int64), 0
    return numpy.concatenate([ended for ended, _ in found]), min(first for _, first in found)


def ended_of(run: Run, sides: Sides) -> tuple[Integers, int]:
    """When each message ended, and when the first one began; nothing ended: an empty column.

    Where messages end with their receipt, both sides on one clock give the consumer's messages from
    the producer's first send on.
    """
    producer, consumer = sides.get("producer"), sides.get("consumer")
    if producer:
        ends = producer.messages.end_ns
        ended = ends[ends > 0]
        if not len(ended):
            return ended, 0
        first, _ = latency.span_ns(producer)
        of_receipts = all(pattern.ends == "receipt" for pattern in run.plan.patterns)
        if consumer and of_receipts and recording.on_one_clock([producer, consumer]):
            ended = consumer.messages.received()
        return ended, first
    ended = consumer.messages.received() if consumer else numpy.zeros(0, numpy.int64)
    return ended, int(ended[0]) if len(ended) else 0
