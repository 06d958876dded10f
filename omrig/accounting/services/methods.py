"""The messages of each method: how many, how long, and whose time."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy

from omrig.accounting import closure, quantised, statistics
from omrig.accounting.closure import Checks
from omrig.accounting.services import names, unanswered, ways
from omrig.accounting.services.hosts import Hosts
from omrig.accounting.services.judged import Server, Sides
from omrig.accounting.services.traffic import Traffic
from omrig.accounting.services.ways import Kind, Stretch
from omrig.accounting.timeline import Timeline
from omrig.model.columns import Integers
from omrig.model.result import Closure
from omrig.model.service import REMOTE, Method, Process
from omrig.model.stages import OWNERS

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
"""Percentiles of latency that are kept of each method."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accounted:
    """A method, its ``kind``, and the processes that had its messages.

    ``books`` is how its stages add up: None where it has none. ``edge`` messages were under way
    when a process was turned on or off, and have a row on one side only. ``is_apart`` says that its
    wire was left out, for clocks that nobody could compare.
    """

    method: Method
    kind: Kind
    sides: Sides
    books: tuple[Closure, Checks] | None
    edge: int = 0
    is_apart: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recorded:
    """What all methods have in common: the messages of a recording, and what is known of them.

    The consumer's table has a column more, ``nested``: how long a message's endpoint was in
    messages that it sent.

    ``stretch`` is from when to when each process was recorded.
    """

    traffic: Traffic
    hosts: Hosts
    processes: Sequence[Process]
    sample: int
    stretch: Stretch

    def lost(self, members: Integers) -> set[str]:
        """The stages that cannot be told of messages that these processes had."""
        about = [self.traffic.processes[each].about for each in numpy.unique(members).tolist()]
        return {name for each in about for name in each.lost_stages}


def account(recorded: Recorded) -> list[Accounted]:
    """The methods of a recording by their self time, the most first; none has a verdict yet."""
    found = [_of_kind(recorded, kind) for kind in ways.kinds_of(recorded.traffic)]
    whole = sum(each.method.self_ns for each in found) or 1
    found = [
        dataclasses.replace(
            each, method=dataclasses.replace(each.method, share=each.method.self_ns / whole)
        )
        for each in found
    ]
    return sorted(found, key=lambda each: (-each.method.self_ns, each.method.name.label))


def _of_kind(recorded: Recorded, kind: Kind) -> Accounted:
    traffic = recorded.traffic
    members = numpy.concatenate(
        [traffic.producer.member[kind.sent], traffic.consumer.member[kind.served]]
    )
    edge, edge_alone = ways.under_way(traffic, kind, recorded.stretch)
    made = ways.timeline_of(traffic, recorded.hosts, kind, recorded.lost(members), edge)
    missed = unanswered.of_kind(traffic, recorded.hosts, kind, edge)
    sides = _sides(recorded, kind)
    edges = int(edge.sum() + edge_alone.sum())
    unmatched = ~numpy.isin(kind.sent, kind.here)
    sent, served = kind.sent, kind.served
    method = Method(
        name=kind.name,
        senders=_named(sides["producer"], bool((~edge_alone).any())),
        servers=_named(sides["consumer"], bool((kind.ended & unmatched & ~edge).any())),
        sent=len(sent),
        served=len(served),
        matched=len(numpy.unique(kind.here)),
        timed_out=unanswered.counted(missed, names.TIMED_OUT),
        raised=_raised(traffic, kind),
        unanswered=missed,
    )
    if made is None:
        return Accounted(method=method, kind=kind, sides=sides, books=None, edge=edges)
    books = closure.of_stamped(made)
    return Accounted(
        method=_with_times(recorded, kind, method, made, books[0]),
        kind=kind,
        sides=sides,
        books=books,
        edge=edges,
        is_apart=bool(made.producer and made.consumer and made.clock is None),
    )


def _with_times(
    recorded: Recorded, kind: Kind, method: Method, made: Timeline, books: Closure
) -> Method:
    """The method with what its timelines tell."""
    whole = closure.total(made.durations)
    took = _latencies(recorded.traffic, kind) if kind.pattern.replies and len(kind.sent) else whole
    rows = statistics.table(made.durations)
    buckets = statistics.buckets(rows)
    owners = dict.fromkeys(OWNERS.values(), 0.0)
    for bucket, share in buckets.items():
        owners[OWNERS[bucket]] += share
    nested = _nested(recorded, made)
    inside = int(nested.sum()) if nested is not None else 0
    total = int(took.sum())
    nested_share = None if nested is None else inside / (int(whole.sum()) or 1)
    return dataclasses.replace(
        method,
        latency=statistics.summary(took),
        total_ns=total,
        self_ns=max(0, total - inside),
        owners=owners,
        endpoint_own=None if nested_share is None else max(0.0, owners["endpoint"] - nested_share),
        endpoint_nested=nested_share,
        computing=_computing(made, nested),
        stages=rows,
        buckets=buckets,
        closure=books,
        waterfall=statistics.waterfall(made.durations, whole),
        quantised=quantised.of_stages(rows, made),
        distribution={f"{each:g}": statistics.percentile(took, each) for each in PERCENTILES}
        if len(took)
        else {},
    )


def _latencies(traffic: Traffic, kind: Kind) -> Integers:
    """From call() to its return of all calls that were answered, be it with an error."""
    producer = traffic.producer
    answered = kind.sent[(producer["put"][kind.sent] > 0) & (producer["return"][kind.sent] > 0)]
    took: Integers = producer["return"][answered] - producer["call"][answered]
    return took


def _nested(recorded: Recorded, made: Timeline) -> Integers | None:
    """How long each message's endpoint was in messages that it sent.

    None where nobody saw the endpoint, or only some of the messages that were sent.
    """
    if made.consumer is None or recorded.sample > 1:
        return None
    nested: Integers = made.consumer["nested"]
    return nested


def _computing(made: Timeline, nested: Integers | None) -> float | None:
    """Which part of the endpoint's own time its thread computed; None without a clock of that."""
    served = made.consumer
    if served is None or nested is None:
        return None
    known = served["cpu_endpoint_end"] > 0
    own = (served["endpoint_end"] - served["endpoint"] - nested)[known]
    if not own.sum():
        return None
    used = (served["cpu_endpoint_end"] - served["cpu_endpoint"])[known]
    return min(1.0, float(used.sum() / own.sum()))


def _raised(traffic: Traffic, kind: Kind) -> Mapping[str, int]:
    """What messages raised, by who sent them; of others, who nobody answers, by who served them."""
    found = Counter(traffic.raised(traffic.producer["outcome"][kind.sent]))
    del found[names.TIMED_OUT]
    served = kind.alone if kind.pattern.replies else kind.served
    found.update(traffic.raised(traffic.consumer["outcome"][served]))
    return dict(found)


def _sides(recorded: Recorded, kind: Kind) -> Sides:
    """The processes that had messages of a kind, those that had the most first."""
    found = {}
    traffic = recorded.traffic
    had = {
        "producer": traffic.producer.member[kind.sent],
        "consumer": traffic.consumer.member[kind.served],
    }
    for side, members in had.items():
        numbers, counts = numpy.unique(members, return_counts=True)
        servers = [
            Server(
                process=recorded.processes[number],
                name=traffic.processes[number].about.name,
                messages=count,
            )
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
        found[side] = sorted(servers, key=lambda each: -each.messages)
    return found


def _named(servers: Sequence[Server], is_remote: bool) -> tuple[str, ...]:
    """The processes of a side, and ``REMOTE`` where not all messages are theirs.

    Where rows of the known ones are lost nobody can tell.
    """
    told = not any(
        each.process.overwritten or each.process.ended or each.process.failures for each in servers
    )
    others = [REMOTE] if is_remote and (told or not servers) else []
    return (*(each.process.name for each in servers), *others)
