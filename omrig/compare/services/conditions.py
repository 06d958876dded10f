"""Under what conditions two recordings were made: what differs, and what makes them unstable."""

from collections import Counter
from collections.abc import Iterator

from omrig.compare.conditions import Difference, Instability, both
from omrig.model.service import ServiceResult
from omrig.model.units import NS

OTHER_LOAD = 1.25
"""From so many times the messages a second on, it is another load."""


def differences(base: ServiceResult, new: ServiceResult) -> list[Difference]:
    """Each condition in which the recordings differ."""
    described = _conditions(base), _conditions(new)
    names = dict.fromkeys([*described[0], *described[1]])
    found = []
    for name in names:
        ours, theirs = (each.get(name, "none") for each in described)
        if ours != theirs:
            # Versions and executors may be the very thing that is compared.
            spoils = name in ("one message recorded in", "hosts")
            found.append(Difference(name, (ours,), (theirs,), spoils))
    return found


def instabilities(base: ServiceResult, new: ServiceResult) -> list[Instability]:
    """Every reason not to lean on the comparison but that there is one recording each."""
    found = [
        Instability("conditions", f"{each.what} differs: {both(each)}")
        for each in differences(base, new)
        if each.unstable
    ]
    for side, result in (("BASE", base), ("NEW", new)):
        if not result.complete:
            found.append(Instability("incomplete", f"{side} is incomplete: {result.reason}"))
        found += [
            Instability("rows", f"{side}: {each.name} had no room for {each.overwritten:,} rows")
            for each in result.processes
            if each.overwritten
        ]
    return [*found, *_loads(base, new)]


def _loads(base: ServiceResult, new: ServiceResult) -> Iterator[Instability]:
    rates = [_rate(each) for each in (base, new)]
    if min(rates) <= 0:
        return
    if max(rates) / min(rates) >= OTHER_LOAD:
        yield Instability(
            "load",
            f"the load differs: {rates[0]:,.3g} messages a second in BASE, {rates[1]:,.3g} in NEW;"
            " what is slower may be so for that",
        )


def _rate(result: ServiceResult) -> float:
    """Messages a second, all methods together."""
    count = sum(each.sent or each.served for each in result.methods) * result.sample
    return count / (result.duration_ns / NS) if result.duration_ns else 0.0


def _conditions(result: ServiceResult) -> dict[str, str]:
    processes = result.processes
    found = {"one message recorded in": str(result.sample)}
    found["hosts"] = _values(each.host for each in processes)
    found["processes"] = _values(
        f"{count} {name}" for name, count in Counter(_kind(each.name) for each in processes).items()
    )
    found["executor"] = _values(f"{_kind(each.name)} {each.executor}" for each in processes)
    found["executor threads"] = _values(
        f"{_kind(each.name)} {each.executor_pool.size}" for each in processes if each.executor_pool
    )
    found["send connections"] = _values(
        f"{_kind(each.name)} {each.send_pool.size}" for each in processes if each.send_pool
    )
    found["stamps"] = _values(each.stamps or "" for each in processes)
    found["arrivals"] = _values(each.arrivals for each in processes)
    for package in dict.fromkeys(name for each in processes for name in each.versions):
        found[package] = _values(each.versions.get(package, "none") for each in processes)
    return found


def _values(values: Iterator[str]) -> str:
    return ", ".join(sorted({each for each in values if each})) or "none"


def _kind(name: str) -> str:
    """What a process is called without the pid that tells it from others of its name."""
    first, _, last = name.rpartition(" ")
    return first if first and last.isdecimal() else name
