"""From the recordings in a run folder to ``result.json``."""

from pathlib import Path
from typing import Any

import numpy

from omrig.results import folder as run_folder
from omrig.results import latency
from omrig.results.latency import Nanoseconds

_NS = 1_000_000_000

Sides = dict[str, dict[str, Any]]
"""``side.json`` of each side that wrote one, by the side's name."""


def assemble(folder: Path) -> dict[str, Any]:
    """Make the result of the run in ``folder`` and write ``result.json`` and ``latency.hlog``.

    A side that wrote nothing (it was killed) is left out and makes the run incomplete.
    """
    run = run_folder.read_json(folder / run_folder.RUN)
    sides: Sides = {
        name: side
        for name in run["sides"]
        if (side := run_folder.read_json(folder / name / "side.json"))
    }
    times = {name: _read_times(folder / name / "messages.npz") for name in sides}
    latencies = _latencies(times)
    messages = _messages(run, sides)
    reason = _reason(run, sides, messages)
    artefacts = _artefacts(folder, sides)
    if latencies is not None and len(latencies):
        first, last = _span(times["producer"])
        started = run["started_epoch_seconds"]
        latency.write_hlog(
            folder / "latency.hlog", latencies, started, started + (last - first) / _NS
        )
        artefacts.insert(
            0,
            {
                "path": "latency.hlog",
                "kind": "hdrhistogram log",
                "side": "producer",
                "open_with": "any HdrHistogram log viewer; values are in ns",
            },
        )
    result = {
        "schema": run_folder.SCHEMA,
        "complete": reason is None,
        "reason": reason,
        "pattern": run["plan"]["pattern"],
        "executor": run["plan"]["executor"],
        "sides": list(sides),
        "is_measurement": not run["transport"]["in_memory"],
        "messages": messages,
        "throughput": _throughput(run, times),
        "latency": latency.summarise(latencies) if latencies is not None else None,
        "stages": None,
        "buckets": None,
        "closure": None,
        "verdict": None,
        "distortion": {
            mode: {"throughput_ratio": None, "reason": "not measured in this run"}
            for mode in run["plan"]["profile"]
        },
        "resources": {name: side["usage"] for name, side in sides.items()},
        "artefacts": artefacts,
    }
    run.update(complete=result["complete"], reason=reason)
    run_folder.write_json(folder / run_folder.RUN, run)
    run_folder.write_json(folder / run_folder.RESULT, result)
    return result


def _read_times(path: Path) -> dict[str, Nanoseconds]:
    with numpy.load(path) as file:
        return {name: file[name].astype(numpy.int64) for name in file.files}


def _latencies(times: dict[str, dict[str, Nanoseconds]]) -> Nanoseconds | None:
    if "producer" not in times:
        return None
    return times["producer"]["end_ns"] - times["producer"]["start_ns"]


def _span(columns: dict[str, Nanoseconds]) -> tuple[int, int]:
    """When the first message of a side began and when its last one ended, on its own clock."""
    started, ended = next(iter(columns.values())), list(columns.values())[-1]
    return (int(started.min()), int(ended.max())) if len(ended) else (0, 0)


def _throughput(
    run: dict[str, Any], times: dict[str, dict[str, Nanoseconds]]
) -> dict[str, Any] | None:
    """Messages that ended well, over the time from the first one's start to the last one's end.

    A cast ends where it is received, so both sides of a cast give the consumer's messages from
    the producer's first send on. A consumer alone sees arrivals only: the first one starts the
    time and is not counted in the rate.
    """
    finishing = "consumer" if _ends_at_consumer(run, times) else "producer"
    if finishing not in times:
        return None
    ended = list(times[finishing].values())[-1]
    first, last = _span(times[finishing])
    if "producer" in times and len(times["producer"]["start_ns"]):
        first = _span(times["producer"])[0]
    duration = (last - first) / _NS
    counted = len(ended) - ("producer" not in times)
    if counted < 1 or duration <= 0:
        return None
    seconds, counts = numpy.unique((ended - first) // _NS, return_counts=True)
    per_second = dict(zip(seconds.tolist(), counts.tolist(), strict=True))
    return {
        "messages_per_second": round(counted / duration, 3),
        "bytes_per_second": round(counted * run["plan"]["size_bytes"] / duration, 1),
        "duration_seconds": round(duration, 6),
        "series": [
            {"t_seconds": second, "messages": per_second.get(second, 0)}
            for second in range(int(max(per_second)) + 1)
        ],
    }


def _ends_at_consumer(run: dict[str, Any], times: dict[str, dict[str, Nanoseconds]]) -> bool:
    return "consumer" in times and ("producer" not in times or run["plan"]["pattern"] == "cast")


def _messages(run: dict[str, Any], sides: Sides) -> dict[str, Any]:
    """The counts of the run; None for what no side of it could see."""
    producer, consumer = sides.get("producer"), sides.get("consumer")
    sent = producer["sent"] if producer else None
    received = consumer["received"] if consumer else None
    replied = producer["done"] if producer and run["plan"]["pattern"] == "call" else None
    lost = None
    if sent is not None and received is not None:
        lost = sent - received
    elif sent is not None and replied is not None:
        lost = sent - replied
    return {
        "requested": run["plan"]["messages"],
        "sent": sent,
        "received": received,
        "replied": replied,
        "lost": lost,
        "duplicated": consumer["duplicated"] if consumer else None,
        "out_of_range": consumer["out_of_range"] if consumer else None,
        "errors": producer["errors"] if producer else {},
    }


def _reason(run: dict[str, Any], sides: Sides, messages: dict[str, Any]) -> str | None:
    """Why the run is incomplete, in words; None when it is complete."""
    reasons = [run["ended_because"]] if run["ended_because"] else []
    missing = [name for name in run["sides"] if name not in sides]
    if missing:
        reasons.append(f"the {' and the '.join(missing)} left no results")
    requested = messages["requested"]
    unsent = requested - messages["sent"] if "producer" in sides else 0
    if unsent > 0:
        reasons.append(f"{unsent} of {requested} messages were not sent")
    failed = sum(messages["errors"].values())
    if failed:
        names = ", ".join(f"{name} {count}" for name, count in messages["errors"].items())
        reasons.append(f"{failed} of {messages['sent']} messages failed: {names}")
    if messages["lost"]:
        reasons.append(f"{messages['lost']} messages were lost")
    if "producer" not in sides and requested is not None:
        absent = requested - (messages["received"] or 0)
        if absent > 0:
            reasons.append(f"{absent} of {requested} messages did not come")
    return "; ".join(reasons) or None


def _artefacts(folder: Path, sides: Sides) -> list[dict[str, Any]]:
    artefacts: list[dict[str, Any]] = []
    for side in sides:
        artefacts += run_folder.read_json(folder / side / "artefacts.json") or []
        artefacts.append(
            {
                "path": f"{side}/messages.npz",
                "kind": "message times",
                "side": side,
                "open_with": "numpy.load",
            }
        )
    return artefacts
