"""From the recordings of a run, in one folder or several, to its result."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from omrig.accounting import (
    closure,
    counts,
    coverage,
    estimate,
    facts,
    latency,
    littles_law,
    overhead,
    prefetch,
    quantised,
    slicing,
    stalls,
    stamp_table,
    statistics,
    throughput,
    timeline,
    usage,
)
from omrig.accounting.slicing import Keep, Slicing
from omrig.accounting.stamp_table import StampTable
from omrig.accounting.timeline import Timeline
from omrig.accounting.verdict import decision
from omrig.model.errors import UsageError
from omrig.model.patterns import PATTERNS
from omrig.model.result import Instrument, Result, Summary
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings import artefacts, messages, recording
from omrig.recordings import folder as run_folder
from omrig.recordings.messages import Messages
from omrig.recordings.recording import Recording, Sides
from omrig.recordings.stamping import Stamping


@dataclasses.dataclass(frozen=True)
class Accounted:
    """A run's result, with the timelines of all its messages (None where nobody stamped them)."""

    run: Run
    sides: Sides
    result: Result
    timeline: Timeline | None

    def stages(self) -> Messages:
        """The stages of each message that has a sequence number, and nothing else of them."""
        if self.timeline is None or self.timeline.seq is None:
            return Messages()
        return Messages().with_stages(self.timeline.seq, self.timeline.durations)

    def save_stages(self) -> None:
        """Add the stages to the messages of the side that numbers them. Raises OSError."""
        if self.timeline is None:
            return
        side = self.sides[self.timeline.table.side]
        found = side.messages.with_stages(self.timeline.seq, self.timeline.durations)
        messages.save(side.folder, found)


def account(folder: Path, run: Run) -> Accounted:
    """The result of the run in ``folder``, which is ``run``.

    What ``run`` says of its end counts, and not what is on the disk, which may have been full. A
    side that wrote nothing (it was killed) is left out and makes the run incomplete. Raises
    ``UsageError`` where the recordings are not of this omrig's making.
    """
    sides = recording.load(folder)
    found = of_sides(run, sides)
    listed = artefacts.recorded(folder, sides)
    return dataclasses.replace(found, result=dataclasses.replace(found.result, artefacts=listed))


def merge(folders: Sequence[Path]) -> Accounted:
    """The result of the sides of one run that lie in several folders; nothing is written.

    Raises ``UsageError`` when they are not sides of one run.
    """
    sides: dict[str, Recording] = {}
    for folder in folders:
        for name, side in recording.load(folder).items():
            if name in sides:
                raise UsageError(f"RUN: {folder} has a {name}, and so has {sides[name].folder}")
            sides[name] = side
    if {"producer", "consumer"} - set(sides):
        raise UsageError("RUN: a producer's and a consumer's folder are needed to merge them")
    producer, consumer = sides["producer"], sides["consumer"]
    if producer.about.producer_id not in consumer.about.producers:
        raise UsageError(
            f"RUN: the consumer in {consumer.folder.parent} did not serve the producer in"
            f" {producer.folder.parent}: they are not sides of one run"
        )
    # In whatever order they were given, the plan of the load is the producer's.
    sides = {"producer": producer, "consumer": consumer}
    because = [side.run.ended_because for side in sides.values() if side.run.ended_because]
    pool = "executor_thread_pool_size"
    run = dataclasses.replace(
        producer.run,
        sides=("producer", "consumer"),
        ended_because="; ".join(because) or None,
        pools={**producer.run.pools, pool: consumer.run.pools[pool]},
    )
    found = of_sides(run, sides)
    listed = [
        each
        for side in sides.values()
        for each in artefacts.recorded(side.folder.parent, [side.side])
    ]
    return dataclasses.replace(
        found, result=dataclasses.replace(found.result, artefacts=tuple(listed))
    )


def of_sides(run: Run, sides: Sides) -> Accounted:
    """The result of the sides of a run, without its artefacts."""
    counted = counts.count(run, sides)
    reason = counts.incomplete(run, sides, counted)
    sliced = slicing.read(sides)
    tables = _tables(sides)
    every = _timeline(run, sides, tables, slicing.in_slices(sliced))
    keep = slicing.undisturbed(sliced)
    quiet = _timeline(run, sides, tables, keep) if keep else None
    shown = quiet or every
    is_quiet = bool(quiet and sliced and slicing.are_told(sliced, tables.values()))
    used = usage.resources(run, sides)
    costs = overhead.of_modes(sides, sliced, every)
    result = Result(
        complete=reason is None,
        reason=reason,
        pattern=run.plan.pattern,
        executor=run.plan.executor,
        sides=tuple(sides),
        is_measurement=not run.transport.in_memory,
        messages=counted,
        throughput=throughput.measure(run, sides, sliced),
        overhead=estimate.added(costs, estimate.of_stamps(sides, sliced, used)),
        coverage=coverage.of_stages(sides, sliced, counted, shown is not None, is_quiet),
        resources=used,
        machines=usage.machines(sides),
        profiles={name: _profiles(side) for name, side in sides.items()},
    )
    result = _with_latencies(result, sides)
    if shown:
        result = _with_stages(result, sides, tables, shown)
    slices = [(each.first, each.end) for each in sliced.slices] if sliced else []
    law = littles_law.check(
        run.plan, result.throughput, result.latency, sides.get("producer"), slices
    )
    result = dataclasses.replace(result, littles_law=law)
    result = _with_verdict(result, sides, sliced, shown, is_quiet)
    return Accounted(run, sides, result, every)


def _tables(sides: Sides) -> dict[str, StampTable]:
    if any(side.run.transport.in_memory for side in sides.values()):
        # Nothing was on a wire, and nothing of it would be a measurement.
        return {}
    tables = ((name, stamp_table.read(side)) for name, side in sides.items())
    return {name: table for name, table in tables if table}


def _timeline(
    run: Run, sides: Sides, tables: dict[str, StampTable], keep: Keep | None
) -> Timeline | None:
    """The timelines of the messages of which ``keep`` keeps the rows; of all without it."""
    kept = {name: table.take(keep(table)) if keep else table for name, table in tables.items()}
    found = timeline.of_sides(sides, kept, PATTERNS[run.plan.pattern])
    if found is None:
        return None
    # Of all that came, whichever messages are kept.
    credits = ((name, prefetch.credit_of(sides[name].run, each)) for name, each in tables.items())
    return timeline.with_held(found, {name: credit for name, credit in credits if credit})


def _with_stages(
    result: Result, sides: Sides, tables: dict[str, StampTable], shown: Timeline
) -> Result:
    rows = statistics.table(shown.durations)
    missing = {text for name in tables for text in _stamping(sides[name]).missing}
    missing |= {
        f"the stage instrument of the {name} failed in part, and no message by it: {text}"
        for name in tables
        for text in _stamping(sides[name]).failures
    }
    return dataclasses.replace(
        result,
        stages=rows,
        buckets=statistics.buckets(rows),
        closure=closure.check(sides, shown),
        waterfall=statistics.waterfall(shown.durations, closure.total(shown.durations)),
        clock=shown.clock,
        not_measured=tuple(sorted(missing)),
        quantised=quantised.of_stages(rows, shown),
        held={name: each.summary() for name, each in shown.held.items()},
        instrument={name: _instrument(sides[name]) for name in tables},
    )


def _with_latencies(result: Result, sides: Sides) -> Result:
    producer = sides.get("producer")
    if producer is None:
        return result
    latencies = latency.of_ended(producer)
    known = latency.of_failed(producer)
    return dataclasses.replace(
        result,
        latency=statistics.summary(latencies),
        latency_with_failures=latency.with_failures(
            latencies, latency.of_failed_at_least(producer)
        ),
        latency_of_failures=None if known is None else statistics.summary(known),
    )


def _with_verdict(
    result: Result, sides: Sides, sliced: Slicing | None, shown: Timeline | None, quiet: bool
) -> Result:
    """The result with its stalls and, where there is anything to judge, the verdict."""
    told, others = stalls.of_run(sides, shown) or (None, None)
    result = dataclasses.replace(result, stalls=told)
    if not result.stages and not (result.messages.errors and not result.latency):
        return result
    rest = others.within(result) if others else None
    known = facts.of(sides, rest or result, sliced, quiet)
    return dataclasses.replace(result, verdict=decision.decide(result, known, rest))


def _instrument(side: Recording) -> Instrument:
    """How the arrival clock of a side was run, and what it cost beside the measured process."""
    stamping = _stamping(side)
    watcher = stamping.watcher
    return Instrument(
        watcher_alive=watcher.alive,
        watcher_scheduling=watcher.scheduling,
        watcher_cpu_seconds=watcher.cpu_ns / NS,
        watcher_events=watcher.events,
        arrival_clock="capture" if watcher.capturing else "watcher",
        segments_dropped=watcher.dropped,
        receive_buffer_bytes=stamping.receive_buffer_bytes,
        stamps=stamping.stamps,
    )


def _stamping(side: Recording) -> Stamping:
    if side.stamping is None:
        raise ValueError(f"{side.side} stamped nothing")
    return side.stamping


def _profiles(side: Recording) -> dict[str, Summary]:
    """What the profilers of a side summarised of themselves, by mode."""
    found = {
        mode: run_folder.read_json(side.folder / run_folder.profile(mode))
        for mode in side.run.plan.profile
    }
    if "memory" in found:
        found["memory"] = usage.memory(side)
    return {mode: summary for mode, summary in found.items() if summary is not None}
