"""Where the hosts of a fleet run other versions than the coordinator."""

from collections.abc import Mapping, Sequence

from omrig.fleet import hosts as fleet_hosts
from omrig.fleet.hosts import COMPARED, Host


def found(hosts: Sequence[Host]) -> tuple[str, ...]:
    """Of each version that is not the coordinator's one text: which, where, and what is here.

    Compared are omrig, Python's minor release and the packages a message passes.
    """
    here = versions(**fleet_hosts.installed())
    return tuple(
        f"{each.name}: {name} {theirs or 'missing'} (here {here[name] or 'missing'})"
        for each in hosts
        for name, theirs in versions(each.python, each.omrig, each.versions).items()
        if theirs != here[name]
    )


def versions(python: str, omrig: str, versions: Mapping[str, str | None]) -> dict[str, str | None]:
    """What has to be alike on all hosts, by its name: of a host what :class:`Host` has."""
    minor = ".".join(python.split(".")[:2])
    return {"omrig": omrig, "Python": minor, **{name: versions.get(name) for name in COMPARED}}
