"""The stage part of a result: recordings of one or two sides, accounted."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from omrig.accounting import accounting, prefetch, quantised
from omrig.model.columns import Integers
from omrig.model.errors import UsageError
from omrig.model.facts import Blocked, Comb, Facts, Held, Network
from omrig.model.units import NS
from omrig.recordings import writer
from omrig.recordings.recording import Recording
from omrig.watcher import client

_COMPUTING = ("driver", "serialization", "endpoint")

_COMB_SHARE = 0.1
"""Only stages that matter are looked at for steps."""


@dataclasses.dataclass(frozen=True)
class Book:
    """One side's stamps as columns, with the arrivals worked out."""

    recording: Recording
    columns: dict[str, Integers]

    @property
    def rows(self) -> int:
        """How many messages it holds."""
        return len(self.columns["id"])

    def take(self, rows: NDArray[Any]) -> "Book":
        """The same book with only these rows."""
        return Book(self.recording, {name: column[rows] for name, column in self.columns.items()})


@dataclasses.dataclass(frozen=True)
class Timelines:
    """The stages of each message, row by row with ``book``, the producer's where there is one.

    ``waits`` are what messages waited in the broker because of prefetch, by stage.
    """

    book: Book
    durations: accounting.Stages
    waits: dict[str, prefetch.Waits] = dataclasses.field(default_factory=dict)

    def take(self, rows: NDArray[Any]) -> "Timelines":
        """The same with only these rows."""
        return Timelines(
            self.book.take(rows),
            {name: values[rows] for name, values in self.durations.items()},
            {name: each.take(rows) for name, each in self.waits.items()},
        )

    @property
    def producer(self) -> Book | None:
        """The producer's book, where there is one."""
        return self.book if self.book.recording.side == "producer" else None


_KEYS = (
    "stages",
    "buckets",
    "closure",
    "waterfall",
    "clock",
    "not_measured",
    "combs",
    "prefetch",
    "instrument",
)


def stages(
    sides: dict[str, Recording], keep: Callable[[Book], NDArray[Any]] | None = None
) -> tuple[dict[str, Any], Timelines | None]:
    """The keys of the result that come from stages; all None where no side recorded them.

    ``keep`` says which rows of a side's book count; without it all do.
    """
    if any(each.run["transport"]["in_memory"] for each in sides.values()):
        # Nothing was on a wire, and nothing of it would be a measurement.
        return dict.fromkeys(_KEYS), None
    books = {side: book for side, each in sides.items() if (book := _open(each))}
    # Of all that came, whichever messages count below.
    credits = {side: found for side, book in books.items() if (found := _credit(book))}
    if keep:
        books = {side: book.take(keep(book)) for side, book in books.items()}
    if not books:
        return dict.fromkeys(_KEYS), None
    pattern = next(iter(sides.values())).run["plan"]["pattern"]
    producer, consumer = books.get("producer"), books.get("consumer")
    if producer:
        producer = producer.take(_ended_well(producer, pattern))
    expected = producer.rows if producer else 0
    clock = None
    if producer and consumer:
        here, there = accounting.match(producer.columns, consumer.columns)
        if pattern == "call":
            # A reply that was sent after the measurement's end has no departure.
            replied = consumer.columns["depart"][there] > 0
            here, there = here[replied], there[replied]
        producer, consumer = producer.take(here), consumer.take(there)
        clock = accounting.synchronise(
            producer.columns,
            consumer.columns,
            producer.recording.about["boot_id"] == consumer.recording.about["boot_id"],
        )
        if clock:
            _settle(producer, consumer, clock)
    elif consumer:
        # Who sends casts also calls, now and then, to wait until the consumer has kept up.
        consumer = consumer.take((consumer.columns["depart"] > 0) == (pattern == "call"))
    durations = accounting.stages_of(
        pattern,
        producer.columns if producer else None,
        consumer.columns if consumer else None,
        clock,
    )
    # Where a stamp is missing the stages at it are not guessed, and the books show the gap.
    lost = {name for each in sides.values() for name in (each.meta or {}).get("lost_stages", [])}
    durations = {name: values for name, values in durations.items() if name not in lost}
    present = producer or consumer
    if present is None or not present.rows or not durations:
        return dict.fromkeys(_KEYS), None
    waits = _waits(credits, producer, consumer, clock, durations)
    timelines = Timelines(present, durations, waits)
    rows = accounting.statistics(durations)
    whole = accounting.total(durations)
    result = {
        "stages": rows,
        "buckets": accounting.buckets(rows),
        "closure": _closure(pattern, producer, consumer, durations, expected),
        "waterfall": accounting.waterfall(durations, whole),
        "clock": dataclasses.asdict(clock) if clock else None,
        "not_measured": sorted({text for book in books.values() for text in _missing(book)}),
        "combs": _combs(rows, durations, producer),
        "prefetch": {name: each.summary() for name, each in waits.items()},
        "instrument": {side: _instrument(book) for side, book in books.items()},
    }
    return result, timelines


def _open(recording: Recording) -> Book | None:
    if recording.stamps is None or recording.meta is None:
        return None
    if "columns" not in recording.meta:
        raise UsageError(
            f"RUN: {recording.folder} was written by an omrig that stamped other columns; what it"
            " says by itself, omrig report shows, but it cannot be accounted again"
        )
    names = recording.meta["columns"][recording.side]
    columns: dict[str, Any] = named(names, recording.stamps)
    for name in ("lost_depart", "lost_json_out", "cpu_json_in", "cpu_json_out"):
        # Earlier recordings have the last attempt alone, and no stalls that one could believe.
        columns.setdefault(name, numpy.zeros_like(columns["depart"]))
    offsets = [tuple(pair) for pair in recording.meta["realtime_offsets"]]
    log = client.read_arrivals(recording.folder)
    absent, watched = client.arrival_brackets(log, columns["connection"], columns["offset"])
    watcher = recording.meta["watcher"]
    if watcher.get("capturing"):
        # Every segment was noted as it came: the socket's own stamp could only be worse.
        columns["stamp"] = numpy.zeros_like(columns["stamp"])
    columns["arrival"], columns["flagged"] = accounting.arrivals(
        columns,
        watched,
        offsets,
        watching=watcher["alive"] and not watcher.get("capturing"),
        absent=absent,
    )
    columns["latest"] = numpy.where(
        watched > 0, numpy.minimum(watched, columns["read"]), columns["read"]
    )
    columns["confirm_arrival"] = accounting.confirm_arrival(columns, offsets)
    add_busy(columns, recording.side, recording.folder)
    return Book(recording, columns)


def named(names: Sequence[str], stamps: Integers) -> dict[str, Integers]:
    """Rows of stamps, one after the other, as columns by name."""
    table = stamps.reshape(-1, len(names))
    return {name: table[:, number] for number, name in enumerate(names)}


def add_busy(columns: dict[str, Integers], side: str, folder: Path) -> None:
    """Add how much CPU the process had used around each stretch, where threads have CPU clocks.

    ``folder`` is the side's, with the watcher's log of it. Raises OSError without a log.
    """
    if not columns["cpu_begin"].any():
        return
    times, used = client.read_cpu(folder)
    begins, ends = _STRETCHES[side]
    for name in begins:
        columns[f"busy_until_{name}"] = accounting.known_before(columns[name], times, used)
    for name in ends:
        columns[f"busy_after_{name}"] = accounting.known_after(columns[name], times, used)


_STRETCHES = {
    "producer": (("call", "read"), ("depart", "put")),
    "consumer": (("read", "start", "endpoint_end"), ("submit", "endpoint", "depart")),
}
"""Where the stretches begin and end in which a native thread may have to wait for others."""


def _missing(book: Book) -> list[str]:
    return list(book.recording.meta["missing"]) if book.recording.meta else []


def _settle(producer: Book, consumer: Book, clock: accounting.Clock) -> None:
    """What a side knows only by the other one: which attempt of its own arrived, and when."""
    request_read = consumer.columns["latest"] - clock.offset_ns
    reply_read = producer.columns["latest"] + clock.offset_ns
    producer.columns.update(accounting.as_arrived(producer.columns, request_read))
    consumer.columns.update(accounting.as_arrived(consumer.columns, reply_read))
    if clock.same_host:
        _correct(consumer, producer)
        _correct(producer, consumer)


def _correct(receiver: Book, sender: Book) -> None:
    """Nothing arrives before it is sent: such an arrival is the kernel's stamp gone wrong."""
    columns = receiver.columns
    columns["arrival"] = accounting.not_before(
        columns["arrival"], columns["latest"], sender.columns["depart"]
    )


def _instrument(book: Book) -> dict[str, Any]:
    """How the arrival clock of a side was run, and what it cost beside the measured process."""
    meta = book.recording.meta or {}
    return {
        "watcher_alive": meta["watcher"]["alive"],
        "watcher_scheduling": meta["watcher"]["scheduling"],
        "watcher_cpu_seconds": meta["watcher"]["cpu_ns"] / NS,
        "watcher_events": meta["watcher"]["events"],
        "arrival_clock": "capture" if meta["watcher"].get("capturing") else "watcher",
        "segments_dropped": meta["watcher"].get("dropped", 0),
        "receive_buffer_bytes": meta["receive_buffer_bytes"],
    }


def _ended_well(producer: Book, pattern: str) -> NDArray[Any]:
    """Calls that got their reply, casts that were sent; the load's own clock says they ended."""
    ended = producer.recording.times["end_ns"][producer.columns["seq"]] > 0
    sent = producer.columns["depart"] > 0
    woken = (producer.columns["put"] > 0) & (producer.columns["woke"] > 0)
    return ended & sent & (woken if pattern == "call" else True)


def _closure(
    pattern: str,
    producer: Book | None,
    consumer: Book | None,
    durations: accounting.Stages,
    expected: int,
) -> dict[str, Any]:
    """How well the stages add up to what the load generator's clock says."""
    negative = int(accounting.negative(durations).sum())
    flagged = sum(int(book.columns["flagged"].sum()) for book in (producer, consumer) if book)
    closure: dict[str, Any] = {
        "messages": expected or (consumer.rows if consumer else 0),
        "matched": producer.rows if producer and consumer else None,
        "within_tolerance": None,
        "negative_stages": negative,
        "flagged_arrivals": flagged,
        "tolerance": accounting.TOLERANCE,
        "unexplained_share": None,
    }
    if producer is None:
        return closure
    checks = [_producer_check(pattern, producer, durations)]
    if pattern == "cast" and consumer and "amqp_request" in durations:
        checks.append(_endpoint_check(producer, consumer, durations))
    close = numpy.ones(producer.rows, numpy.bool_)
    for added, measured in checks:
        close &= accounting.within_tolerance(added, measured)
    closure["within_tolerance"] = int(close.sum())
    unexplained = sum(abs(int((measured - added).sum())) for added, measured in checks)
    closure["unexplained_share"] = unexplained / max(1, sum(int(m.sum()) for _, m in checks))
    return closure


_CAST_RETURNS = ("confirm_wait", "wakeup", "return")
_BEFORE_ENDPOINT = (
    "amqp_request",
    "receive_lag",
    "decode",
    "decode_stall",
    "deserialize",
    "executor_queue",
)
_SENDING = (
    "api",
    "serialize",
    "pool_wait",
    "connect",
    "publish",
    "publish_stall",
    "socket_wait",
)


def _producer_check(
    pattern: str, producer: Book, durations: accounting.Stages
) -> tuple[Integers, Integers]:
    """The stages until call() or cast() returns, and what the load measured around it."""
    times, seq = producer.recording.times, producer.columns["seq"]
    measured = (times["end_ns"] - times["start_ns"])[seq]
    names = durations if pattern == "call" else (*_SENDING, *_CAST_RETURNS)
    if pattern == "call" and not ("amqp_request" in durations or "remote" in durations):
        # Two hosts whose clocks cannot be compared: the wire is not in the table.
        return measured, measured
    return accounting.total({n: durations[n] for n in names if n in durations}), measured


def _endpoint_check(
    producer: Book, consumer: Book, durations: accounting.Stages
) -> tuple[Integers, Integers]:
    """The stages until the endpoint is entered, and the endpoint's own clock for it."""
    name = f"received_ns.{producer.recording.about['producer_id']}"
    seq = producer.columns["seq"]
    measured = consumer.recording.times[name][seq] - producer.recording.times["start_ns"][seq]
    before = (*_SENDING, *_BEFORE_ENDPOINT)
    until = accounting.total({n: durations[n] for n in before if n in durations})
    return until + (consumer.columns["endpoint"] - consumer.columns["start"]), measured


def driver_option(run: Mapping[str, Any], name: str, default: Any) -> Any:
    """What the driver of a run was told; ``default`` where its ``run.json`` does not say."""
    options = run.get("driver_options") or {}
    if name in options:
        return options[name]
    return run.get("options", {}).get(f"[oslo_messaging_rabbit] {name}", default)


def prefetch_count(run: Mapping[str, Any]) -> int:
    """``rabbit_qos_prefetch_count`` of a run, 0 where the broker may send all it has."""
    return max(0, int(driver_option(run, "rabbit_qos_prefetch_count", 0)))


def _credit(book: Book) -> prefetch.Credit | None:
    """What the side received, where the broker waits for it; None where that cannot be told."""
    run = book.recording.run
    count = prefetch_count(run)
    if not count or run["plan"]["sample"] > 1 or not book.rows:
        return None
    return prefetch.credit_of(book.columns, book.recording.side, count)


def _waits(
    credits: dict[str, prefetch.Credit],
    producer: Book | None,
    consumer: Book | None,
    clock: accounting.Clock | None,
    durations: accounting.Stages,
) -> dict[str, prefetch.Waits]:
    if producer is None or consumer is None or clock is None:
        return {}
    ways = (
        ("amqp_request", producer, consumer, clock.offset_ns),
        ("amqp_reply", consumer, producer, -clock.offset_ns),
    )
    return {
        name: prefetch.waits(
            credits[to.recording.side], sender.columns["depart"] + offset, to.columns["arrival"]
        )
        for name, sender, to, offset in ways
        if name in durations and to.recording.side in credits
    }


def without(timelines: Timelines, numbers: NDArray[Any]) -> tuple[Timelines, Timelines]:
    """The timelines of the other messages, and of those with these sequence numbers."""
    chosen = numpy.isin(timelines.book.columns["seq"], numbers)
    return timelines.take(~chosen), timelines.take(chosen)


def judged(timelines: Timelines) -> dict[str, Any]:
    """The keys of the result that a verdict on some of the messages needs."""
    rows = accounting.statistics(timelines.durations)
    return {
        "stages": rows,
        "combs": _combs(rows, timelines.durations, timelines.producer),
        "prefetch": {name: each.summary() for name, each in timelines.waits.items()},
    }


def _combs(
    rows: list[dict[str, Any]], durations: accounting.Stages, producer: Book | None
) -> dict[str, dict[str, Any]]:
    """Stages whose durations come in steps. A wake-up from a sleeping poll makes the whole call
    come in steps: the poll began when the message was sent."""
    combs = {}
    for row in rows:
        # Who computes for a whole number of milliseconds does not sleep.
        if row["share"] < _COMB_SHARE or row["bucket"] in _COMPUTING:
            continue
        values = durations[row["name"]]
        # A way that takes a constant time is long, and no poll.
        single = quantised.TCP_PERIODS if row["bucket"] == "amqp" else tuple(quantised.KINDS)
        found = quantised.find_comb(values, single)
        if row["name"] == "wakeup" and producer and not found:
            found = quantised.find_comb(producer.columns["woke"] - producer.columns["wait"])
        if found:
            combs[row["name"]] = dataclasses.asdict(found)
    return combs


def save(timelines: Timelines) -> None:
    """Add the stages to ``messages.npz``: a column ``stage.<name>`` each, rows as in ``seq``."""
    book = timelines.book
    arrays: dict[str, Any] = {**book.recording.times, **book.recording.failed}
    if "seq" in book.columns:
        arrays["seq"] = book.columns["seq"]
    arrays |= {f"stage.{name}": values for name, values in timelines.durations.items()}
    with writer.writing(book.recording.folder / "messages.npz", "wb") as file:
        numpy.savez(file, **arrays)


def facts(sides: dict[str, Recording], result: dict[str, Any]) -> Facts:
    """What the verdict is told beside the stages."""
    some = next(iter(sides.values()))
    serving = sides.get("consumer", some)
    sending = sides.get("producer", some)
    return Facts(
        workers=some.run["plan"]["workers"],
        pool_size=sending.run["pools"]["rpc_conn_pool_size"],
        reply_pool_size=serving.run["pools"]["rpc_conn_pool_size"],
        executor_pool_size=serving.run["pools"]["executor_thread_pool_size"],
        prefetch={side: prefetch_count(each.run) for side, each in sides.items()},
        held={name: Held(**found) for name, found in (result["prefetch"] or {}).items()},
        combs={name: Comb(**found) for name, found in (result["combs"] or {}).items()},
        blocked=[block for each in sides.values() for block in _blocked(each)],
        network={
            side: found
            for side, each in sides.items()
            if each.meta and (found := _network(each.folder))
        },
        cpu_share=_cpu_share(sides),
        is_measurement=not some.run["transport"]["in_memory"],
        # Sides that were started one by one may differ.
        sample=max(each.run["plan"]["sample"] for each in sides.values()),
    )


def _blocked(recording: Recording) -> list[Blocked]:
    """The broker's connection.blocked notices, each until the next unblocked or the run's end."""
    if not recording.meta:
        return []
    ended = recording.meta["realtime_offsets"][-1][0]
    blocks, since = [], None
    for when, reason in [*recording.meta["blocked"], (ended, "")]:
        if reason and since is None:
            since = (when, reason)
        elif not reason and since is not None:
            blocks.append(
                Blocked(side=recording.side, reason=since[1], duration_ns=max(0, when - since[0]))
            )
            since = None
    return blocks


def _network(folder: Path) -> Network | None:
    connections = client.read_tcp_info(folder)
    if not connections:
        return None
    lasted = sum(
        max(1, connection["last_ns"] - connection["first_ns"]) for connection in connections
    )
    # The smoothed round trip holds the peer's delayed acknowledgements, up to 40 ms of them.
    rtts = [c["min_rtt_us"] for c in connections if c["min_rtt_us"] is not None]

    def added(name: str) -> int:
        return sum(connection[name] or 0 for connection in connections)

    return Network(
        rtt_us=sum(rtts) / len(rtts) if rtts else None,
        retransmits=added("retransmits"),
        rwnd_limited_share=added("rwnd_limited_us") * 1000 / lasted,
        sndbuf_limited_share=added("sndbuf_limited_us") * 1000 / lasted,
        unread_bytes_max=max(c["unread_bytes_max"] or 0 for c in connections),
    )


def _cpu_share(sides: dict[str, Recording]) -> dict[str, float]:
    return {
        side: (usage["cpu_user_seconds"] + usage["cpu_system_seconds"]) / usage["wall_seconds"]
        for side, each in sides.items()
        if (usage := each.about["usage"])
    }
