"""How well an open loop kept to its times, and what kept it from them."""

import math
from collections.abc import Mapping, Sequence

import numpy

from omrig.accounting import latency, littles_law
from omrig.accounting.statistics import percentile
from omrig.accounting.verdict.phrases import counted
from omrig.accounting.verdict.thresholds import FULL_MACHINE, SATURATED_CPU
from omrig.model import patterns, units
from omrig.model.columns import Flags, Integers
from omrig.model.facts import Machine
from omrig.model.members import side_of
from omrig.model.pacing import LATE_NS, LimitedBy, Pacing
from omrig.model.patterns import Pattern
from omrig.model.resources import Resources
from omrig.model.units import NS
from omrig.recordings.recording import Recording, Sides

FELL_BEHIND = 0.99
"""Part of the rate asked for below which a load did not keep up with it."""

OFTEN_LATE = 0.01
"""Share of late messages from which it is told why: they are what the p99 is made of."""

MOST = 0.5
"""Part of the late messages, or of the workers' time, that makes up most of it."""


def of_run(
    sides: Sides, used: Mapping[str, Resources | None], machines: Sequence[Machine]
) -> Pacing | None:
    """How well the producer of a run kept to its times; None for a closed loop.

    ``used`` is what each process used, ``machines`` how busy they were.
    """
    producer = sides.get("producer")
    if producer is None or producer.about.pacing is None:
        return None
    intended, started = _times(producer)
    sent = started > 0
    if not sent.any():
        return None
    plan, began_ns = producer.run.plan, producer.about.pacing.began_ns
    ends_ns = plan.pace.steps(plan.messages)[-1].ends_ns
    stopped = producer.run.ended_because is not None
    lag = (started - intended)[sent]
    lasted_s = (int(started.max()) - began_ns) / NS
    if not stopped:
        lasted_s = max(lasted_s, ends_ns / NS)
    late = int((lag > LATE_NS).sum())
    asked, rate = len(intended) / (ends_ns / NS), int(sent.sum()) / lasted_s
    errors = _gap_errors(intended, started)
    behind = rate < FELL_BEHIND * asked
    return Pacing(
        arrivals=plan.pace.how,
        asked_per_second=round(asked, 3),
        sent_per_second=round(rate, 3),
        scheduled=len(intended),
        sent=int(sent.sum()),
        late=late,
        dropped=int((~sent).sum()) if plan.pace.gives_up and not stopped else 0,
        lag_mean_ns=int(lag.mean()),
        lag_p50_ns=percentile(lag, 50),
        lag_p99_ns=percentile(lag, 99),
        lag_max_ns=int(lag.max()),
        gap_error_p50_ns=percentile(errors, 50),
        gap_error_p99_ns=percentile(errors, 99),
        fell_behind=behind,
        limited_by=_limited_by(producer, used, machines, asked)
        if behind or late > OFTEN_LATE * len(intended)
        else None,
    )


def late_messages(producer: Recording) -> Flags:
    """Which messages were sent so long after they were to be that they count as late."""
    intended, started = _times(producer)
    late: Flags = (started > 0) & (started - intended > LATE_NS)
    return late


def _times(producer: Recording) -> tuple[Integers, Integers]:
    """When each message was to be sent, and when it was: 0 for one that never was."""
    intended = producer.messages.intended_ns
    if intended is None:
        raise ValueError(f"{producer.folder}: an open loop that did not say when messages were due")
    return intended, producer.messages.start_ns


def _gap_errors(intended: Integers, started: Integers) -> Integers:
    """How far the time between two messages that follow each other is from what was intended."""
    order = numpy.argsort(intended, kind="stable")
    intended, started = intended[order], started[order]
    del order
    both = (started[1:] > 0) & (started[:-1] > 0)
    # What lies in between is as long as all messages: it is made in place.
    errors: Integers = numpy.diff(started)
    errors -= intended[1:]
    errors += intended[:-1]
    numpy.abs(errors, out=errors)
    errors = errors if both.all() else errors[both]
    return errors if len(errors) else numpy.zeros(1, numpy.int64)


def _limited_by(
    producer: Recording,
    used: Mapping[str, Resources | None],
    machines: Sequence[Machine],
    asked: float,
) -> LimitedBy:
    """What kept messages from being sent when they were due, from what was measured meanwhile."""
    shares: dict[str, float] = {}
    for name, each in used.items():
        # Of several members the one that has most to do.
        shares[side_of(name)] = max(shares.get(side_of(name), 0.0), each.cpu_share if each else 0.0)
    full = next((each for each in machines if each.busy_share >= FULL_MACHINE), None)
    cores = f"all {full.cores} cores of {full.host} were busy" if full else ""
    if shares.get("producer", 0.0) >= SATURATED_CPU:
        text = f"the producer's core was full (CPU {shares['producer']:.2f})"
        return LimitedBy(what="producer", text=text)
    plan = producer.run.plan
    total = littles_law.all_workers(plan, producer)
    found, workers = plan.patterns, counted(total, "worker")
    if _found_none_free(producer) < MOST:
        if full:
            return LimitedBy(what="machine", text=f"{cores}, and workers did not get their turn")
        return LimitedBy(
            what="unknown",
            text="nothing that was measured says why: workers were free, and no core was full",
        )
    who = f"{'all ' if total > 1 else ''}{workers}"
    waited = f"{who} waited for {_awaited(found)}"
    if _held_share(producer) >= MOST:
        ahead = min(each.ahead for each in found if each.ahead)
        waited = f"{who} waited for the consumer to catch up, after every {ahead}"
        waited += f" {_noun(found)}s of a worker"
        if shares.get("consumer", 0.0) < SATURATED_CPU:
            return LimitedBy(what="catching up", text=waited)
    if shares.get("consumer", 0.0) >= SATURATED_CPU:
        core = f"the consumer's core was full (CPU {shares['consumer']:.2f})"
        return LimitedBy(what="consumer", text=f"{core}: {waited}")
    if full:
        return LimitedBy(what="machine", text=f"{cores}: {waited}")
    took_ns = float(latency.of_service(producer).mean())
    needed = max(total + 1, math.ceil(asked * took_ns / NS / MOST))
    # Each producer has as many.
    needed = math.ceil(needed / max(1, len(producer.members)))
    return LimitedBy(
        what="workers", text=f"{waited}, {units.duration(took_ns)} each: give -w {needed:,} or more"
    )


def _noun(found: Sequence[Pattern]) -> str:
    return found[0].noun if len(found) == 1 else "message"


def _awaited(found: Sequence[Pattern]) -> str:
    if patterns.all_reply(found):
        return "replies"
    return f"their {_noun(found)}s to be sent" + (
        ", or for replies" if any(each.replies for each in found) else ""
    )


def _found_none_free(producer: Recording) -> float:
    """Share of the late messages for which, when they were due, all workers had one under way."""
    intended, started = _times(producer)
    late = late_messages(producer) | (started == 0)
    if not late.any():
        return 0.0
    sent = started > 0
    ended = producer.messages.end_ns.copy()
    if producer.messages.failed is not None:
        number, at = producer.messages.failed
        ended[number] = at
    begun = numpy.searchsorted(numpy.sort(started[sent]), intended[late], side="right")
    done = numpy.searchsorted(numpy.sort(ended[ended > 0]), intended[late], side="right")
    workers = littles_law.all_workers(producer.run.plan, producer)
    busy = begun - done + round(_held_share(producer) * workers)
    return float((busy >= workers).mean())


def _held_share(producer: Recording) -> float:
    """Part of the workers' time in which they waited for the consumer to catch up."""
    span = producer.messages.span_ns()
    if span is None or producer.about.pacing is None or span[1] <= span[0]:
        return 0.0
    workers = littles_law.all_workers(producer.run.plan, producer)
    whole = (span[1] - span[0]) * workers
    return min(1.0, producer.about.pacing.held_ns / whole)
