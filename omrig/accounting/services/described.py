"""The processes of a recording, as its result has them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy

from omrig.accounting.services import pools
from omrig.accounting.services.pools import Asked
from omrig.accounting.services.traffic import Traffic
from omrig.accounting.verdict.phrases import percent
from omrig.model import units
from omrig.model.columns import Integers
from omrig.model.recorded import About
from omrig.model.service import Pool, Process
from omrig.model.units import NS
from omrig.recordings.services.processes import Instrument, Recorded

SOCKET = (
    "by the socket's own stamp: typically 0.4 to 1.7 µs late, and more than 50 µs off for 0 to 6 %"
    " of the messages of a busy host"
)
"""How exact arrivals are without a capture, as it was measured beside one."""

AGREES_NS = NS // 2
"""How far apart the ends of processes are that a recorder turns off together."""


def names_of(processes: Sequence[Recorded]) -> list[str]:
    """What each process is called, with its pid where several are called so."""
    counts = Counter(each.about.name for each in processes)
    return [
        each.about.name if counts[each.about.name] == 1 else f"{each.about.name}[{each.about.pid}]"
        for each in processes
    ]


def account(traffic: Traffic, about: About) -> tuple[Process, ...]:
    """The processes, in the order of their start; all times are on their own clocks."""
    found = zip(traffic.processes, names_of(traffic.processes), strict=True)
    ends = _ends(traffic.processes)
    return tuple(
        _process(traffic, number, each, name, about, ends)
        for number, (each, name) in enumerate(found)
    )


def _process(
    traffic: Traffic,
    number: int,
    process: Recorded,
    name: str,
    recording: About,
    ends: Mapping[str, int],
) -> Process:
    about, instrument = process.about, process.instrument or Instrument()
    window = _window(traffic, number, process)
    cpu_share = _cpu_share(instrument)
    made = Process(
        name=name,
        host=about.host,
        pid=about.pid,
        executor=about.executor,
        program=" ".join(about.program),
        versions=about.versions,
        recorded_ns=window[1] - window[0],
        sent=process.rows("producer"),
        served=process.rows("consumer"),
        overwritten=sum(process.overwritten.values()),
        cpu_share=cpu_share,
        threads=instrument.threads,
        connections=instrument.connections,
        stamps=about.stamps,
        turning_on_ns=instrument.turning_on_ns,
        arrivals=_arrivals(traffic, number),
        failures=instrument.failures,
        ended=recording.ended.get(process.folder.name) or _ended(process, ends),
    )
    if recording.sample > 1:
        # What is not recorded is in the pools, too.
        return made
    return dataclasses.replace(
        made,
        executor_pool=_executor_pool(traffic, number, process, window, cpu_share),
        send_pool=_send_pool(traffic, number, process, window, cpu_share),
    )


def _executor_pool(
    traffic: Traffic,
    number: int,
    process: Recorded,
    window: tuple[int, int],
    cpu_share: float | None,
) -> Pool | None:
    table = traffic.consumer
    mine = (table.member == number) & (table["submit"] > 0) & (table["start"] > 0)
    known = process.instrument.pools if process.instrument else {}
    asked = Asked(
        size=known.get("executor_threads"),
        option="executor_thread_pool_size",
        noun="greenthread" if process.about.executor == "eventlet" else "thread",
        waited_ns=pools.mean_wait([(table["submit"], table["start"])], [mine]),
        cpu_share=cpu_share,
        remedy="make endpoints faster",
    )
    return pools.of_spans(pools.executor_spans(traffic, number), window, asked)


def _send_pool(
    traffic: Traffic,
    number: int,
    process: Recorded,
    window: tuple[int, int],
    cpu_share: float | None,
) -> Pool | None:
    tables = (traffic.producer, traffic.consumer)
    mine = [(each.member == number) & (each["pool_end"] > 0) for each in tables]
    # Making a connection is no waiting for one.
    waits = [(each["pool_begin"] + each["connect"], each["pool_end"]) for each in tables]
    known = process.instrument.pools if process.instrument else {}
    asked = Asked(
        size=known.get("send_connections"),
        option="rpc_conn_pool_size",
        noun="connection",
        waited_ns=pools.mean_wait(waits, mine),
        cpu_share=cpu_share,
        remedy="send less at a time",
    )
    return pools.of_spans(pools.send_spans(traffic, number), window, asked)


def _window(traffic: Traffic, number: int, process: Recorded) -> tuple[int, int]:
    """From when to when the rows of a process tell what it did."""
    producer, consumer = traffic.producer, traffic.consumer
    sent, served = producer.member == number, consumer.member == number
    times = numpy.concatenate([producer["call"][sent], consumer["read"][served]])
    lasts = numpy.concatenate(
        [producer["return"][sent], consumer["endpoint_end"][served], consumer["end"][served]]
    )
    times = times[times > 0]
    instrument = process.instrument or Instrument()
    last = int(lasts.max(initial=0))
    # Of a process that was killed only its rows say how long it lived.
    begin = instrument.began_ns or int(times.min(initial=last))
    end = instrument.ended_ns or last
    if sum(process.overwritten.values()) and len(times):
        begin = max(begin, _first_kept(process, (producer["call"][sent], consumer["read"][served])))
    return begin, max(begin, end)


def _first_kept(process: Recorded, times: tuple[Integers, Integers]) -> int:
    """Since when no row is missing, where the oldest were overwritten."""
    begins = [
        int(each[each > 0].min(initial=numpy.iinfo(numpy.int64).max))
        for side, each in zip(("producer", "consumer"), times, strict=True)
        if process.overwritten[side]
    ]
    return max(begins)


def _cpu_share(instrument: Instrument) -> float | None:
    begin, end = instrument.cpu_ns_begin, instrument.cpu_ns_end
    if begin is None or end is None or not instrument.ended_ns:
        return None
    lasted = instrument.ended_ns - instrument.began_ns
    return (end - begin) / lasted if lasted > 0 else None


def _ends(processes: Sequence[Recorded]) -> dict[str, int]:
    """When the last process of each host was turned off."""
    ends: dict[str, int] = {}
    for each in processes:
        if each.instrument and each.instrument.ended_ns:
            boot = each.about.boot_id
            ends[boot] = max(ends.get(boot, 0), each.instrument.ended_ns)
    return ends


def _ended(process: Recorded, ends: Mapping[str, int]) -> str | None:
    """Why the recording of a process ended before the others'."""
    instrument = process.instrument
    if instrument is None:
        return "it left rows, and no word on its instrument: it ended while that was turned on"
    if instrument.ended_ns is None:
        return "it ended, or was killed, while it was recorded: what it had written by then is here"
    early = ends.get(process.about.boot_id, 0) - instrument.ended_ns
    if instrument.failures and (early > AGREES_NS or not instrument.complete):
        return f"its instrument turned itself off: {instrument.failures[0]}"
    if early > AGREES_NS:
        return f"it ended, or turned its instrument off, {units.duration(early)} before the others"
    return None if instrument.complete else "its rows are not complete"


def _arrivals(traffic: Traffic, number: int) -> str:
    """How the arrivals at a process were timed, in words."""
    tables = {"producer": traffic.producer, "consumer": traffic.consumer}
    came = flagged = 0
    for table in tables.values():
        mine = (table.member == number) & (table["connection"] > 0)
        came += int(mine.sum())
        flagged += int((mine & table.flagged).sum())
    timed = sum(counts[number] for counts in traffic.timed.values())
    if not came:
        return "nothing came"
    if timed == came:
        return "by the capture"
    words = [f"by the capture for {percent(timed / came)}, else {SOCKET}" if timed else SOCKET]
    if flagged:
        words.append(f"{flagged:,} of {came:,} by when they were read, which is later")
    return "; ".join(words)
