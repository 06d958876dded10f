"""From stamps to stages: one function a leg.

Every stage is a difference of neighbouring stamps less what is named elsewhere, so that the stages
of a way add up to the time from its first stamp to its last by construction; whether they add up to
what the load's own clock says is checked, not assumed (:mod:`omrig.accounting.closure`).
"""

from collections.abc import Callable, Mapping

import numpy

from omrig.accounting.stamp_table import StampTable
from omrig.model.columns import Integers
from omrig.model.result import Clock

Stages = Mapping[str, Integers]
"""Durations by stage name in ns, one row a message."""


def send(table: StampTable) -> Stages:
    """From call() entered to the last send of the message, on the producer."""
    pool = table["pool_end"] - table["pool_begin"]
    early = _early(table)
    connect = table["connect"] + early + table["reconnect"]
    waits = pool + early + table["reconnect"] + table["socket_wait"]
    publish = table["depart"] - table["send"] - table["json_out"] - waits
    stages = {
        "api": table["send"] - table["call"],
        "serialize": table["json_out"],
        "pool_wait": pool - table["connect"],
        "connect": connect,
        "publish": publish,
        "socket_wait": table["socket_wait"],
    }
    waits = waits + _idle_json(table, "out")
    return _with_stall(stages, "publish", table, "call", "begin", "depart", "depart", waits)


def _early(table: StampTable) -> Integers:
    """Time in making a connection before the pool was asked; a recording of before has it in
    ``connect``."""
    early = table.columns.get("connect_early")
    return numpy.zeros_like(table["connect"]) if early is None else early


def _with_stall(
    stages: Stages,
    name: str,
    table: StampTable,
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
    if end not in table.busy.after:
        return stages
    used = table[f"cpu_{cpu_end}"] - table[f"cpu_{cpu_begin}"]
    others = table.busy.after[end] - table.busy.before[begin] - used
    idle = table[end] - table[begin] - waits - used
    room = numpy.maximum(0, stages[name])
    stall = numpy.clip(numpy.minimum(idle, others), 0, room)
    return {**stages, name: stages[name] - stall, f"{name}_stall": stall}


def _idle_json(table: StampTable, way: str) -> Integers:
    """What the thread did not compute in its JSON passes, ``in`` or ``out``: it stays theirs."""
    return table[f"json_{way}"] - table[f"cpu_json_{way}"]


def serve(table: StampTable) -> Stages:
    """From the arrival of the request to the endpoint's return, on the consumer."""
    stages: Stages = {
        "receive_lag": table["read"] - table.arrival,
        "decode": table["submit"] - table["read"] - table["json_in"],
        "deserialize": table["json_in"],
        "executor_queue": table["start"] - table["submit"],
        "dispatch": table["endpoint"] - table["start"],
        "endpoint": table["endpoint_end"] - table["endpoint"],
    }
    if table.batched:
        # Between the two stamps of its CPU time the thread also worked for the rest of the batch.
        wait = table["submit"] - table["taken"]
        stages = {**stages, "decode": stages["decode"] - wait, "batch_wait": wait}
    else:
        idle = _idle_json(table, "in")
        stages = _with_stall(stages, "decode", table, "read", "read", "submit", "handed", idle)
    return _with_stall(stages, "dispatch", table, "start", "begin", "endpoint", "endpoint")


def answer(table: StampTable) -> Stages:
    """From the endpoint's return to the last send of the reply, on the consumer."""
    pool = table["pool_end"] - table["pool_begin"]
    early = _early(table)
    waits = pool + early + table["reconnect"] + table["socket_wait"]
    stages = {
        "dispatch": table["reply"] - table["endpoint_end"],
        "reply_serialize": table["json_out"],
        "reply_pool_wait": pool - table["connect"],
        "reply_connect": table["connect"] + early + table["reconnect"],
        "reply_publish": table["depart"] - table["reply"] - table["json_out"] - waits,
        "reply_socket_wait": table["socket_wait"],
    }
    waits = waits + _idle_json(table, "out")
    return _with_stall(
        stages, "reply_publish", table, "endpoint_end", "endpoint_end", "depart", "depart", waits
    )


def returned(table: StampTable) -> Stages:
    """From the arrival of the reply to the return of call(), on the producer.

    The caller first finishes publishing (it waits for the publisher confirm), then waits for the
    reply. What ends before the reply is handed over overlaps with the message's way and does not
    count; after that, time until the confirm is in our kernel is ``confirm_wait``, time until we
    read it is ``wakeup``, and so is the time until the caller runs.
    """
    put, confirm = table["put"], table["confirm"]
    confirmed = numpy.maximum(put, table.confirm_arrival)
    read = numpy.maximum(confirmed, confirm)
    waiting = numpy.maximum(read, table["wait"])
    connect = numpy.minimum(table.reconnect_later, confirmed - put)
    stages = {
        "reply_receive_lag": table["read"] - table.arrival,
        "reply_decode": put - table["read"] - table["json_in"],
        "reply_deserialize": table["json_in"],
        "connect": connect,
        "confirm_wait": confirmed - put - connect,
        "wakeup": (read - confirmed) + (table["woke"] - waiting),
        "return": (waiting - read) + (table["return"] - table["woke"]),
    }
    idle = _idle_json(table, "in")
    return _with_stall(stages, "reply_decode", table, "read", "read", "put", "handed", idle)


def confirm(table: StampTable) -> Stages:
    """From the last send of a cast to its return, on the producer."""
    confirmed = table["confirm"] > 0
    arrival = numpy.where(confirmed, table.confirm_arrival, table["depart"])
    read = numpy.where(confirmed, table["confirm"], table["depart"])
    connect = numpy.minimum(table.reconnect_later, arrival - table["depart"])
    return {
        "connect": connect,
        "confirm_wait": arrival - table["depart"] - connect,
        "wakeup": read - arrival,
        "return": table["return"] - read,
    }


def request(producer: StampTable, consumer: StampTable, clock: Clock) -> Stages:
    """From the last send of the message to its arrival at the consumer's host."""
    return {"amqp_request": consumer.arrival - clock.offset_ns - producer["depart"]}


def reply(producer: StampTable, consumer: StampTable, clock: Clock) -> Stages:
    """From the last send of the reply to its arrival at the producer's host."""
    return {"amqp_reply": producer.arrival - (consumer["depart"] - clock.offset_ns)}


def remote(producer: StampTable) -> Stages:
    """From the last send of the message to the arrival of its reply, on the producer."""
    return {"remote": producer.arrival - producer["depart"]}


PRODUCER: Mapping[str, Callable[[StampTable], Stages]] = {
    "send": send,
    "return": returned,
    "confirm": confirm,
    "remote": remote,
}
"""The legs that the producer's stamps tell, by name."""

CONSUMER: Mapping[str, Callable[[StampTable], Stages]] = {"serve": serve, "answer": answer}
"""The legs that the consumer's stamps tell."""

WIRE: Mapping[str, Callable[[StampTable, StampTable, Clock], Stages]] = {
    "request": request,
    "reply": reply,
}
"""The legs that need the stamps of both, on one clock."""
