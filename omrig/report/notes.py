"""Notes on a result: what its stages add up to, and how far to trust them."""

import dataclasses
from collections.abc import Mapping, Sequence

from omrig.model import units
from omrig.model.estimate import Estimate
from omrig.model.members import side_of
from omrig.model.overhead import NotMeasured, Overhead
from omrig.model.profiling import NONE, STAGED_MOST, STAGES
from omrig.model.result import Closure, Instrument, Result
from omrig.model.run import Run
from omrig.model.verdict import ONE_SIDE
from omrig.report import clocks


def notes(run: Run, result: Result) -> list[tuple[str, str]]:
    """How far to trust the stages: lines of a label and a text."""
    lines = [
        ("books", books(result.closure)),
        ("little", _little(run, result)),
        *(("clock", line) for line in clocks.lines(result)),
        ("arrivals", _watcher(result.instrument or {})),
        # Modes that were compared together share a line.
        *(("cost", line) for line in dict.fromkeys(costs(result))),
        ("sample", _sample(run, result)),
    ]
    return [(label, line) for label, line in lines if line]


def books(closure: Closure | None) -> str:
    """How well stages add up; empty where there are none."""
    if not closure:
        return ""
    messages, matched = closure.messages, closure.matched
    parts = [
        f"{messages:,} messages of one side"
        if matched is None
        else f"{matched:,} of {messages:,} messages matched"
    ]
    if closure.within_tolerance is not None:
        parts.append(f"{closure.within_tolerance:,} add up within {closure.tolerance}")
    if closure.unexplained_share is not None:
        parts.append(f"unexplained {100 * closure.unexplained_share:.2f} %")
    parts.append(f"{closure.negative_stages:,} negative")
    parts.append(f"{closure.flagged_arrivals:,} without arrival")
    return ", ".join(parts)


def _little(run: Run, result: Result) -> str:
    little = result.littles_law
    if not little or not result.throughput or not result.latency:
        return ""
    rate = result.throughput.messages_per_second
    workers = run.plan.workers * len(run.plan.names("producer"))
    workers = min(workers, result.latency.count)
    noun, make = ("worker", "makes") if workers == 1 else ("workers", "make")
    think_s = run.plan.think_time_s
    thinking = f" beside the {think_s:g} s that it thinks" if think_s else ""
    return (
        f"{workers:,} {noun} at {rate:,.0f} msg/s {make}"
        f" {units.duration(little.expected_mean_ns)} a message{thinking},"
        f" {units.duration(little.measured_mean_ns)} were measured: ratio {little.ratio:.2f}"
        + (f"; {little.explanation}" if little.explanation else "")
    )


def _watcher(instrument: Mapping[str, Instrument]) -> str:
    """How arrivals were noted; of members of a side for which that was the same in one line."""
    alike: dict[tuple[str, str, int], list[str]] = {}
    for name, found in instrument.items():
        how = (side_of(name), _clock_of(found), found.receive_buffer_bytes)
        alike.setdefault(how, []).append(name)
    return "; ".join(
        f"{_counted(names)}: {_watched([instrument[name] for name in names])}"
        for names in alike.values()
    )


def _counted(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} {side_of(names[0])}s"


def _clock_of(found: Instrument) -> str:
    scheduled = found.watcher_scheduling
    clock = f"a watcher ({scheduled})" if scheduled else "nobody"
    if found.arrival_clock == "capture":
        clock = "the kernel"
    return clock


def _watched(found: Sequence[Instrument]) -> str:
    used = sum(each.watcher_cpu_seconds for each in found)
    parts = [
        f"noted by {_clock_of(found[0])}",
        f"{used:.2f} s CPU beside {'it' if len(found) == 1 else 'them'}",
        f"receive buffer {units.size(found[0].receive_buffer_bytes)}",
    ]
    return ", ".join(parts)


def costs(result: Result) -> list[str]:
    """What each profiler mode cost, or why that is not known."""
    return [line for mode, found in result.overhead.items() for line in _costs(mode, found)]


def together(result: Result) -> dict[Overhead, list[str]]:
    """Each measured cost with the modes that were compared together, which share it."""
    modes: dict[Overhead, list[str]] = {}
    for mode, found in result.overhead.items():
        if isinstance(found, Overhead):
            # The stages' own estimate is no part of what is shared.
            modes.setdefault(dataclasses.replace(found, estimate=None), []).append(mode)
    return modes


def _costs(mode: str, found: Overhead | NotMeasured) -> list[str]:
    estimated = [f"{mode}: {_estimated(found.estimate)}"] if found.estimate else []
    if isinstance(found, NotMeasured):
        if found.estimate:
            return [f"{estimated[0]}; not measured: {found.reason}"]
        return [f"{mode}: not measured: {found.reason}"]
    if not found.text:
        return [f"{mode}: {found.throughput_ratio:.2f} of the throughput without it", *estimated]
    return [f"{found.text}. Measured in {found.method}", *estimated]


def _estimated(found: Estimate) -> str:
    low, high = (100 * share for share in (found.cpu_share_hot, found.cpu_share_cold))
    hot, cold = (ns / 1000 for ns in (found.hot_ns, found.cold_ns))
    return (
        f"an estimated {low:.1f} to {high:.1f} % of the CPU of a message"
        f" ({found.stamps_per_message:.1f} stamps of {hot:.2f} µs hot, {cold:.2f} µs cold)"
    )


def _sample(run: Run, result: Result) -> str:
    sample, sent = run.plan.sample, result.messages.sent
    if sample == 1:
        return ""
    kept = ""
    if result.closure and sent and sent > STAGED_MOST:
        # Nobody need have asked for it.
        kept = f", {result.closure.messages:,} of {sent:,}, as --sample says"
    return f"stages of 1 message in {sample:,}{kept}; ± is one standard error"


def warnings(run: Run, result: Result) -> list[str]:
    """What is not in the stages and why."""
    return [*not_measured(result), *no_stages(run, result), *one_side(result)]


def not_measured(result: Result) -> list[str]:
    """What of the stages could not be measured as it should."""
    lines = list(result.not_measured or ())
    lines += [
        f"the {side}'s arrival watcher died: time in its socket may count as AMQP's"
        for side, found in (result.instrument or {}).items()
        if not found.watcher_alive
    ]
    lines += [
        f"the kernel had no room to note {found.segments_dropped:,} segments of the {side}: some"
        " messages arrived earlier than the stages say, and the rest of that time counts as AMQP's"
        for side, found in (result.instrument or {}).items()
        if found.segments_dropped
    ]
    return lines


def no_stages(run: Run, result: Result) -> list[str]:
    """That there are no stages, and why; empty where there are."""
    return [] if result.stages else [f"no stages: {why_no_stages(run, result)}"]


def one_side(result: Result) -> list[str]:
    """What the other side's recording would add, unless the verdict has asked for it."""
    said = result.verdict is not None and result.verdict.objection in ONE_SIDE
    if said or not result.stages:
        return []
    remedy = "the other side is needed, omrig report P C"
    if result.stage("remote"):
        return [f"remote is broker, network and the whole consumer: {remedy}"]
    if len(result.sides) == 1:
        return [f"the {result.sides[0]}'s part only: {remedy}"]
    return []


def why_no_stages(run: Run, result: Result) -> str:
    """Why the result of a run has no stages."""
    if run.transport.in_memory:
        return "an in-memory transport has no broker and no network whose part could be told"
    if result.delivery:
        return (
            "Kafka's client works in threads of its own, which no stamp reaches; what it says of"
            " itself is above"
        )
    if run.plan.stages_refused:
        return run.plan.stages_refused
    if NONE in run.plan.profile:
        return "--profile none leaves them out; any other mode has them"
    if STAGES not in run.plan.profile:
        return f"an older omrig took none with --profile {','.join(run.plan.profile)}"
    if not result.throughput:
        return "nothing was measured"
    return "no message ended well with stamps on every side of the run"
