"""How far the pools of processes were in use: threads of executors, connections that send."""

import dataclasses
from collections.abc import Sequence

import numpy

from omrig.accounting.services.traffic import Traffic
from omrig.accounting.verdict.phrases import percent
from omrig.accounting.verdict.thresholds import SATURATED_CPU
from omrig.model import units
from omrig.model.columns import Flags, Integers
from omrig.model.service import Pool
from omrig.model.units import MS

FULL_SHARE = 0.25
"""Part of the time at its size from which a pool is worth a word ..."""

WAITED_NS = MS
"""... if messages waited for it so long on average: a thread takes less to wake up."""

Spans = tuple[Integers, Integers]
"""When each use of a pool began, and when it ended."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What is known of a pool beside its use: its ``size``, the option of that, what it has
    (``threads``), how long messages waited for it on average, and the process' CPU share."""

    size: int | None
    option: str
    noun: str
    waited_ns: float
    cpu_share: float | None
    remedy: str


def executor_spans(traffic: Traffic, member: int) -> Spans:
    """When the executor of a process had what; messages of a batch are one thread's."""
    mine, table = traffic.consumer.member == member, traffic.consumer
    mine &= table["start"] > 0
    begin = table["start"][mine]
    ends = numpy.stack([table[name][mine] for name in ("end", "depart", "endpoint_end", "start")])
    end = numpy.where(ends[0] > 0, ends[0], ends[1:].max(axis=0))
    order = numpy.lexsort((end, begin))
    begin, end = begin[order], end[order]
    again = numpy.zeros(len(begin), numpy.bool_)
    again[1:] = (numpy.diff(begin) == 0) & (numpy.diff(end) == 0)
    return begin[~again], end[~again]


def send_spans(traffic: Traffic, member: int) -> Spans:
    """When a process had which connection to send, be it messages or replies."""
    begins, ends = [], []
    for table in (traffic.producer, traffic.consumer):
        mine = (table.member == member) & (table["pool_end"] > 0) & (table["depart"] > 0)
        begins.append(table["pool_end"][mine])
        ends.append(numpy.maximum(table["confirm"][mine], table["depart"][mine]))
    return numpy.concatenate(begins), numpy.concatenate(ends)


def of_spans(spans: Spans, window: tuple[int, int], asked: Asked) -> Pool | None:
    """How far a pool was in use in a stretch of time; None where it never was."""
    begin, end = (numpy.clip(each, *window) for each in spans)
    lasted = window[1] - window[0]
    if not len(begin) or lasted <= 0:
        return None
    when = numpy.concatenate([begin, end])
    change = numpy.concatenate([numpy.ones_like(begin), -numpy.ones_like(end)])
    # What ends makes room for what begins at the same time.
    order = numpy.lexsort((change, when))
    used = numpy.cumsum(change[order])
    for_ns = numpy.diff(numpy.append(when[order], window[1]))
    most = int(used[for_ns > 0].max(initial=0))
    at_size = used >= asked.size if asked.size else numpy.zeros(len(used), numpy.bool_)
    pool = Pool(
        size=asked.size,
        mean=float((end - begin).sum() / lasted),
        most=most,
        at_most_share=float(for_ns[used == most].sum() / lasted) if most else 0.0,
    )
    full = float(for_ns[at_size].sum() / lasted)
    return dataclasses.replace(pool, advice=_advice(pool, full, asked))


def _advice(pool: Pool, full_share: float, asked: Asked) -> str | None:
    if full_share < FULL_SHARE or asked.waited_ns < WAITED_NS:
        return None
    which = f"its only {asked.noun}" if pool.size == 1 else f"all {asked.noun}s"
    verb = "was" if pool.size == 1 else "were"
    found = (
        f"{which} {verb} busy {percent(full_share)} of the time and messages waited"
        f" {units.duration(asked.waited_ns)}"
    )
    if asked.cpu_share is not None and asked.cpu_share >= SATURATED_CPU:
        return (
            f"start more processes: {found}, and the process has no core time left (CPU"
            f" {asked.cpu_share:.2f}), so more {asked.noun}s would not help"
        )
    return f"raise {asked.option} ({pool.size:,}) or {asked.remedy}: {found}"


def mean_wait(columns: Sequence[tuple[Integers, Integers]], chosen: Sequence[Flags]) -> float:
    """How long it took on average from the one time to the other, of rows that are chosen."""
    waits = [(end - begin)[mine] for (begin, end), mine in zip(columns, chosen, strict=True)]
    every = numpy.concatenate(waits)
    return float(every.mean()) if len(every) else 0.0
