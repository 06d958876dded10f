"""The processes of a recording of services: who they are, and what they left in it."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import numpy

from omrig.model.columns import Integers
from omrig.model.errors import UsageError
from omrig.model.service import MethodName
from omrig.model.stamps import COLUMNS, CPU_COLUMNS, ID_DIGITS
from omrig.model.values import Json, Value
from omrig.recordings import folder as run_folder
from omrig.recordings.services import rows

_Value = TypeVar("_Value", bound=Value)

PROCESS = "process.json"
"""In a process' folder of the fleet: who it is."""

INSTRUMENT = "instrument.json"
"""In a process' folder of a recording: what its instrument says of itself."""

KINDS = "kinds.jsonl"
"""In the same: a line a kind of messages, and a line an outcome."""

LINKS = "links.jsonl"
"""In the same: a line a connection."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class About(Value):
    """Who a process is: its ``process.json``.

    ``columns`` are the names of a row's by side; ``missing`` words on what its driver did not have,
    ``lost_stages`` those that cannot be told without, ``others`` tracers that wrap the same.
    """

    name: str
    host: str
    pid: int
    program: tuple[str, ...] = ()
    executor: str = "threading"
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    boot_id: str = ""
    started_ns: int = 0
    missing: tuple[str, ...] = ()
    lost_stages: tuple[str, ...] = ()
    stamps: str | None = None
    columns: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    others: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Instrument(Value):
    """What the instrument of a process says of itself, of one recording.

    Times are CLOCK_MONOTONIC of its host in ns; ``ended_ns`` is None where it never was turned off.
    ``realtime_offsets`` are pairs of a time and how far CLOCK_REALTIME was ahead. ``in_flight`` are
    rows of messages that were under way when it was turned off, each after its id.
    """

    began_ns: int = 0
    ended_ns: int | None = None
    turning_on_ns: int | None = None
    cpu_ns_begin: int | None = None
    cpu_ns_end: int | None = None
    realtime_offsets: tuple[tuple[int, ...], ...] = ()
    connections: int = 0
    threads: int | None = None
    failures: tuple[str, ...] = ()
    overwritten: Mapping[str, int] = dataclasses.field(default_factory=dict)
    pools: Mapping[str, int | None] = dataclasses.field(default_factory=dict)
    complete: bool = True
    in_flight: tuple[tuple[Json, ...], ...] = ()

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """The readings of both clocks as pairs."""
        return tuple((each[0], each[1]) for each in self.realtime_offsets)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Link(Value):
    """A connection to the broker, by its ``number`` in the process: since when, from where."""

    number: int
    t_ns: int = 0
    local: tuple[Json, ...] = ("", 0)
    remote: tuple[Json, ...] = ("", 0)
    tls: bool = False
    offset: int = 0

    @property
    def ports(self) -> tuple[int, int]:
        """The local one and the broker's."""
        return int(str(self.local[1])), int(str(self.remote[1]))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """A process with what it left.

    ``columns`` are those of its rows by side, ``overwritten`` rows that are lost by side; ``kinds``
    and ``outcomes`` what the numbers in them stand for. ``cpu`` are times and the CPU time that the
    process had used by each.
    """

    folder: Path
    about: About
    instrument: Instrument | None
    columns: Mapping[str, Mapping[str, Integers]]
    overwritten: Mapping[str, int]
    kinds: Mapping[int, MethodName]
    outcomes: Mapping[int, str]
    links: tuple[Link, ...]
    cpu: tuple[Integers, Integers]

    def rows(self, side: str) -> int:
        """How many rows of a side there are."""
        return len(self.columns[side]["id"])


def read(folder: Path) -> tuple[Recorded, ...]:
    """The processes of the recording in ``folder``, in the order of their start.

    Raises ``UsageError`` where they were written by another omrig.
    """
    found = [_read(each, folder.parent / each.name / PROCESS) for each in sorted(folder.iterdir())]
    return tuple(
        sorted((each for each in found if each), key=lambda each: each.about.started_ns),
    )


def _read(folder: Path, described: Path) -> Recorded | None:
    if not folder.is_dir() or not described.exists():
        return None
    about = _value(About, described)
    at = folder / INSTRUMENT
    instrument = _value(Instrument, at) if at.exists() else None
    lost = {side: 0 for side in COLUMNS}
    columns = {}
    for side in COLUMNS:
        names = about.columns.get(side, ())
        if "id" not in names:
            raise UsageError(f"{described}: there are no columns of the {side}'s rows")
        found = rows.read(folder / f"{side}.rows", len(names))
        lost[side] = found.overwritten
        if instrument:
            lost[side] = max(lost[side], instrument.overwritten.get(side, 0))
        table = found.table
        if side == "producer" and instrument:
            table = numpy.concatenate([table, _under_way(instrument, len(names))])
        columns[side] = _named(side, names, table)
    kinds, outcomes = _kinds(folder / KINDS)
    cpu = rows.read(folder / "cpu.rows", len(CPU_COLUMNS)).table
    cpu = cpu[numpy.argsort(cpu[:, 0], kind="stable")]
    return Recorded(
        folder=folder,
        about=about,
        instrument=instrument,
        columns=columns,
        overwritten=lost,
        kinds=kinds,
        outcomes=outcomes,
        links=tuple(_link(each) for each in _lines(folder / LINKS)),
        cpu=(cpu[:, 0], numpy.maximum.accumulate(cpu[:, 1])),
    )


def _named(side: str, names: tuple[str, ...], table: Integers) -> dict[str, Integers]:
    """The columns by name; those that this omrig knows and the rows have not are 0."""
    empty = numpy.zeros(len(table), numpy.int64)
    known = dict.fromkeys(COLUMNS[side], empty)
    return {**known, **{name: table[:, place].copy() for place, name in enumerate(names)}}


def _under_way(instrument: Instrument, width: int) -> Integers:
    """The rows of messages that were under way; what was not stamped yet is 0."""
    found = numpy.zeros((len(instrument.in_flight), width), numpy.int64)
    for row, values in zip(found, instrument.in_flight, strict=True):
        numbers = [_number(value) for value in values]
        # The id stands before the columns, of which it is the first.
        known = numbers[1:] if numbers[:1] == numbers[1:2] else numbers
        row[: len(known)] = known[:width]
    return found


def _number(value: Json) -> int:
    """A number of a row; of an id that is still text the digits that rows have of it."""
    return int(value[:ID_DIGITS], 16) if isinstance(value, str) else int(str(value))


def _kinds(path: Path) -> tuple[dict[int, MethodName], dict[int, str]]:
    kinds, outcomes = {}, {}
    for line in _lines(path):
        if "number" in line:
            kinds[int(str(line["number"]))] = MethodName.from_json(
                {name: value or "" for name, value in line.items()}
            )
        elif "outcome" in line:
            outcomes[int(str(line["outcome"]))] = str(line.get("name") or "")
    return kinds, outcomes


def _link(line: Mapping[str, Json]) -> Link:
    return Link.from_json(line)


def _lines(path: Path) -> Iterator[Mapping[str, Json]]:
    """The JSON objects of a file, one a line, but for half a line of a killed writer at its end."""
    if not path.exists():
        return
    text = path.read_text()
    for line in text[: text.rfind("\n") + 1].splitlines():
        value = json.loads(line)
        if isinstance(value, Mapping):
            yield value


def _value(kind: type[_Value], path: Path) -> _Value:
    try:
        return kind.from_json(run_folder.read_json(path))
    except ValueError as error:
        raise UsageError(f"{path}: {error}; record it again with this omrig") from error
