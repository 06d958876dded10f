"""What a message passes on its way in: the reader, deserialisation, the executor, its waiter."""

from typing import Any

from omrig.measured.probes.record import Function, State, now
from omrig.model.stamps import (
    CPU_ENDPOINT,
    CPU_ENDPOINT_END,
    CPU_HANDED,
    ENDPOINT,
    ENDPOINT_END,
    RECEIVED_CPU_JSON_IN,
    RECEIVED_JSON_IN,
    SUBMIT,
    WAIT,
    WOKE,
)


def delivery(state: State, original: Function) -> Function:
    """``Consumer._callback``: the last byte of a message has just been read."""
    received, cpu_now = state.received, state.cpu_now

    def probe(self: Any, message: Any) -> Any:
        if state.on:
            begin = now()
            cpu = cpu_now() if cpu_now else 0
            amqp_transport = getattr(message.channel.connection, "transport", None)
            link = getattr(amqp_transport, "_omrig_link", None)
            # In the order of RECEIVED_COLUMNS.
            if link is None:
                # In memory: nothing was read, the message is simply there.
                received.set([0, begin, 0, 0, 0, 0, 0])
            else:
                received.set([link.stamp, link.read, 0, link.number, link.end_offset(), cpu, 0])
        return original(self, message)

    return probe


def json_in(state: State, original: Function) -> Function:
    """oslo's and kombu's JSON passes over what was received."""
    received, thread_cpu = state.received, state.thread_cpu
    summed, summed_cpu = RECEIVED_JSON_IN, RECEIVED_CPU_JSON_IN

    def probe(*args: Any, **kwargs: Any) -> Any:
        arrived = received.get()
        if arrived is None:
            return original(*args, **kwargs)
        begin = now()
        used = thread_cpu() if thread_cpu else 0
        result = original(*args, **kwargs)
        if thread_cpu:
            arrived[summed_cpu] += thread_cpu() - used
        arrived[summed] += now() - begin
        return result

    return probe


def submit(state: State, original: Function) -> Function:
    """``MessageHandlingServer._on_incoming``: handed to the executor."""
    cpu_now = state.cpu_now

    def probe(self: Any, incoming: Any) -> Any:
        record = getattr(incoming[0], "_omrig_record", None)
        if record is not None:
            if cpu_now:
                record[CPU_HANDED] = cpu_now()
            record[SUBMIT] = now()
        return original(self, incoming)

    return probe


def endpoint(state: State, original: Function) -> Function:
    """``RPCDispatcher._do_dispatch``: the endpoint method and oslo's serializer around it."""
    sending, cpu_now = state.sending, state.cpu_now

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, *args, **kwargs)
        # What the endpoint itself sends is not this message's reply.
        token = sending.set(None)
        if cpu_now:
            record[CPU_ENDPOINT] = cpu_now()
        record[ENDPOINT] = now()
        try:
            return original(self, *args, **kwargs)
        finally:
            record[ENDPOINT_END] = now()
            if cpu_now:
                record[CPU_ENDPOINT_END] = cpu_now()
            sending.reset(token)

    return probe


def reply_get(state: State, original: Function) -> Function:
    """``ReplyWaiters.get``: the caller waits for its reply."""
    sending = state.sending

    def probe(self: Any, msg_id: str, timeout: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, msg_id, timeout)
        # Call-monitor heartbeats wake the caller before the reply does: first wait, last wake-up.
        if not record[WAIT]:
            record[WAIT] = now()
        result = original(self, msg_id, timeout)
        record[WOKE] = now()
        return result

    return probe
