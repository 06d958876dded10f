"""What each member of a side did, where there are several, and how far they are apart."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy

from omrig.accounting import latency, usage
from omrig.accounting.statistics import summary
from omrig.model.columns import Integers
from omrig.model.resources import Resources
from omrig.model.run import Run
from omrig.model.spread import MemberRow, Range, Spread
from omrig.model.units import NS
from omrig.recordings import joined
from omrig.recordings.recording import Recording, Sides


def rows(run: Run, sides: Sides) -> tuple[MemberRow, ...] | None:
    """A row for each member of a run, the producers first; None where no side has several."""
    if all(len(run.plan.names(side)) == 1 for side in run.sides):
        return None
    return all_rows(run, sides)


def all_rows(run: Run, sides: Sides) -> tuple[MemberRow, ...]:
    """A row for each member of a run, the producers first."""
    return tuple(row for side in run.sides for row in _of_side(run, sides, side))


def _of_side(run: Run, sides: Sides, name: str) -> Iterator[MemberRow]:
    side = sides.get(name)
    found = side.members if side else ()
    recorded = {each.member.name: each for each in found}
    for member in run.plan.names(name):
        if member in recorded:
            each = recorded[member]
            yield _producer(each) if name == "producer" else _consumer(run, each, sides)
        else:
            yield _absent(run, member, name, found)


def _producer(each: Recording) -> MemberRow:
    took = latency.of_ended(each)
    found, used = summary(took), usage.of_member(each)
    sent, failed = each.about.sent, sum(each.about.errors.values())
    unsent = 0 if each.run.plan.pace.gives_up else len(each.messages.start_ns) - sent
    return MemberRow(
        name=each.member.name,
        side=each.side,
        host=each.about.host,
        pid=each.about.pid,
        complete=not failed and unsent <= 0,
        reason=_said(
            (unsent, "{:,} of its messages were not sent"), (failed, "{:,} of its messages failed")
        ),
        sent=sent,
        failed=failed,
        messages_per_second=_rate(each.messages.start_ns, each.messages.end_ns),
        p50_ns=found.p50 if found else None,
        p99_ns=found.p99 if found else None,
        **_cpu(used, sent),
    )


def _consumer(run: Run, each: Recording, sides: Sides) -> MemberRow:
    about, producer = each.about, sides.get("producer")
    received = about.received
    lost = 0
    if producer:
        times = joined.received_at(each.messages, producer.numbering())
        received = int((times > 0).sum())
        if all(pattern.copies for pattern in run.plan.patterns):
            lost = producer.about.sent - received
    came = each.messages.received()
    return MemberRow(
        name=each.member.name,
        side=each.side,
        host=about.host,
        pid=about.pid,
        complete=lost <= 0,
        reason=_said((lost, "{:,} messages did not come")),
        received=received,
        duplicated=about.duplicated,
        messages_per_second=_rate(came[:1], came[1:]),
        **_cpu(usage.of_member(each), about.received + about.duplicated),
    )


def _absent(run: Run, name: str, side: str, found: Sequence[Recording]) -> MemberRow:
    began = name in run.wanted
    used = usage.of_absent(found[0].folder.parent / name, found) if found and began else None
    return MemberRow(
        name=name,
        side=side,
        complete=False,
        reason="it left no results" if began else "it never began",
        cpu_seconds=round(used.cpu_seconds, 6) if used else None,
    )


def _said(*counted: tuple[int, str]) -> str | None:
    return "; ".join(text.format(count) for count, text in counted if count > 0) or None


def _rate(began: Integers, ended: Integers) -> float | None:
    """Messages that ended, over the time from the first one's beginning to the last one's end."""
    began, ended = began[began > 0], ended[ended > 0]
    if not len(began) or not len(ended):
        return None
    lasted = int(ended.max()) - int(began.min())
    return round(len(ended) * NS / lasted, 3) if lasted > 0 else None


def _cpu(used: Resources | None, messages: int) -> dict[str, Any]:
    """Its CPU, as a row has it."""
    seconds = used.cpu_seconds if used else None
    each = round(seconds * NS / messages) if seconds is not None and messages else None
    return {
        "cpu_seconds": None if seconds is None else round(seconds, 6),
        "cpu_ns_per_message": each,
    }


def spread(found: Sequence[MemberRow] | None) -> Spread | None:
    """How the members differ; None where no side has several of which something is known."""
    if found is None:
        return None
    made = Spread(
        producers=_range(found, "producer", lambda row: row.messages_per_second),
        consumers=_range(found, "consumer", lambda row: row.received),
    )
    return made if made.producers or made.consumers else None


def _range(
    found: Sequence[MemberRow], side: str, figure: Callable[[MemberRow], float | None]
) -> Range | None:
    return range_of(
        {
            row.name: value
            for row in found
            if row.side == side and (value := figure(row)) is not None
        }
    )


def range_of(known: Mapping[str, float]) -> Range | None:
    """How figures differ that are known by a name; None for fewer than two."""
    if len(known) < 2:
        return None
    least = min(known, key=lambda name: known[name])
    most = max(known, key=lambda name: known[name])
    values = list(known.values())
    return Range(
        least=known[least],
        least_at=least,
        median=round(float(numpy.median(values)), 3),
        most=known[most],
        most_at=most,
        even=round(sum(values) / len(values), 3),
        max_min=round(known[most] / known[least], 4) if known[least] else None,
    )
