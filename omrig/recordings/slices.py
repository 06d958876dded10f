"""The slices of a load as its members noted them."""

import dataclasses
from collections.abc import Sequence

import numpy

from omrig.model.columns import Integers
from omrig.model.values import Value


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedSlice(Value):
    """Consecutive messages, by sequence number from ``first`` to before ``end``.

    The two slices of a ``pair`` are compared, one of them ``profiled``. The CPU seconds are those
    that a side used for it. ``drained_ns`` is when the consumer had received all casts of it, on
    the producer's clock, None where that is not known. A consumer notes whose slice it is, and on
    its own clock when it was told of it.
    """

    first: int
    end: int
    profiled: bool
    pair: int | None = None
    producer_cpu_seconds: float | None = None
    consumer_cpu_seconds: float | None = None
    drained_ns: int | None = None
    producer: str = ""
    at_ns: int = 0


def place(firsts: Sequence[int], seq: Integers) -> Integers:
    """In which of the slices that begin at ``firsts`` the messages with these numbers are."""
    places: Integers = numpy.searchsorted(firsts, seq, side="right") - 1
    return places
