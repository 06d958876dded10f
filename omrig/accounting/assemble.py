"""From the recordings of a run, in one folder or several, to its result."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy

from omrig.accounting import books, costs, latency, littles_law, sampled, stalled, usage
from omrig.accounting.verdict import decision
from omrig.model.errors import Losses, UsageError
from omrig.model.result import SCHEMA, Artefact, Result
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings import folder as run_folder
from omrig.recordings import recording, writer
from omrig.recordings.recording import Column, Recording

Sides = dict[str, Recording]


Files = Callable[[Path, Run, Result, Losses], Result]
"""What writes further files of a result into the run folder; the result that lists them."""


def finish(
    folder: Path, losses: Losses, files: Files, ended: dict[str, Any] | None = None
) -> Result:
    """Make the result of the run in ``folder``; write ``result.json`` and what ``files`` writes.

    A side that wrote nothing (it was killed) is left out and makes the run incomplete. What cannot
    be written is noted in ``losses``; it makes a run incomplete that has just ended, of which
    ``ended`` is the ``run.json``.
    """
    run = ended or run_folder.read_json(folder / run_folder.RUN)
    # Where omrig was killed it is still kept.
    for each in (folder, *(folder / side for side in run["sides"])):
        writer.release(each)
    sides = recording.load(folder)
    result, timelines = _result(run, sides)
    result = dataclasses.replace(result, artefacts=_artefacts(folder, sides))
    if timelines:
        with losses.noted():
            books.save(timelines)
    result = files(folder, Run.from_json(run), result, losses)
    whole = result
    for name in (run_folder.RUN, run_folder.RESULT):
        result = _with_losses(whole, losses) if ended else whole
        run.update(complete=result.complete, reason=result.reason)
        with losses.noted():
            content = run if name == run_folder.RUN else result.to_json()
            writer.write_json(folder / name, content)
    # The last of them may have been refused, too.
    return _with_losses(whole, losses) if ended else whole


def _with_losses(result: Result, losses: Losses) -> Result:
    if not losses:
        return result
    reasons = [result.reason] if result.reason else []
    reason = "; ".join([*reasons, f"not written: {losses}"])
    return dataclasses.replace(result, complete=False, reason=reason)


def merge(folders: list[Path]) -> tuple[Run, Result]:
    """``run.json`` and the result of the sides of one run that lie in several folders.

    Nothing is written. Raises ``UsageError`` when they are not sides of one
    run.
    """
    run, result, _ = merge_messages(folders)
    return run, result


def merge_messages(folders: list[Path]) -> tuple[Run, Result, dict[str, Column]]:
    """Like :func:`merge`, and the stages of each message as one run's ``messages.npz`` has them."""
    sides: Sides = {}
    for folder in folders:
        for name, side in recording.load(folder).items():
            if name in sides:
                raise UsageError(f"RUN: {folder} has a {name}, and so has {sides[name].folder}")
            sides[name] = side
    if {"producer", "consumer"} - set(sides):
        raise UsageError("RUN: a producer's and a consumer's folder are needed to merge them")
    producer, consumer = sides["producer"], sides["consumer"]
    if producer.about["producer_id"] not in consumer.about["producers"]:
        raise UsageError(
            f"RUN: the consumer in {consumer.folder.parent} did not serve the producer in"
            f" {producer.folder.parent}: they are not sides of one run"
        )
    # In whatever order they were given, the plan of the load is the producer's.
    sides = {"producer": producer, "consumer": consumer}
    because = [side.run["ended_because"] for side in sides.values() if side.run["ended_because"]]
    run = {
        **producer.run,
        "sides": ["producer", "consumer"],
        "ended_because": "; ".join(because) or None,
        "pools": {
            **producer.run["pools"],
            "executor_thread_pool_size": consumer.run["pools"]["executor_thread_pool_size"],
        },
    }
    result, timelines = _result(run, sides)
    found = [_artefacts(side.folder.parent, {side.side: side}) for side in sides.values()]
    result = dataclasses.replace(result, artefacts=tuple(itertools.chain.from_iterable(found)))
    return Run.from_json(run), result, _stage_columns(timelines)


def _stage_columns(timelines: books.Timelines | None) -> dict[str, Column]:
    if timelines is None:
        return {}
    if "seq" not in timelines.book.columns:
        # The consumer's alone: its messages are known by their ids.
        return {}
    columns = {f"stage.{name}": values for name, values in timelines.durations.items()}
    return {"seq": timelines.book.columns["seq"], **columns}


def _result(run: dict[str, Any], sides: Sides) -> tuple[Result, books.Timelines | None]:
    latencies = _latencies(sides)
    messages = _messages(run, sides)
    reason = _reason(run, sides, messages)
    sliced = costs.slicing(sides)
    staged, timelines = books.stages(sides, costs.in_slices(sliced))
    quiet, undisturbed = _undisturbed(sides, sliced)
    found = stalled.find(sides, undisturbed if quiet else timelines)
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "complete": reason is None,
        "reason": reason,
        "pattern": run["plan"]["pattern"],
        "executor": run["plan"]["executor"],
        "sides": list(sides),
        "is_measurement": not run["transport"]["in_memory"],
        "messages": messages,
        "throughput": _throughput(run, sides, sliced),
        "latency": latency.summarise(latencies) if latencies is not None else None,
        **_failures(sides, latencies),
        **(quiet or staged),
        "stalls": found.told if found else None,
        "verdict": None,
        "distortion": costs.of_modes(sides, sliced, timelines),
        "slices": costs.coverage(sliced, stages_are_quiet=quiet is not None),
        "resources": sampled.resources(run, sides),
        "machines": sampled.machines(sides),
        "profiles": {name: _profiles(side) for name, side in sides.items()},
        "artefacts": [],
    }
    slices = [(each.first, each.end) for each in sliced.spans] if sliced else []
    result["little"] = littles_law.check(run, result, sides.get("producer"), slices)
    if result["stages"] or (messages["errors"] and not result["latency"]):
        rest = found.rest if found else None
        facts = books.facts(sides, {**result, **(rest or {})})
        facts = dataclasses.replace(facts, **usage.facts(result))
        cores = {**facts.cpu_share, **costs.cpu_share(sliced, profiled=quiet is None)}
        facts = dataclasses.replace(facts, cpu_share=cores)
        others = Result.from_json({**result, **rest}) if rest else None
        verdict = decision.decide(Result.from_json(result), facts, others)
        result["verdict"] = verdict.to_json()
    return Result.from_json(result), timelines


def _failures(sides: Sides, latencies: Column | None) -> dict[str, Any]:
    """The latencies with those that failed, and of these alone where it is known."""
    if latencies is None:
        return {"latency_with_failures": None, "latency_of_failures": None}
    producer = sides["producer"]
    known, failed = latency.of_failed(producer), latency.of_failed_at_least(producer)
    return {
        "latency_with_failures": latency.summarise_with_failures(latencies, failed),
        "latency_of_failures": None if known is None else latency.summarise(known),
    }


def _undisturbed(
    sides: Sides, sliced: costs.Slicing | None
) -> tuple[dict[str, Any] | None, books.Timelines | None]:
    """The stages of the messages that were sent without what slows the run; None without any."""
    keep = costs.undisturbed(sliced)
    quiet, timelines = books.stages(sides, keep) if keep else ({}, None)
    return (quiet, timelines) if quiet.get("stages") else (None, None)


def _profiles(side: Recording) -> dict[str, Any]:
    """What the profilers of a side summarised of themselves, by mode."""
    found = {
        mode: run_folder.read_json(side.folder / f"profile.{mode}.json")
        for mode in side.run["plan"]["profile"]
    }
    if "memory" in found:
        found["memory"] = sampled.memory(side)
    return {mode: summary for mode, summary in found.items() if summary is not None}


def _latencies(sides: Sides) -> Column | None:
    if "producer" not in sides:
        return None
    times = sides["producer"].times
    ended = times["end_ns"] > 0
    latencies: Column = (times["end_ns"] - times["start_ns"])[ended]
    return latencies


def _span(producer: Recording) -> tuple[int, int]:
    """When the first message was sent and when the last one ended, on the producer's clock."""
    ended = producer.times["end_ns"] > 0
    return (
        int(producer.times["start_ns"][ended].min()),
        int(producer.times["end_ns"].max()),
    )


def _throughput(
    run: dict[str, Any], sides: Sides, sliced: costs.Slicing | None
) -> dict[str, Any] | None:
    """Messages that ended well, over the time from the first one's start to the last one's end.

    Where the load was sent in slices, the time between them does not count.

    A cast ends where it is received, so both sides of a cast on one host give the consumer's
    messages from the producer's first send on. A consumer alone sees arrivals only: the first one
    starts the time and is not counted in the rate.
    """
    producer, consumer = sides.get("producer"), sides.get("consumer")
    if producer and not (producer.times["end_ns"] > 0).any():
        return None
    if producer and consumer and run["plan"]["pattern"] == "cast" and _one_host(sides):
        ended, first = consumer.received(), _span(producer)[0]
    elif producer:
        ended = producer.times["end_ns"][producer.times["end_ns"] > 0]
        first = _span(producer)[0]
    elif consumer:
        ended = consumer.received()
        first = int(ended[0]) if len(ended) else 0
    else:
        return None
    paused_s, pauses = costs.pauses(sliced)
    counted = len(ended) - (1 + pauses if producer is None else 0)
    duration = (int(ended.max()) - first) / NS - paused_s if len(ended) else 0.0
    if counted < 1 or duration <= 0:
        return None
    seconds, counts = numpy.unique((ended - first) // NS, return_counts=True)
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


def _one_host(sides: Sides) -> bool:
    return len({side.about["boot_id"] for side in sides.values()}) == 1


def _messages(run: dict[str, Any], sides: Sides) -> dict[str, Any]:
    """The counts of the run; None for what no side of it could see.

    ``foreign`` messages are of producers that had not presented themselves, and are part of
    ``out_of_range``; no message of another producer is ``received``, nor is it ``lost``.
    """
    producer = sides["producer"].about if "producer" in sides else None
    consumer = sides["consumer"].about if "consumer" in sides else None
    sent = producer["sent"] if producer else None
    received = consumer["received"] if consumer else None
    others = None
    if producer and consumer:
        # The same consumer may have served other producers.
        times = sides["consumer"].times.get(f"received_ns.{producer['producer_id']}")
        received = 0 if times is None else int((times > 0).sum())
        others = consumer["received"] - received
    replied = producer["done"] if producer and run["plan"]["pattern"] == "call" else None
    lost = None
    if sent is not None and received is not None:
        lost = max(0, sent - received)
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
        "foreign": consumer.get("foreign") if consumer else None,
        "of_other_producers": others,
        "errors": producer["errors"] if producer else {},
    }


def _reason(run: dict[str, Any], sides: Sides, messages: dict[str, Any]) -> str | None:
    """Why the run is incomplete, in words; None when it is complete."""
    reasons = [run["ended_because"]] if run["ended_because"] else []
    # Who was never told to begin has nothing to leave.
    missing = [name for name in run.get("began", run["sides"]) if name not in sides]
    if missing and (sides or not reasons):
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
    if list(sides) == ["consumer"] and requested is not None:
        absent = requested - (messages["received"] or 0)
        if absent > 0:
            reasons.append(f"{absent} of {requested} messages did not come")
    return "; ".join(reasons) or None


def _artefacts(folder: Path, sides: Sides) -> tuple[Artefact, ...]:
    artefacts: list[dict[str, Any]] = []
    for side in sides:
        artefacts += run_folder.read_json(folder / side / run_folder.ARTEFACTS) or []
        artefacts.append(
            {
                "path": f"{side}/messages.npz",
                "kind": "message times",
                "side": side,
                "open_with": "numpy.load",
            }
        )
    return tuple(Artefact.from_json(each) for each in artefacts + sampled.artefacts(folder))
