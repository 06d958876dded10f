"""Where the record of a message begins, is found again, and ends.

A producer's begins with call(), which the load marks; it gets its id when it is serialised, and by
that its reply finds it. A consumer's begins when a request has been decoded, and goes with it.
"""

from typing import Any

from omrig.measured.probes.record import Function, Record, State, closed, now
from omrig.model.stamps import (
    CALL,
    CONSUMER_COLUMNS,
    CPU_BEGIN,
    CPU_HANDED,
    CPU_JSON_OUT,
    END,
    ID,
    JSON_OUT,
    PRODUCER_COLUMNS,
    PUT,
    RECEIVED,
    RETURN,
    SEQ,
    START,
)

_NOT_OURS = -1
"""Sequence number of what is not a message of the load."""


def call(state: State, original: Function) -> Function:
    """``_BaseCallContext.call`` and ``cast``: a record begins and ends."""
    sending, in_flight, rows = state.sending, state.in_flight, state.producer_rows
    cpu_now = state.cpu_now
    width = len(PRODUCER_COLUMNS)

    def probe(self: Any, ctxt: Any, method: str, **arguments: Any) -> Any:
        begin = now()
        seq = arguments.get("seq", _NOT_OURS)
        if seq < 0 or not state.on:
            return original(self, ctxt, method, **arguments)
        record: Record = [0] * width
        record[SEQ] = seq
        record[CALL] = begin
        if cpu_now:
            record[CPU_BEGIN] = cpu_now()
        token = sending.set(record)
        try:
            return original(self, ctxt, method, **arguments)
        finally:
            sending.reset(token)
            message_id = record[ID]
            # No id: the call failed before, or is not in the sample.
            if message_id:
                in_flight.pop(message_id, None)
                record = closed(record)
                # As late as can be: what comes after it is in nobody's stage.
                record[RETURN] = now()
                rows.extend(record)

    return probe


def serialize(state: State, original: Function) -> Function:
    """``serialize_msg``: oslo's JSON pass, and where a request gets its id."""
    sending, in_flight, in_sample = state.sending, state.in_flight, state.in_sample
    thread_cpu = state.thread_cpu

    def probe(message: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(message)
        if not record[ID]:
            message_id = message.get("_msg_id") or message["_unique_id"]
            if state.sample > 1 and not in_sample(message_id):
                sending.set(None)
                return original(message)
            record[ID] = message_id
            in_flight[message_id] = record
        begin = now()
        used = thread_cpu() if thread_cpu else 0
        result = original(message)
        if thread_cpu:
            record[CPU_JSON_OUT] += thread_cpu() - used
        record[JSON_OUT] += now() - begin
        return result

    return probe


def reply_put(state: State, original: Function) -> Function:
    """``ReplyWaiters.put``: a reply is handed to its caller."""
    in_flight, received, cpu_now = state.in_flight, state.received, state.cpu_now

    def probe(self: Any, msg_id: str, message_data: Any) -> Any:
        record = in_flight.get(msg_id)
        # Call-monitor heartbeats come with the same id.
        if record is not None and message_data.get("ending"):
            arrived = received.get()
            if arrived is not None:
                record[RECEIVED] = arrived
            if cpu_now:
                record[CPU_HANDED] = cpu_now()
            record[PUT] = now()
        return original(self, msg_id, message_data)

    return probe


def incoming(state: State, original: Function) -> Function:
    """``AMQPIncomingMessage.__init__``: a request gets its record."""
    received = state.received
    width = len(CONSUMER_COLUMNS)

    def probe(
        self: Any,
        listener: Any,
        ctxt: Any,
        message: Any,
        unique_id: str,
        msg_id: str | None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        original(self, listener, ctxt, message, unique_id, msg_id, *args, **kwargs)
        if not state.on:
            return
        arrived = received.get()
        message_id = msg_id or unique_id
        if arrived is None or (state.sample > 1 and not state.in_sample(message_id)):
            return
        record: Record = [0] * width
        record[ID] = message_id
        record[RECEIVED] = arrived
        self._omrig_record = record

    return probe


def process(state: State, original: Function) -> Function:
    """``RPCServer._process_incoming``: runs in the executor."""
    sending, rows, cpu_now = state.sending, state.consumer_rows, state.cpu_now

    def probe(self: Any, incoming: Any) -> Any:
        record = getattr(incoming[0], "_omrig_record", None)
        if record is None:
            return original(self, incoming)
        record[START] = now()
        if cpu_now:
            record[CPU_BEGIN] = cpu_now()
        token = sending.set(record)
        try:
            return original(self, incoming)
        finally:
            record[END] = now()
            sending.reset(token)
            rows.extend(closed(record))

    return probe
