"""What every renderer says of a run in words."""

from typing import Any

from omrig.results import units

_LATENCIES = {"call": "call() to its reply", "cast": "cast() to the publisher confirm"}


def latency(run: dict[str, Any]) -> str:
    """From where to where a latency of this run is."""
    return _LATENCIES[run["plan"]["pattern"]]


def caveats(run: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """What to know before the figures of a run are believed or quoted."""
    warnings = []
    if not result["complete"]:
        warnings.append(f"incomplete: {result['reason']}")
    if not result["is_measurement"]:
        warnings.append(
            f"not a measurement: {run['transport']['url']} stays inside one process;"
            " this run shows that things work, not how fast"
        )
    if result["executor"] == "eventlet":
        warnings.append(
            "OpenStack has deprecated the eventlet executor; --executor threading succeeds it"
        )
    slowed = [mode for mode in run["plan"]["profile"] if mode not in ("none", "stages")]
    if slowed:
        warnings.append(
            f"profiled with {', '.join(slowed)}: throughput and latency are those of the profiled"
            " run, not of an unprofiled one"
        )
    return warnings


def load(run: dict[str, Any]) -> str:
    """The load in one line."""
    plan = run["plan"]
    parts = [f"{' and '.join(run['sides'])}, pattern {plan['pattern']}, {plan['executor']}"]
    if "producer" in run["sides"]:
        workers = "1 worker" if plan["workers"] == 1 else f"{plan['workers']} workers"
        parts.append(f"{workers} in a closed loop, {units.size(plan['size_bytes'])} payload")
    parts.append(f"profile {', '.join(plan['profile'])}")
    return ", ".join(parts)
