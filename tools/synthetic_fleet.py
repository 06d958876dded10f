#!/usr/bin/env python
"""Run folders of a fleet that never was, to try what accounts and reports many messages.

Four producers and two consumers on four hosts, each with a clock of its own, as the coordinator
has them once everything was collected; nothing is accounted yet. Of all messages there are the
times of the load's own clock and the arrivals that the watcher logged, of some the stamps.
Usage: tools/synthetic_fleet.py -m 10000000 FOLDER
"""

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy
from synthetic_values import run

from omrig.model.columns import Integers
from omrig.model.fleet import Fleet, FleetHost
from omrig.model.run import Run
from omrig.model.stamps import CONSUMER_COLUMNS, PRODUCER_COLUMNS
from omrig.model.units import MS, NS
from omrig.recordings import folder as run_folder
from omrig.recordings import writer
from omrig.watcher import layout

PRODUCERS, CONSUMERS = 4, 2
HOSTS = ("h1", "h2", "h3", "h4")
AHEAD_NS = {"h1": 0, "h2": 500 * MS, "h3": -3_000 * MS, "h4": 40_000 * MS}
"""By how far each host's CLOCK_MONOTONIC is ahead of the first one's."""

PLACES = {
    "producer-1": "h1",
    "producer-2": "h2",
    "producer-3": "h3",
    "producer-4": "h4",
    "consumer-1": "h1",
    "consumer-2": "h2",
}
RATE = 20_000
"""Messages a second, of all producers."""

BEGAN_NS = 5_000 * NS
REALTIME_NS = 1_795_636_800 * NS
"""CLOCK_REALTIME less the first host's CLOCK_MONOTONIC."""

FRAME_BYTES = 12_000

_PRODUCER_AT = {
    "call": 0.0, "send": 0.02, "pool_begin": 0.03, "pool_end": 0.04, "depart": 0.1, "confirm": 0.3,
    "wait": 0.31, "read": 0.8, "put": 0.85, "woke": 0.9, "return": 1.0,
}  # fmt: skip
_CONSUMER_AT = {
    "read": 0.25, "taken": 0.3, "submit": 0.35, "start": 0.4, "endpoint": 0.45,
    "endpoint_end": 0.5, "reply": 0.52, "pool_begin": 0.53, "pool_end": 0.54, "depart": 0.6,
    "confirm": 0.7, "end": 0.71,
}  # fmt: skip
"""Where in a message's time each stamp lies."""

_ARRIVED_AT = {"producer": 0.75, "consumer": 0.2}


@dataclasses.dataclass(frozen=True)
class _Sent:
    """The messages of one producer on the first host's clock; ``stamped`` are the numbers of those
    that have stamps."""

    id: str
    starts: Integers
    took: Integers
    ids: Integers
    stamped: Integers

    def at(self, part: float, rows: Integers | slice = slice(None)) -> Integers:
        """When such a part of a message's time had passed."""
        found: Integers = self.starts[rows] + (self.took[rows] * part).astype(numpy.int64)
        return found


def write(folder: Path, messages: int, sample: int, is_open: bool = False, seed: int = 1) -> None:
    """Write a run of so many messages, one in ``sample`` of them with stamps, in an open loop where
    it ``is_open``."""
    folder.mkdir(parents=True)
    about = _run(messages, sample, is_open)
    each = messages // PRODUCERS
    sent = [_sent(number, each, sample, seed) for number in range(PRODUCERS)]
    for number, one in enumerate(sent):
        _write_producer(folder, f"producer-{number + 1}", one, is_open)
    for number in range(CONSUMERS):
        _write_consumer(folder, f"consumer-{number + 1}", number, sent)
    writer.write_json(folder / run_folder.RUN, about.to_json())


def _run(messages: int, sample: int, is_open: bool) -> Run:
    hosts = tuple(
        FleetHost(
            name=name, address=f"10.0.0.{number}", boot_id=f"boot-{name}", cpu_count=4, kernel="6",
            python="3.11.2", omrig="1", offset_ns=AHEAD_NS[name], round_trip_ns=400_000,
            members=tuple(member for member, host in PLACES.items() if host == name),
        )
        for number, name in enumerate(HOSTS, start=1)
    )  # fmt: skip
    fleet = Fleet(
        kind="scheduler",
        engine="dask.distributed 2026.8.0",
        coordinator="h0",
        hosts=hosts,
        begin_ns=BEGAN_NS,
    )
    plan = {
        "messages": messages,
        "producers": PRODUCERS,
        "consumers": CONSUMERS,
        "sample": sample,
        "workers": 100,
        **({"rate": float(RATE), "arrivals": "constant"} if is_open else {}),
    }
    return run(plan=plan, fleet=fleet, started_epoch_seconds=(REALTIME_NS + BEGAN_NS) / NS)


def _sent(number: int, messages: int, sample: int, seed: int) -> _Sent:
    chance = numpy.random.default_rng([seed, number])
    gap_ns = PRODUCERS * NS // RATE
    starts = BEGAN_NS + number * 1_000 + numpy.arange(messages, dtype=numpy.int64) * gap_ns
    took = (5 * MS * chance.lognormal(0, 0.5, messages)).astype(numpy.int64)
    ids = chance.integers(1, 1 << 60, messages)
    return _Sent(f"{number:032x}", starts, took, ids, numpy.arange(0, messages, sample))


def _write_producer(folder: Path, name: str, sent: _Sent, is_open: bool) -> None:
    place, ahead = folder / name, AHEAD_NS[PLACES[name]]
    place.mkdir()
    count = len(sent.starts)
    columns = {"start_ns": sent.starts + ahead, "end_ns": sent.at(1.0) + ahead}
    counts: dict[str, object] = {"producer_id": sent.id, "sent": count, "done": count}
    if is_open:
        # Each as long after it was due as the messages before it happened to take.
        columns["intended_ns"] = columns["start_ns"] - numpy.roll(sent.took, 1) // 10
        counts["pacing"] = {"began_ns": BEGAN_NS + ahead, "held_ns": 0}
    _write_about(place, name, counts)
    writer.save_columns(place / run_folder.MESSAGES, columns)
    rows = {part: sent.at(at, sent.stamped) + ahead for part, at in _PRODUCER_AT.items()}
    arrived = sent.at(_ARRIVED_AT["producer"]) + ahead
    order = numpy.argsort(arrived, kind="stable")
    rows |= {"id": sent.ids[sent.stamped], "seq": sent.stamped}
    rows["offset"] = _log(place, arrived, order)[sent.stamped]
    _write_stamps(place, "producer", PRODUCER_COLUMNS, rows, int(columns["end_ns"].max()))


def _write_consumer(folder: Path, name: str, number: int, sent: list[_Sent]) -> None:
    place, ahead = folder / name, AHEAD_NS[PLACES[name]]
    place.mkdir()
    mine = [one.ids % CONSUMERS == number for one in sent]
    columns = {
        f"received_ns.{one.id}": numpy.where(own, one.at(_CONSUMER_AT["endpoint"]) + ahead, 0)
        for one, own in zip(sent, mine, strict=True)
    }
    known = {one.id: {"host": name, "boot_id": "", "pid": 1} for one in sent}
    received = sum(int(own.sum()) for own in mine)
    _write_about(place, name, {"producers": known, "received": received})
    writer.save_columns(place / run_folder.MESSAGES, columns)
    arrived = numpy.concatenate(
        [one.at(_ARRIVED_AT["consumer"], own) for one, own in zip(sent, mine, strict=True)]
    )
    arrived += ahead
    offsets = _log(place, arrived, numpy.argsort(arrived, kind="stable"))
    parts, begin = [], 0
    for one, own in zip(sent, mine, strict=True):
        stamped = one.stamped[own[one.stamped]]
        rows = {part: one.at(at, stamped) + ahead for part, at in _CONSUMER_AT.items()}
        rows["id"] = one.ids[stamped]
        # Where each lies among those that this consumer has of the producer.
        rows["offset"] = offsets[begin + numpy.cumsum(own)[stamped] - 1]
        begin += int(own.sum())
        parts.append(rows)
    table = {part: numpy.concatenate([rows[part] for rows in parts]) for part in parts[0]}
    table_order = numpy.argsort(table["end"], kind="stable")
    table = {part: values[table_order] for part, values in table.items()}
    _write_stamps(place, "consumer", CONSUMER_COLUMNS, table, int(table["end"].max()))


def _log(place: Path, arrived: Integers, order: Integers) -> Integers:
    """Write what the watcher saw; how many bytes of the one connection had come with each."""
    ends = numpy.arange(1, len(arrived) + 1, dtype=numpy.int64) * FRAME_BYTES
    rows = numpy.stack([numpy.ones_like(ends), arrived[order], ends], axis=1)
    rows.astype("<u8").tofile(place / layout.ARRIVALS)
    offsets = numpy.empty_like(ends)
    offsets[order] = ends
    return offsets


def _write_about(place: Path, name: str, counts: dict[str, object]) -> None:
    host = PLACES[name]
    who = {"host": host, "boot_id": f"boot-{host}", "pid": 100 + len(name)}
    writer.write_json(place / run_folder.SIDE, {**who, **counts})


def _write_stamps(
    place: Path, side: str, names: tuple[str, ...], rows: dict[str, Integers], until_ns: int
) -> None:
    count = len(rows["id"])
    table = numpy.zeros((count, len(names)), "<u8")
    rows |= {"connection": numpy.ones(count, numpy.int64), "stamp": numpy.zeros(count, numpy.int64)}
    rows |= {"json_in": numpy.full(count, 20_000), "json_out": numpy.full(count, 15_000)}
    for column, name in enumerate(names):
        if name in rows:
            table[:, column] = rows[name]
    writer.save_columns(place / run_folder.STAMPS, {side: table})
    ahead = AHEAD_NS[PLACES[place.name]]
    offsets = [[BEGAN_NS + ahead, REALTIME_NS - ahead], [until_ns, REALTIME_NS - ahead]]
    info = numpy.zeros((2, len(layout.TCP_INFO_COLUMNS)), "<u8")
    for name, values in (("connection", 1), ("t_ns", [BEGAN_NS + ahead, until_ns])):
        info[:, layout.TCP_INFO_COLUMNS.index(name)] = values
    info[:, layout.TCP_INFO_COLUMNS.index("info_bytes")] = max(layout.INFO_ENDS.values())
    info.tofile(place / layout.TCP_INFO)
    about = {"columns": {side: list(names)}, "realtime_offsets": offsets, "stamps": "c"}
    about["watcher"] = {"alive": True, "scheduling": "fifo", "events": 1, "cpu_ns": 1}
    writer.write_json(place / run_folder.INSTRUMENT, about)


def main() -> int:
    """Write the folder that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    parser.add_argument("-m", "--message_count", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--sample", type=int, default=100, metavar="N", help="stamp one in N")
    parser.add_argument("--open", action="store_true", help="of an open loop")
    options = parser.parse_args()
    write(options.folder, options.message_count, options.sample, options.open)
    return 0


if __name__ == "__main__":
    sys.exit(main())
