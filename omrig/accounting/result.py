"""From the recordings of a run to its result."""

import dataclasses
from pathlib import Path

import numpy

from omrig.accounting import (
    closure,
    counts,
    coverage,
    estimate,
    facts,
    latency,
    littles_law,
    members,
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
        table = self.timeline.table
        side = self.sides[table.side]
        offsets = side.numbering().offsets
        for number, each in enumerate(side.members):
            mine = numpy.flatnonzero(table.member == number)
            seq = self.timeline.seq
            found = each.messages.with_stages(
                None if seq is None else seq[mine] - offsets[number],
                {name: values[mine] for name, values in self.timeline.durations.items()},
            )
            messages.save(each.folder, found)


def account(folder: Path, run: Run) -> Accounted:
    """The result of the run in ``folder``, which is ``run``.

    What ``run`` says of its end counts, and not what is on the disk, which may have been full. A
    side that wrote nothing (it was killed) is left out and makes the run incomplete. Raises
    ``UsageError`` where the recordings are not of this omrig's making.
    """
    sides = recording.load(folder)
    found = of_sides(run, sides)
    listed = artefacts.recorded(
        folder, [each.member.name for side in sides.values() for each in side.members]
    )
    return dataclasses.replace(found, result=dataclasses.replace(found.result, artefacts=listed))


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
    rows = members.rows(run, sides)
    costs = overhead.of_modes(sides, sliced, every)
    result = Result(
        complete=reason is None,
        reason=reason,
        pattern=run.plan.pattern,
        executor=run.plan.executor,
        sides=tuple(sides),
        is_measurement=run.transport.is_measurement,
        messages=counted,
        members=rows,
        spread=members.spread(rows),
        throughput=throughput.measure(run, sides, sliced),
        overhead=estimate.added(costs, estimate.of_stamps(sides, sliced, used)),
        coverage=coverage.of_stages(sides, sliced, counted, shown is not None, is_quiet),
        resources=used,
        machines=usage.machines(sides),
        profiles={
            each.member.name: _profiles(each) for side in sides.values() for each in side.members
        },
        delivery={
            each.member.name: each.about.delivery
            for side in sides.values()
            for each in side.members
            if each.about.delivery
        }
        or None,
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
    credits = (
        (name, prefetch.credits_of(sides[name].run, each, len(sides[name].members)))
        for name, each in tables.items()
    )
    return timeline.with_held(found, {name: each for name, each in credits if each})


def _with_stages(
    result: Result, sides: Sides, tables: dict[str, StampTable], shown: Timeline
) -> Result:
    rows = statistics.table(shown.durations)
    stamped = {
        each.member.name: each.stamping
        for name in tables
        for each in sides[name].members
        if each.stamping
    }
    missing = {text for stamping in stamped.values() for text in stamping.missing}
    missing |= {
        f"the stage instrument of the {name} failed in part, and no message by it: {text}"
        for name, stamping in stamped.items()
        for text in stamping.failures
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
        instrument={name: _instrument(stamping) for name, stamping in stamped.items()},
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


def _instrument(stamping: Stamping) -> Instrument:
    """How the arrival clock of a member was run, and what it cost beside the measured process."""
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


def _profiles(member: Recording) -> dict[str, Summary]:
    """What the profilers of a member summarised of themselves, by mode."""
    found = {
        mode: run_folder.read_json(member.folder / run_folder.profile(mode))
        for mode in member.run.plan.profile
    }
    if "memory" in found:
        found["memory"] = usage.memory(member)
    return {mode: summary for mode, summary in found.items() if summary is not None}
