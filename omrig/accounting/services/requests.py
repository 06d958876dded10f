"""The requests of a recording: all messages with the same request id, and what sent what."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

import numpy

from omrig.accounting.services.inner import Inner
from omrig.accounting.services.traffic import Traffic, first_of
from omrig.accounting.services.unanswered import request_id
from omrig.model.columns import Integers
from omrig.model.service import Node, Request, Requests

SLOWEST = 10
"""Requests that are shown by their ids."""

MOST_NODES = 200
"""Nodes of a tree that are kept: who reads one sees no more of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Steps:
    """All messages of requests: one row a message, of its sender or, without it, of its server.

    ``served`` is the consumer's row (-1: none), ``parent`` that of whose endpoint sent it.
    """

    request: Integers
    begin: Integers
    end: Integers
    kind: Integers
    served: Integers
    parent: Integers

    def take(self, rows: Integers) -> "_Steps":
        return _Steps(**{field.name: getattr(self, field.name)[rows] for field in _FIELDS})


_FIELDS = dataclasses.fields(_Steps)


def of_traffic(traffic: Traffic, inner: Inner) -> Requests:
    """How many requests there were, of how many messages, a typical one, and the slowest."""
    steps = _steps(traffic, inner)
    chosen = steps.request > 0
    without = int((~chosen).sum())
    steps = steps.take(numpy.lexsort((steps.begin, steps.request)))
    steps = steps.take(numpy.flatnonzero(steps.request > 0))
    if not len(steps.request):
        return Requests(without=without)
    begins = numpy.flatnonzero(first_of(steps.request))
    counts = numpy.diff(numpy.append(begins, len(steps.request)))
    lasted = numpy.maximum.reduceat(steps.end, begins) - steps.begin[begins]

    def request(place: int) -> Request:
        rows = numpy.arange(begins[place], begins[place] + counts[place])
        return _request(traffic, inner, steps.take(rows))

    slowest = numpy.argsort(-lasted, kind="stable")[:SLOWEST]
    return Requests(
        count=len(begins),
        mean_messages=float(counts.mean()),
        most_messages=int(counts.max()),
        without=without,
        typical=request(_typical(counts, lasted)),
        slowest=tuple(request(place) for place in slowest.tolist()),
    )


def _typical(counts: Integers, lasted: Integers) -> int:
    """The request of the usual number of messages that takes the usual time of these."""
    usual = numpy.percentile(counts, 50, method="inverted_cdf")
    places = numpy.flatnonzero(counts == usual)
    middle = numpy.percentile(lasted[places], 50, method="inverted_cdf")
    return int(places[numpy.argmin(numpy.abs(lasted[places] - middle))])


def _steps(traffic: Traffic, inner: Inner) -> _Steps:
    producer, consumer = traffic.producer, traffic.consumer
    done = numpy.maximum(consumer["end"], consumer["endpoint_end"])
    done = numpy.maximum(done, numpy.maximum(consumer["read"], consumer["depart"]))
    served = numpy.full(producer.rows, -1, numpy.int64)
    first = first_of(traffic.here)
    served[traffic.here[first]] = traffic.there[first]
    # Of copies the last one's end.
    end = numpy.maximum(producer["return"], numpy.maximum(producer["depart"], producer["call"]))
    numpy.maximum.at(end, traffic.here, done[traffic.there])
    alone = traffic.alone
    return _Steps(
        request=numpy.concatenate([producer["request"], consumer["request"][alone]]),
        begin=numpy.concatenate([producer["call"], consumer.arrival[alone]]),
        end=numpy.concatenate([end, done[alone]]),
        kind=numpy.concatenate([producer["kind"], traffic.alone_kind]),
        served=numpy.concatenate([served, alone]),
        parent=numpy.concatenate([inner.parent, numpy.full(len(alone), -1, numpy.int64)]),
    )


def _request(traffic: Traffic, inner: Inner, steps: _Steps) -> Request:
    labels = [traffic.kinds[number].label for number in steps.kind.tolist()]
    below: dict[int, list[int]] = {}
    inside = set(steps.served.tolist()) - {-1}
    for row, parent in enumerate(steps.parent.tolist()):
        below.setdefault(parent if parent in inside else -1, []).append(row)
    tree = _Tree(inner, steps, labels, below)
    return Request(
        id=request_id(int(steps.request[0])),
        messages=len(labels),
        duration_ns=int(steps.end.max() - steps.begin[0]),
        methods=dict(Counter(labels)),
        tree=tree.nodes(below.get(-1, [])),
    )


class _Tree:
    """The nodes of a request: ``below`` are by a consumer's row what its endpoint sent."""

    def __init__(
        self, inner: Inner, steps: _Steps, labels: Sequence[str], below: dict[int, list[int]]
    ) -> None:
        self._inner, self._steps = inner, steps
        self._labels, self._below = labels, below
        self._room = MOST_NODES

    def nodes(self, rows: Sequence[int]) -> tuple[Node, ...]:
        """Messages that were sent by the same one, those of one kind as one node."""
        groups: dict[str, list[int]] = {}
        for row in rows:
            groups.setdefault(self._labels[row], []).append(row)
        found = []
        for label, same in groups.items():
            if self._room <= 0:
                break
            self._room -= 1
            found.append(self._node(label, same))
        return tuple(found)

    def _node(self, label: str, rows: Sequence[int]) -> Node:
        steps = self._steps
        served = [int(steps.served[row]) for row in rows]
        total = int(sum(steps.end[row] - steps.begin[row] for row in rows))
        nested = int(sum(self._inner.nested_ns[each] for each in served if each >= 0))
        children = [child for each in served if each >= 0 for child in self._below.get(each, ())]
        return Node(
            label=label,
            count=len(rows),
            begin_ns=int(steps.begin[rows[0]] - steps.begin[0]),
            total_ns=total,
            self_ns=max(0, total - nested),
            children=self.nodes(children),
        )
