"""From the recordings of a run to its result."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy

from omrig.accounting import (
    beginning,
    by_host,
    classes,
    closure,
    counting,
    counts,
    coverage,
    estimate,
    facts,
    host_clocks,
    instrument,
    latency,
    littles_law,
    members,
    nested,
    outages,
    overhead,
    pacing,
    prefetch,
    quantised,
    ramp,
    slicing,
    stalls,
    stamp_table,
    statistics,
    throughput,
    timeline,
    usage,
)
from omrig.accounting.classes import Class
from omrig.accounting.legs import Stages
from omrig.accounting.slicing import Keep, Slicing
from omrig.accounting.stamp_table import StampTable
from omrig.accounting.timeline import Timeline
from omrig.accounting.verdict import decision
from omrig.model.columns import Integers
from omrig.model.patterns import PATTERNS
from omrig.model.result import Part, Result, Summary, Throughput
from omrig.model.run import Run
from omrig.recordings import artefacts, messages, recording
from omrig.recordings import folder as run_folder
from omrig.recordings import nested as nested_calls
from omrig.recordings.messages import Messages
from omrig.recordings.recording import Recording, Sides


@dataclasses.dataclass(frozen=True)
class Accounted:
    """A run's result, with the timelines of all its messages, one for each pattern of a mix.

    There are none where nobody stamped them. ``shown`` are those that the stages are of.
    """

    run: Run
    sides: Sides
    result: Result
    timelines: tuple[Timeline, ...]
    shown: tuple[Timeline, ...]

    def stages(self) -> Messages:
        """The stages of each message that has a sequence number, and nothing else of them."""
        seq = self._seq()
        return Messages() if seq is None else Messages().with_stages(seq, self._joined())

    def save_stages(self) -> None:
        """Add the stages to the messages of the side that numbers them. Raises OSError."""
        if not self.timelines:
            return
        table_of = self.timelines[0].table
        side = self.sides[table_of.side]
        offsets, seq = side.numbering().offsets, self._seq()
        owner = numpy.concatenate([each.table.member for each in self.timelines])
        every = self._joined()
        for number, each in enumerate(side.members):
            mine = numpy.flatnonzero(owner == number)
            # What it recorded stays as it was, on its own clock.
            found = each.as_recorded.messages.with_stages(
                None if seq is None else seq[mine] - offsets[number],
                {name: values[mine] for name, values in every.items()},
            )
            messages.save(each.folder, found)

    def _joined(self) -> Stages:
        return statistics.joined([each.durations for each in self.timelines])

    def _seq(self) -> Integers | None:
        numbers = [each.seq for each in self.timelines if each.seq is not None]
        return numpy.concatenate(numbers) if numbers else None


def account(folder: Path, run: Run) -> Accounted:
    """The result of the run in ``folder``, which is ``run``.

    What ``run`` says of its end counts, and not what is on the disk, which may have been full. A
    side that wrote nothing (it was killed) is left out and makes the run incomplete. Raises
    ``UsageError`` where the recordings are not of this omrig's making.
    """
    # Held on one clock alone: many messages are not in memory on their hosts' own, too.
    sides = recording.join(recording.members(folder))
    found = of_sides(run, sides)
    names = [each.member.name for side in sides.values() for each in side.members]
    whole = dataclasses.replace(found.result, artefacts=artefacts.recorded(folder, names))
    return dataclasses.replace(found, result=by_host.added(run, sides, whole))


def of_sides(run: Run, sides: Sides) -> Accounted:
    """The result of the sides of a run, without its artefacts."""
    tables = _tables(sides)
    calls = nested_calls.sides(sides["consumer"]) if "consumer" in sides else None
    called = nested.tables(calls) if calls and _is_stamped(sides) else {}
    if "consumer" in tables:
        tables["consumer"] = nested.without(tables["consumer"], called.get("producer"))
    clocked = host_clocks.on_one_clock(sides, tables)
    found = _on_one_clock(run, clocked.sides, dict(clocked.tables), calls, called)
    return dataclasses.replace(found, result=clocked.told(found.result))


def _on_one_clock(
    run: Run,
    sides: Sides,
    tables: dict[str, StampTable],
    calls: Sides | None,
    called: Mapping[str, StampTable],
) -> Accounted:
    """The result of sides whose times are on one clock, as far as they can be.

    ``calls`` are those that endpoints made, and ``called`` the stamps of these.
    """
    sliced = slicing.read(sides)
    # Where stages are of some messages, those had not the time of all in their calls.
    in_part = slicing.undisturbed(sliced) is not None

    def with_nested(result: Result) -> Result:
        if calls is None:
            return result
        served = sides["consumer"].about.received
        endpoint = None if in_part else result.stage("endpoint")
        return dataclasses.replace(result, nested=nested.account(calls, called, served, endpoint))

    patterns = classes.by_pattern(run, sides)
    if patterns is not None:
        found = _of_mix(run, sides, tables, sliced, patterns)
        return dataclasses.replace(found, result=with_nested(found.result))
    found = _of_pattern(run, sides, tables, sliced, with_nested)
    slices = [(each.first, each.end) for each in sliced.slices] if sliced else []
    law = littles_law.check(
        run.plan, found.result.throughput, found.result.latency, sides.get("producer"), slices
    )
    sizes = _sizes(run, sides, tables, sliced, found.result.throughput)
    result = dataclasses.replace(found.result, littles_law=law, sizes=sizes)
    return dataclasses.replace(found, result=result)


def _of_pattern(
    run: Run,
    sides: Sides,
    tables: dict[str, StampTable],
    sliced: Slicing | None,
    with_nested: Callable[[Result], Result] = lambda result: result,
) -> Accounted:
    """The result of messages of one pattern, ``with_nested`` calls before it is judged."""
    every = _timeline(run, sides, tables, slicing.in_slices(sliced))
    keep = slicing.undisturbed(sliced)
    quiet = _timeline(run, sides, tables, keep) if keep else None
    shown = quiet or every
    is_quiet = bool(quiet and sliced and slicing.are_told(sliced, tables.values()))
    result = _begun(run, sides, sliced, every, is_quiet)
    result = dataclasses.replace(result, throughput=throughput.measure(run, sides, sliced))
    result = _with_latencies(result, sides)
    if shown:
        result = _with_stages(result, sides, tables, [(sides, shown)])
    result = with_nested(result)
    result = _with_verdict(result, sides, sliced, shown, is_quiet)
    return Accounted(run, sides, result, (every,) if every else (), (shown,) if shown else ())


def _of_mix(
    run: Run,
    sides: Sides,
    tables: dict[str, StampTable],
    sliced: Slicing | None,
    patterns: Mapping[str, Class],
) -> Accounted:
    """The result of messages of several patterns: each one's, and what is of all of them."""
    of_each = {
        name: _of_pattern(each.run, each.sides, tables, sliced) for name, each in patterns.items()
    }
    every = tuple(timeline for each in of_each.values() for timeline in each.timelines)
    shown = [(each.sides, timeline) for each in of_each.values() for timeline in each.shown]
    is_quiet = any(
        each.result.coverage and each.result.coverage.stages_of == "unprofiled"
        for each in of_each.values()
    )
    result = _begun(run, sides, sliced, None, is_quiet, [each.result for each in of_each.values()])
    ends = [(each.run, each.sides) for each in patterns.values()]
    whole = throughput.measure(run, sides, sliced, ends)
    parts = {
        name: classes.part(
            each,
            of_each[name].result,
            whole,
            _sizes(each.run, each.sides, tables, sliced, whole),
        )
        for name, each in patterns.items()
    }
    result = dataclasses.replace(result, patterns=parts, throughput=whole)
    if shown:
        result = _with_stages(result, sides, tables, shown)
    return Accounted(run, sides, result, every, tuple(timeline for _, timeline in shown))


def _begun(
    run: Run,
    sides: Sides,
    sliced: Slicing | None,
    every: Timeline | None,
    quiet: bool,
    patterns: Sequence[Result] = (),
) -> Result:
    """What a result has whether or not there were stages, less throughput and latency.

    ``patterns`` are those of a mix, whose messages have no timelines in common.
    """
    counted = counts.count(run, sides)
    if patterns:
        counted = classes.added(sides, counted, [each.messages for each in patterns])
    reason = counts.incomplete(run, sides, counted)
    used, machines = usage.resources(run, sides), usage.machines(sides)
    rows = members.rows(run, sides)
    costs = overhead.of_modes(sides, sliced, every)
    has_stages = every is not None or any(each.stages for each in patterns)
    return Result(
        complete=reason is None,
        reason=reason,
        pattern=run.plan.pattern,
        executor=run.plan.executor,
        sides=tuple(sides),
        is_measurement=run.transport.is_measurement,
        messages=counted,
        beginning=beginning.account(sides),
        members=rows,
        spread=members.spread(rows),
        overhead=estimate.added(costs, estimate.of_stamps(sides, sliced, used)),
        coverage=coverage.of_stages(sides, sliced, counted, has_stages, quiet),
        resources=used,
        machines=machines,
        pacing=pacing.of_run(sides, used, machines),
        ramp=ramp.of_run(run, sides),
        profiles={
            each.member.name: _profiles(each) for side in sides.values() for each in side.members
        },
        counts=counting.of_sides(run, sides),
        delivery={
            each.member.name: each.about.delivery
            for side in sides.values()
            for each in side.members
            if each.about.delivery
        }
        or None,
    )


def _sizes(
    run: Run,
    sides: Sides,
    tables: dict[str, StampTable],
    sliced: Slicing | None,
    whole: Throughput | None,
) -> dict[str, Part] | None:
    """What the messages of each class of sizes came to; None where all have the same size."""
    found = classes.by_size(run, sides)
    if found is None:
        return None
    return {
        name: classes.part(each, _of_pattern(each.run, each.sides, tables, sliced).result, whole)
        for name, each in found.items()
    }


def _is_stamped(sides: Sides) -> bool:
    # In memory nothing was on a wire, and nothing of it would be a measurement.
    return not any(side.run.transport.in_memory for side in sides.values())


def _tables(sides: Sides) -> dict[str, StampTable]:
    if not _is_stamped(sides):
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
    result: Result,
    sides: Sides,
    tables: dict[str, StampTable],
    shown: Sequence[tuple[Sides, Timeline]],
) -> Result:
    """The result with the stages of the timelines ``shown``, each of the messages of its sides."""
    rows = statistics.table(*(timeline.durations for _, timeline in shown))
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
    result = dataclasses.replace(
        result,
        stages=rows,
        buckets=statistics.buckets(rows),
        closure=closure.of_all(shown),
        clock=shown[0][1].clock,
        not_measured=tuple(sorted(missing)),
        instrument={name: instrument.of(stamping) for name, stamping in stamped.items()},
    )
    if len(shown) > 1:
        # No message goes the ways of two patterns.
        return result
    ((_, timeline),) = shown
    return dataclasses.replace(
        result,
        waterfall=statistics.waterfall(timeline.durations, closure.total(timeline.durations)),
        quantised=quantised.of_stages(rows, timeline),
        held={name: each.summary() for name, each in timeline.held.items()},
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
        service_time=statistics.summary(latency.of_service(producer))
        if producer.about.pacing
        else None,
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
    result = dataclasses.replace(result, stalls=told, outages=outages.of_run(sides, result.clock))
    if not result.stages and not (result.messages.errors and not result.latency):
        return result
    rest = others.within(result) if others else None
    known = facts.of(sides, rest or result, sliced, quiet)
    # The stages are of what a message took from when it was sent.
    judged = dataclasses.replace(result, latency=result.service_time or result.latency)
    return dataclasses.replace(result, verdict=decision.decide(judged, known, rest))


def _profiles(member: Recording) -> dict[str, Summary]:
    """What the profilers of a member summarised of themselves, by mode."""
    found = {
        mode: run_folder.read_json(member.folder / run_folder.profile(mode))
        for mode in member.run.plan.profile
    }
    if "memory" in found:
        found["memory"] = usage.memory(member)
    return {mode: summary for mode, summary in found.items() if summary is not None}
