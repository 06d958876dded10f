"""Payloads of many sizes: how many bytes each message of a load has.

A size is that of the payload, as :mod:`omrig.model.payload` defines it. Whatever was asked for is
kept as sizes with weights. A payload is prepared for each size before the load, so there are no
more than :data:`MOST_SIZES`, and all of them together take no more than :data:`MOST_BYTES`: sizes
that are closer together than that allows are one, and ``step_bytes`` says how far apart they are.
"""

import dataclasses
import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omrig.model import errors, payload, redaction, units
from omrig.model.errors import UsageError
from omrig.model.values import Value

OPTION = "--message_size"

KILOBYTE = 1024
"""Bytes in one kilobyte of ``--message_size``."""

NOVA_BOOT = "nova-boot"
"""The lengths that were recorded while servers were booted and deleted; the file says by whom."""

MOST_SIZES = 256
"""A load has no more sizes than that."""

MOST_BYTES = 64 * 1024 * 1024
"""The payloads of all sizes together have no more bytes than that, where there are many."""

MOST_MESSAGE_BYTES = 128 * 1024 * 1024
"""Largest message that RabbitMQ accepts by default (``max_message_size`` since 3.8)."""

FEWEST_SIZES = 4
"""... but a range has as many, however large they are."""

_IN_KILOBYTES = 16 * KILOBYTE
"""A range as wide as that goes in whole kilobytes."""

_RANGE = re.compile(r"([0-9.]+)-([0-9.]+)")
_LINE = re.compile(r"(\d+)[\s,;]+(\d+)")
_HEADER = re.compile(r"size_bytes[\s,;]+count")
_LENGTHS = "string_lengths:"
"""In a file of the form of oslo.messaging's ``tools/messages_length.yaml``: what follows are the
lengths, one after the other."""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes in bytes, in rising order, with how often each of them comes.

    ``name`` is what was asked for. ``step_bytes`` is how far apart sizes are at least, 1 where each
    is as it was asked for.
    """

    name: str
    sizes_bytes: tuple[int, ...]
    weights: tuple[int, ...]
    step_bytes: int = 1

    def __post_init__(self) -> None:
        # JSON has lists alone.
        object.__setattr__(self, "sizes_bytes", tuple(self.sizes_bytes))
        object.__setattr__(self, "weights", tuple(self.weights))
        smallest, largest = self.sizes_bytes[0], self.sizes_bytes[-1]
        within(smallest)
        within(largest)
        impossible = [size for size in self.sizes_bytes if 0 < size < payload.SMALLEST_BYTES]
        if impossible:
            raise UsageError(
                f"{OPTION}: {self.name}: no argument has {impossible[0]} bytes; give 0 or at least"
                f" {payload.SMALLEST_BYTES} bytes ({payload.SMALLEST_BYTES / KILOBYTE:.3f})"
            )

    @property
    def mean_bytes(self) -> int:
        """The mean size, to the byte."""
        added = sum(size * n for size, n in zip(self.sizes_bytes, self.weights, strict=True))
        return round(added / sum(self.weights))

    @property
    def largest_bytes(self) -> int:
        """The largest size."""
        return self.sizes_bytes[-1]

    def percentile(self, percent: float) -> int:
        """The smallest size that ``percent`` of the messages do not exceed, in bytes."""
        wanted, reached = math.ceil(percent / 100 * sum(self.weights)), 0
        for size, weight in zip(self.sizes_bytes, self.weights, strict=True):
            reached += weight
            if reached >= wanted:
                return size
        return self.sizes_bytes[-1]

    def recorded(self) -> "RecordedSizes":
        """What ``run.json`` says of them."""
        pairs = list(zip(self.sizes_bytes, self.weights, strict=True))
        return RecordedSizes(
            name=self.name,
            smallest_bytes=self.sizes_bytes[0],
            median_bytes=self.percentile(50),
            p90_bytes=self.percentile(90),
            largest_bytes=self.sizes_bytes[-1],
            distinct=len(self.sizes_bytes),
            step_bytes=self.step_bytes,
            digest=hashlib.sha256(repr(pairs).encode()).hexdigest()[:12],
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordedSizes(Value):
    """A summary of the sizes of a load: ``distinct`` of them, and what messages have, in bytes.

    ``digest`` is the same for the same sizes with the same weights.
    """

    name: str
    smallest_bytes: int
    median_bytes: int
    p90_bytes: int
    largest_bytes: int
    distinct: int
    step_bytes: int = 1
    digest: str = ""

    def __str__(self) -> str:
        """In words, for people."""
        spread = f"{units.size(self.smallest_bytes)} to {units.size(self.largest_bytes)}"
        middle = f"median {units.size(self.median_bytes)}, p90 {units.size(self.p90_bytes)}"
        step = f", in steps of {units.size(self.step_bytes)}" if self.step_bytes > 1 else ""
        return f"payloads of {self.name} ({spread}, {middle}{step})"


def parse(text: str) -> int | Sizes:
    """One size in bytes, or several: of ``10``, ``1-100`` (kilobytes), ``nova-boot`` or a file.

    Raises ``UsageError`` when the text is none of these, or the file is none.
    """
    number = _kilobytes(text)
    if number is not None:
        within(number)
        return number
    if text == NOVA_BOOT:
        return read(Path(__file__).with_name(f"{NOVA_BOOT}.sizes"), NOVA_BOOT)
    between = _RANGE.fullmatch(text)
    if between:
        return _uniform(text, between[1], between[2])
    if Path(text).is_file():
        return read(Path(text), text)
    raise UsageError(
        f"{OPTION}: {redaction.shown_argument(text)!r} is neither a size nor a file; give"
        f" kilobytes, a range of them (1-100), {NOVA_BOOT}, or a file with a line 'size_bytes"
        " count' a size"
    )


def within(size_bytes: int) -> None:
    """Raise ``UsageError`` for a size that no message may have."""
    if not 0 <= size_bytes <= MOST_MESSAGE_BYTES:
        raise UsageError(
            f"{OPTION}: {size_bytes / KILOBYTE:g} is out of range; give kilobytes from 0 to"
            f" {MOST_MESSAGE_BYTES // KILOBYTE}"
        )


def _kilobytes(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not 0 <= number < math.inf:
        raise UsageError(f"{OPTION}: {text} is not kilobytes, 0 or more")
    return round(number * KILOBYTE)


def _uniform(text: str, least: str, most: str) -> Sizes:
    """Sizes from ``least`` to ``most`` kilobytes, each as often as any other."""
    first, last = _kilobytes(least), _kilobytes(most)
    if first is None or last is None:
        raise UsageError(f"{OPTION}: {text!r} is no range of kilobytes; give one like 1-100")
    if first >= last:
        raise UsageError(f"{OPTION}: {text!r} is no range; give the smaller size first")
    within(last)
    width = last - first
    unit = KILOBYTE if width >= _IN_KILOBYTES else 1
    step = unit * max(1, math.ceil(width / unit / (_room((first + last) // 2) - 1)))
    sizes = range(first, last + 1, step)
    return Sizes(text, tuple(sizes), (1,) * len(sizes), step)


def _room(mean_bytes: float) -> int:
    """How many sizes there is room for."""
    return max(FEWEST_SIZES, min(MOST_SIZES, int(MOST_BYTES // max(1, mean_bytes))))


def read(path: Path, name: str) -> Sizes:
    """The sizes in a file: a line each, in bytes, with how often it comes.

    Empty lines and what follows ``#`` count for nothing, and so does a first line ``size_bytes
    count``. A file of the form of oslo.messaging's ``tools/messages_length.yaml`` lists lengths
    in place of that. Raises ``UsageError`` that names file and line where it is neither.
    """
    with errors.naming(OPTION):
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError as error:
            raise UsageError(f"{OPTION}: {name} is no text file ({error})") from error
    found: dict[int, int] = {}
    for size, count in _lengths(lines, name) if _is_yaml(lines) else _counted(lines, name):
        found[size] = found.get(size, 0) + count
    found = {size: count for size, count in found.items() if count}
    if not found:
        raise UsageError(f"{OPTION}: {name} has no sizes; give a line 'size_bytes count' a size")
    return _fitting(name, found)


def _is_yaml(lines: Sequence[str]) -> bool:
    return any(line.strip().startswith(_LENGTHS) for line in lines)


def _counted(lines: Sequence[str], name: str) -> Iterator[tuple[int, int]]:
    before = True
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text or (before and _HEADER.fullmatch(text)):
            continue
        before = False
        pair = _LINE.fullmatch(text)
        if pair is None:
            raise UsageError(
                f"{OPTION}: {name}, line {number}: {text!r} is not 'size_bytes count', two whole"
                " numbers"
            )
        yield int(pair[1]), int(pair[2])


def _lengths(lines: Sequence[str], name: str) -> Iterator[tuple[int, int]]:
    inside = False
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text.startswith(_LENGTHS):
            inside, text = True, text.removeprefix(_LENGTHS)
        for each in re.split(r"[\s,]+", text.strip(" ,\"'[]")) if inside and text else ():
            if not each.isdecimal():
                raise UsageError(
                    f"{OPTION}: {name}, line {number}: {each!r} is not a length, a whole number"
                )
            yield int(each), 1


def _fitting(name: str, found: dict[int, int]) -> Sizes:
    """The sizes, some of them taken together where there are too many."""
    mean_bytes = sum(found) / len(found)
    room, step = _room(mean_bytes), 1
    fitted = dict(sorted(found.items()))
    while len(fitted) > room:
        step *= 2
        fitted = {}
        for size, count in sorted(found.items()):
            near = step * round(size / step)
            if near < payload.SMALLEST_BYTES <= size:
                near = step * math.ceil(payload.SMALLEST_BYTES / step)
            fitted[near] = fitted.get(near, 0) + count
    return Sizes(name, tuple(fitted), tuple(fitted.values()), step)


def from_json(values: dict[str, Any]) -> Sizes:
    """The sizes of which :func:`dataclasses.asdict` made ``values``."""
    return Sizes(**values)
