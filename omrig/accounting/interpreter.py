"""What native threads wait for the interpreter: time in which their process computed, not they."""

import numpy

from omrig.model.columns import Integers


def known_before(when: Integers, times: Integers, values: Integers) -> Integers:
    """The last of ``values``, known at ``times``, before each time; the first if there is none."""
    place = numpy.searchsorted(times, when, side="right") - 1
    return values[numpy.maximum(place, 0)] if len(values) else numpy.zeros_like(when)


def known_after(when: Integers, times: Integers, values: Integers) -> Integers:
    """The first of ``values``, known at ``times``, after each time; the last if there is none."""
    place = numpy.searchsorted(times, when, side="left")
    return values[numpy.minimum(place, len(values) - 1)] if len(values) else numpy.zeros_like(when)
