"""The books: from the stamps of both sides to the stages of each message.

Pure functions over columns of integers. Times are CLOCK_MONOTONIC of the host that took them, in
ns. The columns of a side are its stamps by name, one row a message, plus ``arrival`` and
``flagged``. Every stage is a difference of neighbouring stamps less what is named elsewhere, so
that the stages of a message add up to the time from call() entered to call() returned by
construction; whether they add up to what the load generator's own clock says is checked, not
assumed.
"""

import dataclasses
from typing import Any

import numpy

from omrig.model.columns import Columns, Flags, Integers
from omrig.model.stages import STAGES

Stages = dict[str, Integers]
"""Durations by stage name, one row a message, in the order of the stage model."""

TOLERANCE_NS = 50_000
TOLERANCE_SHARE = 0.01
TOLERANCE = "max(50 us, 1 %)"
"""How far the stages of a message may be from its end-to-end time measured independently."""

CLOCKS_AGREE_NS = 10_000
"""How far CLOCK_REALTIME and CLOCK_MONOTONIC may be from what their readings at both ends say."""

TAIL_BAND = (98.5, 99.5)
"""The percentiles of latency between which a message counts as a p99 message."""


@dataclasses.dataclass(frozen=True)
class Clock:
    """How the consumer's clock was put on the producer's.

    ``offset_ns`` is consumer less producer. On one host it is 0 and certain. Otherwise it is
    estimated from the exchange itself, as NTP does from its fastest round trips, and is wrong by
    ``error_ns`` at most.
    """

    same_host: bool
    offset_ns: int = 0
    error_ns: int = 0


def arrivals(
    columns: Columns,
    watched: Integers,
    offsets: list[tuple[int, int]],
    watching: bool,
    absent: Integers | int = 0,
) -> tuple[Integers, Flags]:
    """When the last byte of each message was in the kernel, and which of these are not to trust.

    ``watched`` are the watcher's times (0: it saw none before the process had read the message),
    ``absent`` those at which it saw that the message had not arrived, ``offsets`` pairs of
    (monotonic time, CLOCK_REALTIME less CLOCK_MONOTONIC). The watcher's event and the read are
    upper bounds: the smaller is taken. The kernel's stamp is exact while little is unread, but
    under a backlog the kernel merges segments and the stamp becomes that of a later or an earlier
    one, by up to a second: it is taken only where it lies between the watcher's two times. A
    message is flagged when only the read is left and nobody was watching.
    """
    read = columns["read"]
    stamp = columns["stamp"]
    arrival = read.copy()
    stamped = (stamp > 0) & _steady(offsets)
    kernel = stamp - _realtime_offset(read, offsets)
    arrival = numpy.where(watched > 0, numpy.minimum(arrival, watched), arrival)
    credible = stamped & (kernel >= absent - CLOCKS_AGREE_NS)
    arrival = numpy.where(credible, numpy.minimum(arrival, kernel), arrival)
    flagged = (columns["connection"] > 0) & ~stamped & (watched == 0) & (not watching)
    return arrival, flagged


def not_before(arrival: Integers, latest: Integers, departed: Integers) -> Integers:
    """Arrivals, where the kernel's stamp is before the departure replaced by ``latest``.

    ``latest`` is the arrival without the kernel's stamp; all times are on one clock.
    """
    return numpy.where(arrival < departed, latest, arrival)


def as_arrived(columns: Columns, latest: Integers) -> Columns:
    """The sender's columns that are otherwise where a message arrived by its first attempt.

    A message whose connection was lost before it was confirmed is sent again; the broker may have
    had it already. It had if the other side read it, at ``latest`` on the sender's clock, before
    the second attempt left: then the first one counts, and the connection was made again while the
    message was under way.
    """
    first = (columns["lost_depart"] > 0) & (latest < columns["depart"])
    return {
        "depart": numpy.where(first, columns["lost_depart"], columns["depart"]),
        "json_out": numpy.where(first, columns["lost_json_out"], columns["json_out"]),
        "reconnect": numpy.where(first, 0, columns["reconnect"]),
        "reconnect_later": numpy.where(first, columns["reconnect"], 0),
    }


def _steady(offsets: list[tuple[int, int]]) -> bool:
    """Whether nobody set the clock during the run (a slew of 500 ppm is what NTP allows itself)."""
    (began, first), (ended, last) = offsets[0], offsets[-1]
    return abs(last - first) <= 100_000 + (ended - began) * 500 // 1_000_000


def _realtime_offset(when: Integers, offsets: list[tuple[int, int]]) -> Integers:
    (began, first), (ended, last) = offsets[0], offsets[-1]
    if ended == began:
        return numpy.full_like(when, first)
    # Integers throughout: a float of 1.7e18 ns is exact to 256 ns only.
    return first + (when - began) * (last - first) // (ended - began)


def known_before(when: Integers, times: Integers, values: Integers) -> Integers:
    """The last of ``values``, known at ``times``, before each time; the first if there is none."""
    place = numpy.searchsorted(times, when, side="right") - 1
    return values[numpy.maximum(place, 0)] if len(values) else numpy.zeros_like(when)


def known_after(when: Integers, times: Integers, values: Integers) -> Integers:
    """The first of ``values``, known at ``times``, after each time; the last if there is none."""
    place = numpy.searchsorted(times, when, side="left")
    return values[numpy.minimum(place, len(values) - 1)] if len(values) else numpy.zeros_like(when)


def confirm_arrival(columns: Columns, offsets: list[tuple[int, int]]) -> Integers:
    """When the publisher confirm was in the kernel; where that is unknown, when it was read.

    One message at a time is published on a connection, so there is no backlog to mislead the
    kernel's stamp.
    """
    confirm = columns["confirm"]
    kernel = columns["confirm_stamp"] - _realtime_offset(confirm, offsets)
    usable = (columns["confirm_stamp"] > 0) & _steady(offsets)
    kernel = numpy.clip(kernel, columns["depart"], confirm)
    return numpy.where(usable, kernel, confirm)


def match(producer: Columns, consumer: Columns) -> tuple[Integers, Integers]:
    """Row numbers of the messages that both sides recorded, in the producer's order."""
    consumer_ids, first = numpy.unique(consumer["id"], return_index=True)
    place = numpy.searchsorted(consumer_ids, producer["id"])
    place = numpy.minimum(place, max(0, len(consumer_ids) - 1))
    if not len(consumer_ids):
        return numpy.zeros(0, numpy.int64), numpy.zeros(0, numpy.int64)
    found = numpy.flatnonzero(consumer_ids[place] == producer["id"])
    return found, first[place[found]]


def synchronise(producer: Columns, consumer: Columns, same_host: bool) -> Clock | None:
    """The consumer's clock against the producer's, from matched rows; None when it cannot be told.

    With another host the fastest request and the fastest reply bound the offset from both sides:
    it is the middle, and wrong by half of what they took together (RFC 5905, section 8).
    """
    if same_host:
        return Clock(same_host=True)
    replied = (producer["put"] > 0) & (consumer["depart"] > 0)
    # What was sent twice arrived by the one or by the other.
    replied &= (producer["lost_depart"] == 0) & (consumer["lost_depart"] == 0)
    if not replied.any():
        return None
    there = (consumer["arrival"] - producer["depart"])[replied].min()
    back = (producer["arrival"] - consumer["depart"])[replied].min()
    return Clock(
        same_host=False, offset_ns=int(there - back) // 2, error_ns=int(there + back + 1) // 2
    )


def sending_stages(columns: Columns) -> Stages:
    """From call() entered to the last send of the message, on the producer."""
    pool = columns["pool_end"] - columns["pool_begin"]
    connect = columns["connect"] + columns["reconnect"]
    waits = pool + columns["reconnect"] + columns["socket_wait"]
    publish = columns["depart"] - columns["send"] - columns["json_out"] - waits
    stages = {
        "api": columns["send"] - columns["call"],
        "serialize": columns["json_out"],
        "pool_wait": pool - columns["connect"],
        "connect": connect,
        "publish": publish,
        "socket_wait": columns["socket_wait"],
    }
    waits = waits + _idle_json(columns, "out")
    return _with_stall(stages, "publish", columns, "call", "begin", "depart", "depart", waits)


def _with_stall(
    stages: Stages,
    name: str,
    columns: Columns,
    begin: str,
    cpu_begin: str,
    end: str,
    cpu_end: str,
    waits: Integers | int = 0,
) -> Stages:
    """Take out of a stage what its thread spent neither computing nor in a wait named elsewhere.

    As far as other threads of the process computed meanwhile, between the readings of their CPU
    time around it: then it waited for the interpreter's lock; otherwise it slept or was blocked,
    and that stays the stage's own. Only native threads have a CPU clock; without one the stages are
    as they were.
    """
    if f"busy_after_{end}" not in columns:
        return stages
    used = columns[f"cpu_{cpu_end}"] - columns[f"cpu_{cpu_begin}"]
    others = columns[f"busy_after_{end}"] - columns[f"busy_until_{begin}"] - used
    idle = columns[end] - columns[begin] - waits - used
    room = numpy.maximum(0, stages[name])
    stall = numpy.clip(numpy.minimum(idle, others), 0, room)
    return stages | {name: stages[name] - stall, f"{name}_stall": stall}


def _idle_json(columns: Columns, way: str) -> Integers:
    """What the thread did not compute in its JSON passes, ``in`` or ``out``: it stays theirs."""
    return columns[f"json_{way}"] - columns[f"cpu_json_{way}"]


def receiving_stages(columns: Columns) -> Stages:
    """From the arrival of the request to the endpoint's return, on the consumer."""
    stages = {
        "receive_lag": columns["read"] - columns["arrival"],
        "decode": columns["submit"] - columns["read"] - columns["json_in"],
        "deserialize": columns["json_in"],
        "executor_queue": columns["start"] - columns["submit"],
        "dispatch": columns["endpoint"] - columns["start"],
        "endpoint": columns["endpoint_end"] - columns["endpoint"],
    }
    idle = _idle_json(columns, "in")
    stages = _with_stall(stages, "decode", columns, "read", "read", "submit", "handed", idle)
    return _with_stall(stages, "dispatch", columns, "start", "begin", "endpoint", "endpoint")


def replying_stages(columns: Columns) -> Stages:
    """From the endpoint's return to the last send of the reply, on the consumer."""
    pool = columns["pool_end"] - columns["pool_begin"]
    waits = pool + columns["reconnect"] + columns["socket_wait"]
    stages = {
        "dispatch": columns["reply"] - columns["endpoint_end"],
        "reply_serialize": columns["json_out"],
        "reply_pool_wait": pool - columns["connect"],
        "reply_connect": columns["connect"] + columns["reconnect"],
        "reply_publish": columns["depart"] - columns["reply"] - columns["json_out"] - waits,
        "reply_socket_wait": columns["socket_wait"],
    }
    waits = waits + _idle_json(columns, "out")
    return _with_stall(
        stages, "reply_publish", columns, "endpoint_end", "endpoint_end", "depart", "depart", waits
    )


def returning_stages(columns: Columns) -> Stages:
    """From the arrival of the reply to the return of call(), on the producer.

    The caller first finishes publishing (it waits for the publisher confirm), then waits for the
    reply. What ends before the reply is handed over overlaps with the message's way and does not
    count; after that, time until the confirm is in our kernel is ``confirm_wait``, time until we
    read it is ``wakeup``, and so is the time until the caller runs.
    """
    put, confirm = columns["put"], columns["confirm"]
    confirmed = numpy.maximum(put, columns["confirm_arrival"])
    read = numpy.maximum(confirmed, confirm)
    waiting = numpy.maximum(read, columns["wait"])
    connect = numpy.minimum(columns.get("reconnect_later", 0), confirmed - put)
    stages = {
        "reply_receive_lag": columns["read"] - columns["arrival"],
        "reply_decode": put - columns["read"] - columns["json_in"],
        "reply_deserialize": columns["json_in"],
        "connect": connect,
        "confirm_wait": confirmed - put - connect,
        "wakeup": (read - confirmed) + (columns["woke"] - waiting),
        "return": (waiting - read) + (columns["return"] - columns["woke"]),
    }
    idle = _idle_json(columns, "in")
    return _with_stall(stages, "reply_decode", columns, "read", "read", "put", "handed", idle)


def confirming_stages(columns: Columns) -> Stages:
    """From the last send of a cast to its return, on the producer."""
    confirmed = columns["confirm"] > 0
    arrival = numpy.where(confirmed, columns["confirm_arrival"], columns["depart"])
    read = numpy.where(confirmed, columns["confirm"], columns["depart"])
    connect = numpy.minimum(columns.get("reconnect_later", 0), arrival - columns["depart"])
    return {
        "connect": connect,
        "confirm_wait": arrival - columns["depart"] - connect,
        "wakeup": read - arrival,
        "return": columns["return"] - read,
    }


def stages_of(
    pattern: str, producer: Columns | None, consumer: Columns | None, clock: Clock | None
) -> Stages:
    """All stages that these sides saw, in the order of the model; rows are matched already.

    ``clock`` is None where the two clocks cannot be compared: then what is on the wire is left
    out. Without a consumer a call has ``remote`` in place of the wire and the other side.
    """
    stages: Stages = {}
    if producer is not None:
        stages |= sending_stages(producer)
        _add(stages, (returning_stages if pattern == "call" else confirming_stages)(producer))
    if consumer is not None:
        _add(stages, receiving_stages(consumer))
        if pattern == "call":
            _add(stages, replying_stages(consumer))
    if producer is not None and consumer is not None and clock is not None:
        offset = clock.offset_ns
        stages["amqp_request"] = consumer["arrival"] - offset - producer["depart"]
        if pattern == "call":
            stages["amqp_reply"] = producer["arrival"] - (consumer["depart"] - offset)
    elif producer is not None and consumer is None and pattern == "call":
        stages["remote"] = producer["arrival"] - producer["depart"]
    return {stage.name: stages[stage.name] for stage in STAGES if stage.name in stages}


def _add(stages: Stages, more: Stages) -> None:
    for name, durations in more.items():
        stages[name] = stages[name] + durations if name in stages else durations


def total(stages: Stages) -> Integers:
    """The sum of all stages of each message."""
    durations: Integers = numpy.sum(list(stages.values()), axis=0, dtype=numpy.int64)
    return durations


def negative(stages: Stages) -> Flags:
    """Which messages have a stage below zero: the books are wrong there."""
    flags = numpy.zeros(len(next(iter(stages.values()))), numpy.bool_)
    for durations in stages.values():
        flags |= durations < 0
    return flags


def within_tolerance(stages_ns: Integers, measured_ns: Integers) -> Flags:
    """Which messages' stages add up to what the load generator measured."""
    allowed = numpy.maximum(TOLERANCE_NS, TOLERANCE_SHARE * measured_ns)
    close: Flags = numpy.abs(stages_ns - measured_ns) <= allowed
    return close


def statistics(stages: Stages) -> list[dict[str, Any]]:
    """The rows of the stage table; shares are of the sum of all stages and add up to 1.

    ``share_error`` is the standard error of the share over messages (the ratio estimator's), for
    samples.
    """
    everything = total(stages)
    whole = float(everything.sum()) or 1.0
    rows = []
    for stage in STAGES:
        if stage.name not in stages:
            continue
        values = stages[stage.name]
        share = float(values.sum()) / whole
        deviation = values - share * everything
        p50, p90, p99 = numpy.percentile(values, (50, 90, 99), method="inverted_cdf").tolist()
        rows.append(
            {
                "name": stage.name,
                "side": stage.side,
                "bucket": stage.bucket,
                "count": len(values),
                "mean_ns": int(values.mean()),
                "p50_ns": p50,
                "p90_ns": p90,
                "p99_ns": p99,
                "max_ns": int(values.max()),
                "total_ns": int(values.sum()),
                "share": share,
                "share_error": float(numpy.sqrt((deviation**2.0).sum()) / whole),
            }
        )
    return rows


def buckets(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The share of each bucket; they add up to 1."""
    shares: dict[str, float] = {}
    for row in rows:
        shares[row["bucket"]] = shares.get(row["bucket"], 0.0) + row["share"]
    return shares


def waterfall(stages: Stages, latency_ns: Integers) -> dict[str, dict[str, int]]:
    """The stages of a mean message and of a p99 message (the mean over those around p99), in ns."""
    low, high = numpy.percentile(latency_ns, TAIL_BAND, method="inverted_cdf")
    slow = (latency_ns >= low) & (latency_ns <= high)
    return {
        "mean": {name: int(values.mean()) for name, values in stages.items()},
        "p99": {name: int(values[slow].mean()) for name, values in stages.items()},
    }
