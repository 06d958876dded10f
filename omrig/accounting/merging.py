"""The members of one run that lie in several folders, as one run."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from omrig.accounting import members
from omrig.accounting import result as accounting
from omrig.accounting.result import Accounted
from omrig.model import members as names
from omrig.model.errors import UsageError
from omrig.model.result import Artefact
from omrig.model.run import Run
from omrig.model.spread import MemberRow
from omrig.model.values import Json
from omrig.recordings import artefacts, recording
from omrig.recordings import folder as run_folder
from omrig.recordings.recording import Recording, Sides

_POOL = "executor_thread_pool_size"


_NOT_GIVEN = "its folder was not given"


@dataclasses.dataclass(frozen=True)
class _Place:
    """A member that there was to be; ``found`` is None where it left nothing in its folder.

    ``given`` is False where no folder was given that it could have left something in.
    """

    folder: Path
    side: str
    name: str
    found: Recording | None
    given: bool = True


def merge(folders: Sequence[Path]) -> Accounted:
    """The result of the members of one run that lie in several folders; nothing is written.

    Raises ``UsageError`` when they are not of one run.
    """
    runs = {
        folder: Run.from_json(run_folder.read_json(folder / run_folder.RUN)) for folder in folders
    }
    if len(runs) < len(folders):
        twice = next(each for each in folders if folders.count(each) > 1)
        raise UsageError(f"RUN: {twice} is given twice")
    places = [each for folder, run in runs.items() for each in _places(folder, run)]
    _check(runs, places)
    places = _named([*places, *_unknown_consumers(runs, places)])
    sides = recording.join(each.found for each in places if each.found)
    found = accounting.of_sides(_whole(runs, places, sides), sides)
    made = dataclasses.replace(found.result, artefacts=tuple(_artefacts(places)))
    unknown = _unknown_producers(sides)
    if unknown or not all(each.given for each in places):
        rows = (*_told(members.all_rows(found.run, sides), places), *unknown)
        made = dataclasses.replace(made, members=rows)
    return dataclasses.replace(found, result=made)


def _places(folder: Path, run: Run) -> Iterator[_Place]:
    found = {each.member.name: each for each in recording.members(folder)}
    for name in run.wanted:
        yield _Place(folder, names.side_of(name), name, found.get(name))


def _check(runs: dict[Path, Run], places: Sequence[_Place]) -> None:
    """Raises ``UsageError`` unless each member is tied to the others, and there is but once."""
    seen: dict[tuple[object, ...], Path] = {}
    for place in places:
        if place.found is None:
            continue
        about = place.found.about
        who = (place.side, about.producer_id, about.boot_id, about.pid, runs[place.folder].run_id)
        if who in seen:
            raise UsageError(
                f"RUN: {place.folder} and {seen[who]} hold the same {place.side}: give one of them"
            )
        seen[who] = place.folder
    ties = {folder: _ties(runs[folder], folder, places) for folder in runs}
    first, *others = runs
    tied, reached = ties[first], {first}
    while more := [each for each in others if each not in reached and ties[each] & tied]:
        reached |= {*more}
        tied = tied.union(*(ties[each] for each in more))
    for stranger in others:
        if stranger not in reached:
            raise UsageError(_strangers(first, stranger, places))


def _ties(run: Run, folder: Path, places: Sequence[_Place]) -> set[tuple[object, ...]]:
    """What a folder has in common with others of its run: its id, and who knew whom."""
    found: set[tuple[object, ...]] = {("run", run.run_id)} if run.run_id else set()
    for each in [place.found for place in places if place.folder == folder and place.found]:
        about = each.about
        if each.side == "producer":
            found.add(("producer", about.producer_id))
            found |= {("consumer", *_process(who)) for who in about.consumers.values()}
        else:
            found.add(("consumer", about.boot_id, about.pid))
            found |= {("producer", producer) for producer in about.producers}
    return found


def _process(who: Json) -> tuple[Json, Json]:
    """What tells a process that others have met from all others."""
    return (who.get("boot_id"), who.get("pid")) if isinstance(who, Mapping) else (None, None)


def _unknown_consumers(runs: dict[Path, Run], places: Sequence[_Place]) -> list[_Place]:
    """The consumers that the producers met, or the other consumers expected, and of which no folder
    was given."""
    met: dict[tuple[Json, Json], None] = {}
    for each in [place.found for place in places if place.found]:
        met |= dict.fromkeys(_process(who) for who in each.about.consumers.values())
    consumers = [place for place in places if place.side == "consumer"]
    known = [(p.found.about.boot_id, p.found.about.pid) for p in consumers if p.found]
    # Who left nothing in a folder that was given is one of those that are not known.
    silent = sum(place.found is None for place in consumers)
    unknown = len([process for process in met if process not in known]) - silent
    folders = {place.folder for place in consumers}
    expected = max((runs[each].plan.expect_consumers or 1 for each in folders), default=1)
    return [
        _Place(places[0].folder, "consumer", f"other-{number}", None, given=False)
        for number in range(max(unknown, expected - len(folders) if folders else 0))
    ]


def _strangers(first: Path, stranger: Path, places: Sequence[_Place]) -> str:
    sides = {
        place.side: place.folder
        for place in places
        if place.folder in (first, stranger) and place.found
    }
    if {"producer", "consumer"} <= sides.keys() and len({*sides.values()}) == 2:
        return (
            f"RUN: the consumer in {sides['consumer']} did not serve the producer in"
            f" {sides['producer']}: they are not sides of one run"
        )
    return (
        f"RUN: {first} and {stranger} are of different runs: nobody in one met anybody in the other"
    )


def _named(places: Sequence[_Place]) -> list[_Place]:
    """The places with names of their own: as in their folder where all of a side are in one."""
    named: list[_Place] = []
    for side in ("producer", "consumer"):
        mine = [each for each in places if each.side == side]
        several = len({each.folder for each in mine}) > 1 or not all(each.given for each in mine)
        new = names.names(side, len(mine)) if several else [each.name for each in mine]
        named += [
            dataclasses.replace(
                each,
                name=name,
                found=each.found and dataclasses.replace(each.found, name=name),
            )
            for each, name in zip(mine, new, strict=True)
        ]
    return named


def _whole(runs: dict[Path, Run], places: Sequence[_Place], sides: Sides) -> Run:
    """The run that all folders are of: in whatever order they are, the plan is the producer's."""
    both = ("producer", "consumer")
    held = {side: [each.folder for each in places if each.side == side] for side in both}
    present = tuple(side for side in both if held[side])
    senders = dict.fromkeys(held[present[0]])
    not_given = [place.name for place in places if not place.given]
    first = runs[next(iter(senders))]
    messages = [runs[each].plan.messages for each in senders]
    because = dict.fromkeys(run.ended_because for run in runs.values() if run.ended_because)
    if not_given:
        because[f"the folder of {' and '.join(not_given)} was not given"] = None
    plan = first.plan
    if any(len(mine) > 1 for mine in held.values()):
        known = [count for count in messages if count is not None]
        plan = dataclasses.replace(
            plan,
            messages=sum(known) if len(known) == len(messages) else None,
            producers=len(held["producer"]) or 1,
            consumers=len(held["consumer"]) or 1,
        )
    pools = dict(first.pools)
    if "consumer" in sides and _POOL in sides["consumer"].run.pools:
        pools[_POOL] = sides["consumer"].run.pools[_POOL]
    return dataclasses.replace(
        first,
        plan=plan,
        sides=present,
        began=tuple(place.name for place in places if place.given),
        ended_because="; ".join(because) or None,
        pools=pools,
        apart=_apart(first, runs, places) or None,
    )


def _apart(first: Run, runs: dict[Path, Run], places: Sequence[_Place]) -> dict[str, str]:
    """By the members of each other folder: what they ran with that the first ones did not."""
    found = {}
    for folder, run in runs.items():
        members = ", ".join(place.name for place in places if place.folder == folder)
        if told := _told_apart(first, run):
            found[members] = told
    return found


def _told_apart(first: Run, other: Run) -> str:
    """What of its host, its versions and its settings another run has that is not the first's."""
    mine, its = first.environment, other.environment
    packages = [*dict.fromkeys([*mine.versions, *its.versions])]
    ran = [("Python", mine.python, its.python)] + [
        (name, mine.version(name), its.version(name)) for name in packages
    ]
    own, others = _settings(first), _settings(other)
    set_here = [(f"{name} =", own.get(name), others[name]) for name in others if name in own]
    place = [("host", mine.host, its.host), ("Linux", mine.kernel, its.kernel)]
    return ", ".join(f"{name} {new}" for name, old, new in (*ran, *set_here, *place) if old != new)


def _settings(run: Run) -> dict[str, Json]:
    return {name: each.value for name, each in (run.settings or {}).items()}


def _artefacts(places: Sequence[_Place]) -> Iterator[Artefact]:
    """The files of all folders; where members of a side are in several, each by its whole path."""
    folders = [(place.side, place.folder) for place in places]
    several = len(set(folders)) > len({side for side, _ in folders})
    for folder in dict.fromkeys(folder for _, folder in folders):
        mine = {p.found.folder.name: p.name for p in places if p.folder == folder and p.found}
        for each in artefacts.recorded(folder, mine):
            yield dataclasses.replace(
                each,
                side=mine.get(each.side, each.side),
                path=str(folder / each.path) if several else each.path,
            )


def _told(rows: Sequence[MemberRow], places: Sequence[_Place]) -> Iterator[MemberRow]:
    """The rows, which know nothing of folders."""
    not_given = [place.name for place in places if not place.given]
    for row in rows:
        yield dataclasses.replace(row, reason=_NOT_GIVEN) if row.name in not_given else row


def _unknown_producers(sides: Sides) -> list[MemberRow]:
    """The producers that the consumers served and of which no folder was given."""
    if "consumer" not in sides:
        return []
    sent = sides["producer"].members if "producer" in sides else ()
    given = [each.about.producer_id for each in sent]
    return [
        MemberRow(
            name="another producer",
            side="producer",
            host=str(who.get("host", "")) if isinstance(who, Mapping) else "",
            complete=False,
            reason=_NOT_GIVEN,
        )
        for producer, who in sides["consumer"].about.producers.items()
        if producer not in given
    ]
