"""How long each message of a recording took, by method and in order: what a comparison tests by."""

import dataclasses
from pathlib import Path

import numpy

from omrig.accounting import closure
from omrig.accounting.legs import Stages
from omrig.accounting.services import hosts, traffic, ways
from omrig.accounting.services.hosts import Hosts
from omrig.accounting.services.traffic import Traffic
from omrig.accounting.services.ways import Kind
from omrig.model.columns import Integers
from omrig.model.recorded import CAPTURE
from omrig.model.service import MethodName
from omrig.recordings.services import captured, recording


@dataclasses.dataclass(frozen=True)
class Series:
    """The messages of a method, an element each, in the order in which they began.

    ``latency_ns`` is what :class:`omrig.model.service.Method` sums up. ``stages`` are of those that
    have stages, in their own order.
    """

    latency_ns: Integers
    stages: Stages


def of(folder: Path) -> dict[MethodName, Series]:
    """The messages of each method of the recording in ``folder`` that has timelines.

    Raises ``UsageError`` where there is no recording, or one of another omrig's making.
    """
    found = recording.read(folder)
    seen = traffic.of_processes(found.processes, captured.read(folder / CAPTURE))
    seen, hosts_of = hosts.on_one_clock(seen)
    series = {kind.name: _of_kind(seen, hosts_of, kind) for kind in ways.kinds_of(seen)}
    return {name: each for name, each in series.items() if each is not None}


def _of_kind(seen: Traffic, hosts_of: Hosts, kind: Kind) -> Series | None:
    members = {*seen.producer.member[kind.sent].tolist()}
    members |= {*seen.consumer.member[kind.served].tolist()}
    lost = {name for each in members for name in seen.processes[each].about.lost_stages}
    nobody = numpy.zeros(len(kind.sent), numpy.bool_)
    made = ways.timeline_of(seen, hosts_of, kind, lost, nobody)
    if made is None:
        return None
    table = made.table
    began = table["call"] if table.side == "producer" else table["read"]
    order = numpy.argsort(began, kind="stable")
    stages = {name: values[order] for name, values in made.durations.items()}
    if not (kind.pattern.replies and len(kind.sent)):
        return Series(closure.total(stages), stages)
    sent = seen.producer.take(kind.sent)
    sent = sent.take((sent["put"] > 0) & (sent["return"] > 0))
    sent = sent.take(numpy.argsort(sent["call"], kind="stable"))
    return Series(sent["return"] - sent["call"], stages)
