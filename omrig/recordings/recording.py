"""What a member of a run wrote down while it ran, read back."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy

from omrig.model import members as member_names
from omrig.model.columns import Integers
from omrig.model.delivery import Delivery
from omrig.model.resources import Resources
from omrig.model.run import Member, Run
from omrig.model.values import Json, Value
from omrig.recordings import fleet_hosts, joined, messages, stamping
from omrig.recordings import folder as run_folder
from omrig.recordings.joined import Numbering
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
class Calls(Value):
    """What a consumer counted of the calls that its endpoint made, as producer and as consumer."""

    producer_id: str
    sent: int
    done: int
    errors: Mapping[str, int] = dataclasses.field(default_factory=dict)
    received: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paced(Value):
    """When an open loop ``began`` on the load's clock, and for how long all its workers together
    were ``held`` until the consumer had caught up, in ns."""

    began_ns: int
    held_ns: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class About(Value):
    """What a member counted, and who it is: its ``side.json``.

    ``producer_id``, ``sent``, ``done`` and ``errors`` (by name) are a producer's, and so are the
    ``consumers`` that it met, by their names; ``producers`` by their ids, and the rest of the
    counts, a consumer's. ``usage`` is what the process used during
    the load, None where none began. ``offer`` is None where no profiler was asked for its own.
    ``errors_replied`` are what endpoints were told to raise and a producer got back,
    ``errors_raised`` what a consumer's did, by name; ``nested`` are the calls that this one made,
    ``listening_ns`` how long each of its services took to listen, ``pacing`` is None for
    a closed loop. ``requeued`` (of which ``redelivered`` came
    again to it) and ``batches`` are a consumer's of notifications, ``delivery`` a producer's whose
    driver sends in the background.
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
    consumers: Mapping[str, Json] = dataclasses.field(default_factory=dict)
    received: int = 0
    duplicated: int = 0
    out_of_range: int = 0
    foreign: int = 0
    errors_replied: Mapping[str, int] = dataclasses.field(default_factory=dict)
    errors_raised: Mapping[str, int] = dataclasses.field(default_factory=dict)
    nested: Calls | None = None
    listening_ns: tuple[int, ...] = ()
    requeued: int | None = None
    redelivered: int = 0
    batches: int | None = None
    delivery: Delivery | None = None
    offer: Offer | None = None
    slicing: SlicingPlan | None = None
    slices: tuple[RecordedSlice, ...] = ()
    pacing: Paced | None = None

    def member(self, side: str, name: str = "") -> Member:
        """The process that was this side, or one ``name`` of its members."""
        return Member(
            name=name or side, side=side, host=self.host, boot_id=self.boot_id, pid=self.pid
        )


@dataclasses.dataclass(frozen=True)
class Recording:
    """One member of a run, or all members of a side as one.

    ``folder`` is the member's own. ``stamps_in`` is the folder with the rows of the stage
    instrument, ``stamping`` what the instrument says of itself, None without it. ``name`` is the
    member's, empty where the side has one member.

    Of several members ``parts`` are the recordings of each. ``messages`` are then those of all,
    numbered as :mod:`omrig.recordings.joined` says, and the counts in ``about`` those of all;
    ``folder`` and ``run`` are the first one's, and stamps are the parts' alone.

    ``fleet_host`` is the host of a fleet that it ran on, empty where there was none. Where its
    times were put on the clock of another host, that is ``on``, and it is as it was recorded in
    ``own``; ``errors_ns`` is by how much they may be wrong beside those of members on each host.
    """

    side: str
    folder: Path
    run: Run
    about: About
    messages: Messages = dataclasses.field(default_factory=Messages)
    stamps_in: Path | None = None
    stamping: Stamping | None = None
    name: str = ""
    parts: tuple["Recording", ...] = ()
    fleet_host: str = ""
    on: str = ""
    own: "Recording | None" = None
    errors_ns: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def host(self) -> str:
        """What its host is known by: its name in the fleet, or which boot of the machine it was."""
        return self.fleet_host or self.about.boot_id

    @property
    def as_recorded(self) -> "Recording":
        """The same with its times as they were recorded, on its own host's clock."""
        return self.own or self

    @property
    def member(self) -> Member:
        """The process that it was."""
        return self.about.member(self.side, self.name)

    @property
    def members(self) -> tuple["Recording", ...]:
        """Its parts, itself where it is one member."""
        return self.parts or (self,)

    def stamps(self) -> Integers | None:
        """The rows of the stage instrument, read now: they are much, and used once. None without
        any."""
        return read_stamps(self.stamps_in, self.side) if self.stamps_in else None

    def numbering(self) -> Numbering:
        """How the messages of this producer are numbered, be it one process or several."""
        members = self.members
        return Numbering(
            tuple(each.about.producer_id for each in members),
            tuple(len(each.messages.start_ns) for each in members),
        )


Sides = Mapping[str, Recording]
"""The members of a run, by side."""


def load(folder: Path) -> dict[str, Recording]:
    """The recordings in a run folder by side; a member that wrote nothing is left out."""
    return held(join(members(folder)))


def members(folder: Path) -> list[Recording]:
    """The recording of each member in a run folder, of those that wrote something."""
    return [
        dataclasses.replace(
            each,
            # Of several members the columns of all as one are held, and no second time each one's.
            messages=(messages.stored if each.name else messages.read)(each.folder) or Messages(),
            stamps_in=_stamps_in(each),
            stamping=stamping.read(_stamps_in(each)),
        )
        for each in _found(folder)
    ]


@contextlib.contextmanager
def opened(
    folders: Iterable[Path],
    put: Callable[[list[Recording]], list[Recording]] = lambda found: found,
) -> Iterator[dict[str, Recording]]:
    """The sides in run folders without their stamps, whose columns are read one at a time.

    ``put`` puts the members on one clock, where that is known.
    """
    with contextlib.ExitStack() as files:
        found = [
            dataclasses.replace(
                each, messages=files.enter_context(messages.opened(each.folder)) or Messages()
            )
            for folder in folders
            for each in _found(folder)
        ]
        yield join(put(found))


def _found(folder: Path) -> Iterator[Recording]:
    """Who wrote something, and what it says of itself."""
    run = Run.from_json(run_folder.read_json(folder / run_folder.RUN))
    for side in run.sides:
        names = run.plan.names(side)
        for name in names:
            about = read_about(folder / name)
            if about:
                own = name if len(names) > 1 else ""
                yield Recording(
                    side=side,
                    folder=folder / name,
                    run=run,
                    about=about,
                    name=own,
                    fleet_host=fleet_hosts.of_member(run, name),
                )


def _stamps_in(each: Recording) -> Path:
    """Where both sides ran in one process, their stamps are in the first side's folder."""
    run = each.run
    return each.folder.parent / run.sides[0] if run.transport.in_memory else each.folder


def join(found: Iterable[Recording]) -> dict[str, Recording]:
    """The members by side, the producer first; several members of a side as one.

    Of several members those get names that have none of their own, or one that another has, too.
    """
    by_side: dict[str, list[Recording]] = {"producer": [], "consumer": []}
    for each in found:
        by_side[each.side].append(each)
    producers, consumers = (_named(side, parts) for side, parts in by_side.items())
    sides: dict[str, Recording] = {}
    if producers:
        sides["producer"] = producers[0] if len(producers) == 1 else _producers(producers)
    if consumers:
        several = len(consumers) > 1 or len(producers) > 1
        sent = sides.get("producer")
        sides["consumer"] = _consumers(consumers, sent) if several else consumers[0]
    return sides


def held(sides: Sides) -> dict[str, Recording]:
    """The same with all columns of what was joined made once."""
    return {
        name: dataclasses.replace(side, messages=Messages(dict(side.messages.columns)))
        if side.parts
        else side
        for name, side in sides.items()
    }


def _named(side: str, members: Sequence[Recording]) -> list[Recording]:
    names = [each.name for each in members]
    if len(members) == 1:
        return list(members)
    if not all(names) or len(set(names)) < len(names):
        names = list(member_names.names(side, len(members)))
    return [dataclasses.replace(each, name=name) for each, name in zip(members, names, strict=True)]


def _producers(parts: Sequence[Recording]) -> Recording:
    abouts = [each.about for each in parts]
    made = Recording("producer", parts[0].folder, parts[0].run, abouts[0], parts=tuple(parts))
    numbering = made.numbering()
    errors: Counter[str] = sum((Counter(each.errors) for each in abouts), Counter())
    about = dataclasses.replace(
        abouts[0],
        producer_id=numbering.id,
        sent=sum(each.sent for each in abouts),
        done=sum(each.done for each in abouts),
        errors=dict(errors),
        usage=None,
        slices=(),
        pacing=_paced(parts),
        delivery=None,
    )
    ahead = [_ahead(each, parts[0]) for each in parts]
    sent = joined.of_producers([each.messages for each in parts], numbering, ahead)
    return dataclasses.replace(made, about=about, messages=sent)


def _paced(parts: Sequence[Recording]) -> Paced | None:
    """The pace of several producers: it begins with the first of them, on the first one's clock."""
    found = [
        (pacing.began_ns - _ahead(each, parts[0]), pacing.held_ns)
        for each in parts
        if (pacing := each.about.pacing)
    ]
    if not found:
        return None
    return Paced(began_ns=min(began for began, _ in found), held_ns=sum(held for _, held in found))


def _ahead(each: Recording, first: Recording) -> int:
    """By how many ns the clock of a member is ahead of the first one's.

    On another host by what the coordinator of a fleet found, else by the system clocks of both;
    where those were not read, by their first messages, which are then taken to have been sent at
    once.
    """
    if on_one_clock([each, first]):
        return 0
    told = [fleet_hosts.ahead_ns(side.run, side.on or side.host) for side in (each, first)]
    if told[0] is not None and told[1] is not None:
        return told[0] - told[1]
    if each.stamping and first.stamping:
        own, other = (
            side.stamping.realtime_offsets[0][1] for side in (each, first) if side.stamping
        )
        return other - own
    spans = [side.messages.span_ns() for side in (each, first)]
    begins = [span[0] for span in spans if span]
    return begins[0] - begins[1] if len(begins) == 2 else 0


def _consumers(parts: Sequence[Recording], producer: Recording | None) -> Recording:
    abouts, read = [each.about for each in parts], [each.messages for each in parts]
    plan = parts[0].run.plan
    copies = all(pattern.copies for pattern in plan.patterns)
    # Of a mix it is counted pattern by pattern: what one has twice another one has to.
    again = 0 if copies or len(plan.patterns) > 1 else joined.again(read)
    requeued = sum(each.requeued or 0 for each in abouts)
    redelivered = sum(each.redelivered for each in abouts)
    # What went back to the broker may have come again to another of them.
    elsewhere = min(again, requeued - redelivered)
    about = dataclasses.replace(
        abouts[0],
        received=sum(each.received for each in abouts) - again,
        duplicated=sum(each.duplicated for each in abouts) + again - elsewhere,
        out_of_range=sum(each.out_of_range for each in abouts),
        foreign=sum(each.foreign for each in abouts),
        requeued=requeued or None,
        redelivered=redelivered,
        batches=sum(each.batches or 0 for each in abouts) or None,
        producers={name: who for each in abouts for name, who in each.producers.items()},
        usage=None,
    )
    numbering = producer.numbering() if producer else None
    received = joined.of_consumers(read, numbering, copies)
    return Recording("consumer", parts[0].folder, parts[0].run, about, received, parts=tuple(parts))


def read_about(folder: Path) -> About | None:
    """What the member in ``folder`` counted, and who it is; None where it wrote nothing."""
    value = run_folder.read_json(folder / run_folder.SIDE)
    return About.from_json(value) if value else None


def on_one_clock(sides: Iterable[Recording]) -> bool:
    """Whether all members of these have their times on one clock.

    They have where they ran on one host, and where their times were put on one host's clock.
    """
    return len({each.on or each.host for side in sides for each in side.members}) == 1


def read_stamps(folder: Path, side: str) -> Integers | None:
    """The rows of stamps that a process, whose folder it is, made of messages as this side."""
    path = folder / run_folder.STAMPS
    if not path.exists():
        return None
    with numpy.load(path) as file:
        return messages.as_integers(file[side]) if side in file else None
