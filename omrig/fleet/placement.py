"""Which member of a run goes to which host."""

import collections
from collections.abc import Mapping, Sequence

from omrig.fleet.hosts import Host
from omrig.model import members
from omrig.model.errors import UsageError
from omrig.model.plan import SIDES

ON = "--on"
OVERSUBSCRIBE = "--oversubscribe"


def parse(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What ``--on`` was given, ``producers=hostA,hostB``, by what stands before the ``=``.

    Raises ``UsageError`` for what is no such text, and for what is named twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        who, equals, where = text.partition("=")
        names = tuple(name.strip() for name in where.split(",") if name.strip())
        who = who.strip()
        if not (who and equals and names):
            raise UsageError(f"{ON}: {text!r} is not SIDE=HOST[,HOST...]; as producers=hostA,hostB")
        if who in found:
            raise UsageError(f"{ON}: {who} is named twice; give all its hosts at once")
        found[who] = names
    return found


def place(
    plan_members: Sequence[str],
    hosts: Sequence[Host],
    on: Mapping[str, Sequence[str]],
    oversubscribe: bool,
) -> dict[str, Host]:
    """The host of each member: in turn over those that may be, one that is full passed over.

    ``on`` has by a side (``producers``, ``consumers``) or a member's name the names or addresses of
    the hosts that its members may go to; who is not in it may go to any. A host is full with as
    many members as it has cores, unless ``oversubscribe``.

    Raises ``UsageError`` for a name that nobody and no host has, and where there is no room.
    """
    allowed = _allowed(plan_members, hosts, on)
    count: collections.Counter[str] = collections.Counter()
    placed: dict[str, Host] = {}
    # Who may go to few hosts first: the others find room elsewhere.
    for member in sorted(plan_members, key=lambda each: len(allowed[each])):
        free = [
            each for each in allowed[member] if oversubscribe or count[each.name] < each.cpu_count
        ]
        if not free:
            raise UsageError(_no_room(member, plan_members, allowed[member]))
        # The fullest of them last, and of those alike the first: this is how they take turns.
        host = min(free, key=lambda each: count[each.name])
        count[host.name] += 1
        placed[member] = host
    return {member: placed[member] for member in plan_members}


def _allowed(
    plan_members: Sequence[str], hosts: Sequence[Host], on: Mapping[str, Sequence[str]]
) -> dict[str, list[Host]]:
    """The hosts that each member may go to, in their order."""
    known = {name: each for each in hosts for name in (each.address, each.name)}
    sides = {f"{side}s": side for side in SIDES}
    for who, names in on.items():
        if who not in sides and who not in plan_members:
            raise UsageError(
                f"{ON}: there is no {who!r} in this run; use {', '.join(sides)} or a member"
                f" ({', '.join(plan_members)})"
            )
        for name in names:
            if name not in known:
                raise UsageError(
                    f"{ON} {who}: there is no host {name!r} in the fleet; it has"
                    f" {', '.join(each.name for each in hosts)}"
                )
    found = {}
    for member in plan_members:
        its_names = on.get(member) or on.get(f"{members.side_of(member)}s") or ()
        chosen = {known[name].name: known[name] for name in its_names}
        found[member] = list(chosen.values()) or list(hosts)
    return found


def _no_room(member: str, plan_members: Sequence[str], hosts: Sequence[Host]) -> str:
    cores = ", ".join(f"{each.name} {each.cpu_count}" for each in hosts)
    return (
        f"{OVERSUBSCRIBE}: {len(plan_members)} members are more than there are cores for ({cores}),"
        f" and {member} would share one; have fewer or more hosts, or give {OVERSUBSCRIBE}"
    )
