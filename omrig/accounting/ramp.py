"""What came of each rate of a ramp, and where throughput stops to follow it."""

from collections.abc import Sequence

import numpy

from omrig.accounting import pacing, throughput
from omrig.accounting.statistics import percentile
from omrig.model.arrivals import Step
from omrig.model.columns import Integers
from omrig.model.pacing import Knee, Ramp, RampRow
from omrig.model.run import Run
from omrig.model.units import NS
from omrig.recordings.recording import Recording, Sides

FOLLOWS = 0.95
"""Part of the rate asked for from which a step counts as followed: what is asked for on its last
moments ends in the next."""


def of_run(run: Run, sides: Sides) -> Ramp | None:
    """What came of each rate of a ramp; None where the load was none."""
    producer = sides.get("producer")
    if producer is None or producer.about.pacing is None or run.plan.ramp is None:
        return None
    steps = run.plan.pace.steps(run.plan.messages)
    began_ns = producer.about.pacing.began_ns
    ended, _ = throughput.ended_of(run, sides)
    rows = tuple(
        _row(producer, step, numbers, _within(ended - began_ns, step))
        for step, numbers in zip(steps, _by_step(producer, steps, began_ns), strict=True)
    )
    return Ramp(rows=rows, knee=knee(rows))


def knee(rows: Sequence[RampRow]) -> Knee | None:
    """Where throughput stops to follow the rate; None where it follows all of them.

    Up to the knee as many messages end as are asked for, and beyond it as many as can: it is the
    median of what ends in the steps that throughput does not follow, the first of these and those
    after it. A single step that was not followed, between two that were, is no knee.
    """
    ordered = sorted(rows, key=lambda row: row.asked_per_second)
    follows = [_follows(row) for row in ordered]
    # From the last one that was followed on nothing is.
    first = len(follows) - follows[::-1].index(True) if any(follows) else 0
    beyond = ordered[first:]
    if not beyond:
        return None
    below = ordered[first - 1] if first else None
    most = float(numpy.median([row.messages_per_second for row in beyond]))
    return Knee(
        # It can send what it has sent.
        messages_per_second=max(most, below.messages_per_second if below else 0.0),
        followed_per_second=below.asked_per_second if below else None,
        p99_ns=below.p99_ns if below else None,
        broken_per_second=beyond[0].asked_per_second,
    )


def _follows(row: RampRow) -> bool:
    done = min(row.messages_per_second, row.sent_per_second)
    return done >= FOLLOWS * row.asked_per_second


def _by_step(producer: Recording, steps: Sequence[Step], began_ns: int) -> list[Integers]:
    """The sequence numbers of the messages that were to be sent in each step."""
    intended = producer.messages.intended_ns
    if intended is None:
        raise ValueError(f"{producer.folder}: a ramp that did not say when messages were due")
    begins = [step.begins_ns for step in steps]
    place = numpy.searchsorted(begins, intended - began_ns, side="right") - 1
    return [numpy.flatnonzero(place == number) for number in range(len(steps))]


def _within(times: Integers, step: Step) -> int:
    return int(((times >= step.begins_ns) & (times < step.ends_ns)).sum())


def _row(producer: Recording, step: Step, numbers: Integers, ended: int) -> RampRow:
    messages = producer.messages
    started, ends = messages.start_ns[numbers], messages.end_ns[numbers]
    latencies = (ends - messages.due_ns[numbers])[ends > 0]
    failed = messages.failed[0] if messages.failed is not None else numbers[:0]
    lasts_s = (step.ends_ns - step.begins_ns) / NS
    sent = int((started > 0).sum())
    return RampRow(
        asked_per_second=round(step.rate, 3),
        sent_per_second=round(sent / lasts_s, 3),
        messages_per_second=round(ended / lasts_s, 3),
        scheduled=len(numbers),
        sent=sent,
        late=int(pacing.late_messages(producer)[numbers].sum()),
        dropped=len(numbers) - sent,
        failed=int(numpy.isin(numbers, failed).sum()),
        p50_ns=percentile(latencies, 50) if len(latencies) else None,
        p99_ns=percentile(latencies, 99) if len(latencies) else None,
    )
