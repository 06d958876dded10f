"""Units of time and size, and numbers as people read them."""

import math

NS = 1_000_000_000
"""Nanoseconds in a second."""

MS = 1_000_000
"""Nanoseconds in a millisecond."""

_TIMES = ((NS, "s"), (MS, "ms"), (1_000, "µs"), (1, "ns"))
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def duration(nanoseconds: float) -> str:
    """A duration with three significant digits and its unit."""
    return _scaled(nanoseconds, _TIMES)


def size(size_bytes: float) -> str:
    """A size with three significant digits and its binary unit."""
    return _scaled(size_bytes, _SIZES)


def cores(share: float) -> str:
    """CPU seconds per second."""
    return f"{share:.2f} of a core" if share < 1 else f"{share:.2f} cores"


def _scaled(value: float, units: tuple[tuple[int, str], ...]) -> str:
    for factor, unit in units:
        if abs(value) >= factor:
            return f"{_three_digits(value / factor)} {unit}"
    return f"{_three_digits(value)} {units[-1][1]}"


def _three_digits(value: float) -> str:
    if not value:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}"
