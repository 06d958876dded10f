"""When each message of a member was: ``messages.npz``, column by column.

A measured process writes the readings of the load's own clock (CLOCK_MONOTONIC, ns, by sequence
number, 0 for none): ``start_ns`` and ``end_ns`` of a producer, ``failed_ns`` of the messages that
``failed_seq`` numbers, ``intended_ns`` when each was to be sent in an open loop, and a consumer's
``received_ns.<producer>``. Where messages differ, a producer's ``pattern`` (its place in the mix)
and ``size_bytes`` say in what, and ``failed_kind`` which error a failure was. The accounting adds
the stages: ``stage.<name>`` in ns, a row each message that ``seq`` numbers.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.model.columns import Integers
from omrig.recordings import folder as run_folder
from omrig.recordings import writer

_NONE = numpy.zeros(0, numpy.int64)

RECEIVED = "received_ns."
"""Before the id of a producer: what a consumer had of it."""

STAGE = "stage."
"""Before the name of a stage."""

SEQ = "seq"
"""The numbers of the messages whose stages are known."""

INTENDED = "intended_ns"
"""When messages of an open loop were to be sent."""

FAILED = ("failed_seq", "failed_ns")
FAILED_KIND = "failed_kind"
"""The numbers of the messages that failed, and when they did."""


@dataclasses.dataclass(frozen=True)
class Messages:
    """The messages of a member; ``columns`` are read when they are asked for."""

    columns: Mapping[str, NDArray[Any]] = dataclasses.field(default_factory=dict)

    @property
    def start_ns(self) -> Integers:
        """When each message was sent, by sequence number; empty on a consumer."""
        return self._column("start_ns")

    @property
    def end_ns(self) -> Integers:
        """When each message ended well, by sequence number; empty on a consumer."""
        return self._column("end_ns")

    @property
    def intended_ns(self) -> Integers | None:
        """When each message was to be sent, by sequence number; None in a closed loop."""
        return self._column(INTENDED) if INTENDED in self.columns else None

    @property
    def due_ns(self) -> Integers:
        """From when a message's latency counts: when it was to be sent, in a closed loop when it
        was. 0 for one that never was sent."""
        intended, started = self.intended_ns, self.start_ns
        return started if intended is None else numpy.where(started > 0, intended, 0)

    @property
    def failed(self) -> tuple[Integers, Integers] | None:
        """Which messages failed and when they did; None where that was not recorded."""
        if not set(FAILED) <= self.columns.keys():
            return None
        number, at = (self._column(name) for name in FAILED)
        return number, at

    @property
    def pattern(self) -> Integers | None:
        """The place of each message's pattern in the mix, by sequence number; None without one."""
        return self._column("pattern") if "pattern" in self.columns else None

    @property
    def size_bytes(self) -> Integers | None:
        """The payload of each message, by sequence number; None where all have the same size."""
        return self._column("size_bytes") if "size_bytes" in self.columns else None

    def received_of(self, producer: str) -> Integers | None:
        """When the endpoint had each message of a producer; None for one that it did not serve."""
        name = f"{RECEIVED}{producer}"
        return self._column(name) if name in self.columns else None

    def received(self) -> Integers:
        """When the endpoint had the messages of all producers, in order of arrival."""
        names = [name for name in self.columns if name.startswith(RECEIVED)]
        times = numpy.concatenate([_NONE, *(_known(self._column(name)) for name in names)])
        times.sort()
        return times

    def ended(self) -> Integers:
        """When messages ended, at the endpoint those that it received, in order."""
        times = numpy.concatenate([_known(self.end_ns), self.received()])
        times.sort()
        return times

    def span_ns(self) -> tuple[int, int] | None:
        """The first and the last reading of the load's clock; None without any."""
        names = [name for name in self.columns if name.startswith(RECEIVED)]
        spans = [
            (int(times.min()), int(times.max()))
            # One column at a time.
            for name in ("start_ns", "end_ns", *names)
            if len(times := _known(self._column(name)))
        ]
        return (min(first for first, _ in spans), max(last for _, last in spans)) if spans else None

    def seq(self) -> Integers | None:
        """The sequence numbers of the rows of the stages; None where only a consumer saw them."""
        return self._column(SEQ) if SEQ in self.columns else None

    def stage_names(self) -> list[str]:
        """The stages that were accounted of each message."""
        return [name.removeprefix(STAGE) for name in self.columns if name.startswith(STAGE)]

    def stage(self, name: str) -> Integers:
        """The durations of a stage in ns, a row each message."""
        return self._column(f"{STAGE}{name}")

    def stages(self) -> dict[str, Integers]:
        """The durations of all stages by name."""
        return {name: self.stage(name) for name in self.stage_names()}

    def with_stages(self, seq: Integers | None, durations: Mapping[str, Integers]) -> "Messages":
        """The same readings of the load's clock, with these stages."""
        kept = {name: self.columns[name] for name in self.columns if _is_reading(name)}
        numbered = {} if seq is None else {SEQ: seq}
        stages = {f"{STAGE}{name}": values for name, values in durations.items()}
        return Messages({**kept, **numbered, **stages})

    def _column(self, name: str) -> Integers:
        if name not in self.columns:
            return _NONE
        return as_integers(self.columns[name])


def as_integers(column: NDArray[Any]) -> Integers:
    """The column with signs; times and numbers have the same bits with and without."""
    if column.dtype == numpy.uint64:
        return column.view(numpy.int64)
    return column.astype(numpy.int64, copy=False)


def _known(times: Integers) -> Integers:
    """The times that there are."""
    return times[times > 0]


def _is_reading(name: str) -> bool:
    return not (name == SEQ or name.startswith(STAGE))


def read(folder: Path, name: str = run_folder.MESSAGES) -> Messages | None:
    """All columns of the member in ``folder``, in this file of it; None where there is none."""
    with opened(folder, name) as messages:
        if messages is None:
            return None
        return Messages({n: as_integers(messages.columns[n]) for n in messages.columns})


class _Stored(Mapping[str, NDArray[Any]]):
    """The columns in a file, each read anew whenever it is asked for, and held by nobody."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._path, self._names = path, names

    def __getitem__(self, name: str) -> NDArray[Any]:
        with numpy.load(self._path) as file:
            found: NDArray[Any] = file[name]
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def stored(folder: Path) -> Messages | None:
    """As :func:`read`, of a member whose messages are not worth the memory."""
    path = folder / run_folder.MESSAGES
    if not path.exists():
        return None
    with numpy.load(path) as file:
        return Messages(_Stored(path, list(file)))


@contextlib.contextmanager
def opened(folder: Path, name: str = run_folder.MESSAGES) -> Iterator[Messages | None]:
    """The member in ``folder`` with columns that are read one at a time; None as :func:`read`."""
    path = folder / name
    if not path.exists():
        yield None
        return
    with numpy.load(path) as file:
        yield Messages(file)


def save(folder: Path, messages: Messages) -> None:
    """Write the messages of the member in ``folder``. Raises OSError."""
    writer.save_columns(folder / run_folder.MESSAGES, messages.columns)
