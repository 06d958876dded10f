"""Growth of memory per message: what a process keeps of every message that it has handled.

Memory rises at first for other reasons (pools fill, caches and the allocator warm up), so the later
part of the load is fitted. It rises in steps, too, and stays where it is: the noise is that of a
random walk and not independent from sample to sample, and the error of an ordinary regression would
come out several times too small. So the part is cut into blocks of equally many messages, the slope
is the median of the slopes between all pairs of blocks (Theil and Sen), and its error comes from
how unequal the growth from block to block is: one step is one block's growth, a leak is every
block's.
"""

import dataclasses

import numpy

from omrig.model.columns import Floats
from omrig.model.values import Json

LATER_PART = 0.5
"""The part of the messages that is fitted, the last ones."""

BLOCKS = 8

COVERS = 2.45
"""So many standard errors hold the true growth in 95 of 100 cases: Student's t for the 7 growths
between 8 blocks."""


@dataclasses.dataclass(frozen=True)
class Growth:
    """Growth in ``bytes_per_message`` with its standard error.

    Fitted from a message on, to ``samples``.
    """

    bytes_per_message: float
    error_bytes: float
    from_message: int
    samples: int


def fit(messages: Floats, memory_bytes: Floats, total: int) -> Growth | None:
    """Growth in bytes a message and its standard error.

    ``messages`` are those completed when each of ``memory_bytes`` was taken, rising to ``total``.
    None where a block of the later part has no sample: the load was too short.
    """
    begin = total * (1 - LATER_PART)
    chosen = (messages >= begin) & (messages <= total) & ~numpy.isnan(memory_bytes)
    x, y = messages[chosen], memory_bytes[chosen]
    number = numpy.minimum((x - begin) * BLOCKS // max(1, total - begin), BLOCKS - 1)
    if len(numpy.unique(number)) < BLOCKS:
        return None
    at = numpy.array([x[number == block].mean() for block in range(BLOCKS)])
    held = numpy.array([numpy.median(y[number == block]) for block in range(BLOCKS)])
    one, other = numpy.triu_indices(BLOCKS, 1)
    slopes = (held[other] - held[one]) / (at[other] - at[one])
    growths = numpy.diff(held) / numpy.diff(at)
    return Growth(
        bytes_per_message=round(float(numpy.median(slopes)), 2),
        error_bytes=round(float(growths.std(ddof=1) / numpy.sqrt(len(growths))), 2),
        from_message=int(begin),
        samples=len(x),
    )


def grows(growth_bytes: float, error_bytes: float, own_bytes: float = 0.0) -> bool:
    """Whether memory grows by more than the error, apart from what omrig itself keeps."""
    return growth_bytes - own_bytes > COVERS * error_bytes


def told(fitted: Growth | None, own_bytes: float) -> dict[str, Json]:
    """What became of a fit, ready for JSON: with ``grows``, and ``reason`` where there is none."""
    if fitted is None:
        return {
            "growth_bytes_per_message": None,
            "standard_error_bytes": None,
            "grows": None,
            "fitted_from_message": None,
            "fitted_samples": 0,
            "reason": "the load was too short for samples in each eighth of its later half",
        }
    return {
        "growth_bytes_per_message": fitted.bytes_per_message,
        "standard_error_bytes": fitted.error_bytes,
        "fitted_from_message": fitted.from_message,
        "fitted_samples": fitted.samples,
        "grows": grows(fitted.bytes_per_message, fitted.error_bytes, own_bytes),
        "reason": None,
    }
