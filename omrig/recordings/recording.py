"""What a member of a run wrote down while it ran, read back."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy

from omrig.model.columns import Integers
from omrig.model.resources import Resources
from omrig.model.run import Member, Run
from omrig.model.values import Json, Value
from omrig.recordings import folder as run_folder
from omrig.recordings import messages, stamping
from omrig.recordings.messages import Messages
from omrig.recordings.slices import RecordedSlice
from omrig.recordings.stamping import Stamping


@dataclasses.dataclass(frozen=True, kw_only=True)
class Offer(Value):
    """The profiler modes of a member: those that slow the run, all that can be taken out while the
    load runs, and those that cannot."""

    slow: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    lasting: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class SlicingPlan(Value):
    """What is compared in slices: ``modes`` by side; with ``slow_only`` the others stay on.

    ``reason`` is why nothing was compared.
    """

    modes: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    slow_only: bool = False
    reason: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class About(Value):
    """What a member counted, and who it is: its ``side.json``.

    ``producer_id``, ``sent``, ``done`` and ``errors`` (by name) are a producer's; ``producers`` by
    their ids, and the rest of the counts, a consumer's. ``usage`` is what the process used during
    the load, None where none began. ``offer`` is None where no profiler was asked for its own.
    """

    boot_id: str = ""
    host: str = ""
    pid: int = 0
    usage: Resources | None = None
    producer_id: str = ""
    sent: int = 0
    done: int = 0
    errors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    producers: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    received: int = 0
    duplicated: int = 0
    out_of_range: int = 0
    foreign: int = 0
    offer: Offer | None = None
    slicing: SlicingPlan | None = None
    slices: tuple[RecordedSlice, ...] = ()

    def member(self, side: str) -> Member:
        """The process that was this side."""
        return Member(name=side, side=side, host=self.host, boot_id=self.boot_id, pid=self.pid)


@dataclasses.dataclass(frozen=True)
class Recording:
    """One member of a run.

    ``folder`` is the member's own. ``stamps`` are the rows of the stage instrument, ``stamping``
    what the instrument says of itself; both are None without it.
    """

    side: str
    folder: Path
    run: Run
    about: About
    messages: Messages = dataclasses.field(default_factory=Messages)
    stamps: Integers | None = None
    stamping: Stamping | None = None

    @property
    def member(self) -> Member:
        """The process that it was."""
        return self.about.member(self.side)


Sides = Mapping[str, Recording]
"""The members of a run, by side."""


def load(folder: Path) -> dict[str, Recording]:
    """The recordings in a run folder by side; a side that wrote nothing is left out."""
    run = Run.from_json(run_folder.read_json(folder / run_folder.RUN))
    found = {}
    for side in run.sides:
        about = read_about(folder / side)
        if about:
            # Where both sides ran in one process, their stamps are in the first side's folder.
            stamps_in = folder / (run.sides[0] if run.transport.in_memory else side)
            found[side] = Recording(
                side=side,
                folder=folder / side,
                run=run,
                about=about,
                messages=messages.read(folder / side) or Messages(),
                stamps=_read_stamps(stamps_in, side),
                stamping=stamping.read(stamps_in),
            )
    return found


def read_about(folder: Path) -> About | None:
    """What the member in ``folder`` counted, and who it is; None where it wrote nothing."""
    value = run_folder.read_json(folder / run_folder.SIDE)
    return About.from_json(value) if value else None


def on_one_host(members: Iterable[Member]) -> bool:
    """Whether the members have one clock: they ran since the same boot of one machine."""
    return len({member.boot_id for member in members}) == 1


def _read_stamps(folder: Path, side: str) -> Integers | None:
    path = folder / run_folder.STAMPS
    if not path.exists():
        return None
    with numpy.load(path) as file:
        return file[side].astype(numpy.int64) if side in file else None
