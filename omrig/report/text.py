"""What every renderer says of a run in words."""

from collections.abc import Mapping

from omrig.model import units
from omrig.model.delivery import TITLES
from omrig.model.mix import MIX
from omrig.model.notifications import DEFAULT_BATCH_TIMEOUT_S
from omrig.model.overhead import Overhead
from omrig.model.pace import Pace
from omrig.model.patterns import PATTERNS
from omrig.model.result import Counts, Result
from omrig.model.run import CLIENTS, KAFKA_CLIENT, RecordedSetting, Run


def latency(run: Run) -> str:
    """From where to where a latency of this run is."""
    if run.plan.pattern == MIX:
        return "sending a message to its end, which each pattern has of its own"
    pattern = PATTERNS[run.plan.pattern]
    if not run.plan.pace.is_open:
        return pattern.latency
    return f"due time{pattern.latency.removeprefix(pattern.method)}"


def noun(pattern: str) -> str:
    """What a message of this pattern is called; of a mix just that."""
    return "message" if pattern == MIX else PATTERNS[pattern].noun


def with_failures(run: Run, result: Result) -> str:
    """What the latencies with failures are of."""
    failed = result.messages.failed
    if result.latency_of_failures:
        return f"with the {failed:,} that failed, as long as they took until then"
    timeout = units.duration(run.timeout_ns)
    return f"with the {failed:,} that failed, as at least {timeout} each"


def settings(run: Run) -> Mapping[str, RecordedSetting]:
    """The settings that matter with their sources, None for one that was not recorded."""
    if run.settings is not None:
        return run.settings
    # An older omrig recorded what differed from the defaults, alone.
    return {name: RecordedSetting(value=value) for name, value in run.options.items()}


def apart(messages: Counts) -> str:
    """The messages that the consumer received and that are not of this run; empty for none."""
    shown = (
        (messages.of_other_producers, "of the consumer's other producers"),
        (messages.foreign, "of producers that the consumer does not know"),
    )
    return ", ".join(f"{count:,} {text}" for count, text in shown if count)


def beginning(result: Result) -> str:
    """How services began that connected all at once; empty where a process was one."""
    found = result.beginning
    if found is None:
        return ""
    text = (
        f"of {found.services:,} services half listened after {units.duration(found.p50_ns)}, all"
        f" after {units.duration(found.max_ns)}"
    )
    if found.served_ns is not None:
        text += (
            f"; the first message of each of {found.first:,} had ended"
            f" {units.duration(found.served_ns)} after the first was sent"
        )
    return text


def expected_errors(messages: Counts) -> str:
    """What endpoints raised because they were told to; empty for nothing."""
    raised, answered = messages.errors_raised, messages.errors_replied
    parts = [f"{count:,} {name} raised" for name, count in (raised or {}).items()]
    parts += [f"{count:,} {name} came back" for name, count in (answered or {}).items()]
    return ", ".join(parts)


def delivery(result: Result) -> list[tuple[str, str]]:
    """What the client library says of messages that it sends in the background, labelled."""
    lines = []
    for name, found in (result.delivery or {}).items():
        text = f"{found.delivered:,} reported by the {name}'s librdkafka"
        if found.p50_ns is not None and found.p99_ns is not None:
            text += (
                f", p50 {units.duration(found.p50_ns)}, p99 {units.duration(found.p99_ns)} from"
                " handed over to reported"
            )
        lines.append(("delivery", text))
        parts = [
            f"{TITLES[key]} {units.duration(each.mean_ns)} (p99 {units.duration(each.p99_ns)})"
            for key, each in found.windows.items()
        ]
        if parts:
            lines.append(
                (
                    "its client",
                    f"{', '.join(parts)}: means of {found.statistics} windows of 1 s and the worst"
                    " window's p99, of no message alone",
                )
            )
    return lines


def client_packages(run: Run) -> tuple[str, ...]:
    """The packages below oslo.messaging that its messages pass."""
    return (KAFKA_CLIENT,) if KAFKA_CLIENT in run.environment.versions else CLIENTS


def caveats(run: Run, result: Result) -> list[str]:
    """What to know before the figures of a run are believed or quoted."""
    warnings = []
    if not result.complete:
        warnings.append(f"incomplete: {result.reason}")
    if not result.is_measurement:
        what = "is a mock of a cluster" if run.transport.is_mock else "stays inside one process"
        warnings.append(
            f"not a measurement: {run.transport.url} {what};"
            " this run shows that things work, not how fast"
        )
    if result.executor == "eventlet":
        warnings.append(
            "OpenStack has deprecated the eventlet executor; --executor threading succeeds it"
        )
    warnings += _slowed(run, result)
    return warnings


_WITHOUT_COST = ("none", "stages", "resources", "memory")


def _slowed(run: Run, result: Result) -> list[str]:
    """That the figures are those of a profiled run, and which ones those of an unprofiled one."""
    modes = [mode for mode in run.plan.profile if mode not in _WITHOUT_COST]
    sliced = result.coverage
    if sliced and (sliced.slow_only or sliced.disturbance):
        modes = list(dict.fromkeys(mode for named in sliced.modes.values() for mode in named))
    if not modes:
        return []
    disturbance = sliced.disturbance if sliced else None
    if not sliced or not sliced.slow_only:
        whose = "throughput, latency and stages" if result.stages else "throughput and latency"
        return [
            f"profiled with {disturbance.who if disturbance else ', '.join(modes)}: {whose} are"
            " those of the profiled run, not of an unprofiled one"
        ]
    messages = sliced.profiled_messages + sliced.unprofiled_messages
    line = (
        f"profiled with {', '.join(modes)}: throughput and latency are of all {messages:,}"
        f" messages, {sliced.profiled_messages:,} of which were profiled"
    )
    found = result.overhead.get(modes[0])
    if isinstance(found, Overhead):
        line += f"; without it {found.unprofiled_messages_per_second:,.0f} msg/s"
        if found.latency and found.latency.unprofiled:
            line += f", p50 {units.duration(found.latency.unprofiled.p50)}"
    if sliced.stages_of:
        line += f"; stages and verdict are of the {sliced.unprofiled_messages:,} sent without"
    if disturbance:
        line += f"; stages and verdict are those under {disturbance.who}"
    return [line]


def _loop(pace: Pace, workers: str) -> str:
    """How messages follow each other, and for how long."""
    lasting = f" for {pace.duration_s:g} s" if pace.duration_s else ""
    if not pace.is_open:
        think_s = pace.think_time_s
        thinking = f", {think_s:g} s of thinking between two messages" if think_s else ""
        return f"{workers} in a closed loop{lasting}{thinking}"
    rates = pace.rates
    count = f" in {len(rates)} steps" if len(rates) > 1 else ""
    asked = f"{rates[0]:g}" if len(rates) == 1 else f"{rates[0]:g} to {rates[-1]:g}"
    return f"{asked} msg/s{count}{lasting} in an open loop ({pace.how}), {workers}"


def patterns(run: Run) -> str:
    """The pattern of a run, or its mix."""
    if not run.plan.mix:
        return run.plan.pattern
    return f"{MIX} {', '.join(f'{name}={weight}' for name, weight in run.plan.mix.items())}"


def load(run: Run) -> str:
    """The load in one line."""
    plan = run.plan
    sides = " and ".join(_side(run, side) for side in run.sides)
    parts = [f"{sides}, pattern {patterns(run)}, {plan.executor}"]
    if "producer" in run.sides:
        workers = "1 worker" if plan.workers == 1 else f"{plan.workers} workers"
        each = " each" if len(plan.names("producer")) > 1 else ""
        loop = _loop(plan.pace, f"{workers}{each}")
        payload = str(plan.sizes) if plan.sizes else f"{units.size(plan.size_bytes)} payload"
        parts.append(f"{loop}, {payload}")
    if plan.services:
        parts.append(f"{plan.services} services a process")
    if plan.endpoint:
        parts.append(f"endpoint {', '.join(plan.endpoint)}")
    if plan.scenario:
        parts.append(f"scenario {plan.scenario}")
    if plan.batch:
        within = plan.batch_timeout_s or DEFAULT_BATCH_TIMEOUT_S
        parts.append(f"batches of {plan.batch} within {within:g} s")
    parts.append(f"profile {', '.join(plan.profile)}")
    return ", ".join(parts)


def _side(run: Run, side: str) -> str:
    count = len(run.plan.names(side))
    return side if count == 1 else f"{count} {side}s"
