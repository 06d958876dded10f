"""What a message passes on its way out: the driver's send, serialisation, the pool, the network."""

from typing import Any

from omrig.measured.probes.record import Function, State, now
from omrig.model.stamps import (
    CONFIRM,
    CONNECT,
    CPU_JSON_OUT,
    DEPART,
    JSON_OUT,
    LOST_DEPART,
    LOST_JSON_OUT,
    POOL_BEGIN,
    POOL_END,
    RECONNECT,
    REPLY,
    SEND,
)


def send(state: State, original: Function) -> Function:
    """``AMQPDriverBase._send``."""
    return _entered(state, original, SEND)


def reply(state: State, original: Function) -> Function:
    """``AMQPIncomingMessage.reply``."""
    return _entered(state, original, REPLY)


def _entered(state: State, original: Function, column: int) -> Function:
    sending = state.sending

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is not None:
            record[column] = now()
        return original(self, *args, **kwargs)

    return probe


def json_out(state: State, original: Function) -> Function:
    """kombu's JSON pass over the envelope."""
    sending, thread_cpu = state.sending, state.thread_cpu

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, *args, **kwargs)
        begin = now()
        used = thread_cpu() if thread_cpu else 0
        result = original(self, *args, **kwargs)
        if thread_cpu:
            record[CPU_JSON_OUT] += thread_cpu() - used
        record[JSON_OUT] += now() - begin
        return result

    return probe


def pool_get(state: State, original: Function) -> Function:
    """``Pool.get``."""
    sending = state.sending

    def probe(self: Any, retry: Any = None) -> Any:
        record = sending.get()
        if record is None:
            return original(self, retry)
        record[POOL_BEGIN] = now()
        result = original(self, retry)
        record[POOL_END] = now()
        return result

    return probe


def connect(state: State, original: Function) -> Function:
    """``ConnectionPool.create``, inside ``Pool.get``."""
    return _lasting(state, original, CONNECT)


def reconnect(state: State, original: Function) -> Function:
    """``kombu.Connection._ensure_connection``: a lost connection is made again."""
    return _lasting(state, original, RECONNECT)


def reconnect_delay(state: State, original: Function) -> Function:
    """``kombu.Connection.autoretry``: what the driver does on a lost connection before another try.

    It sleeps there, ``kombu_reconnect_delay`` seconds. The broker may have got what was sent on the
    lost connection: what is sent again is then the second of its kind.
    """
    sending = state.sending

    def losing(errback: Function) -> Function:
        def probe(*args: Any, **kwargs: Any) -> Any:
            record = sending.get()
            if record is not None and not record[LOST_DEPART] and not record[CONFIRM]:
                record[LOST_DEPART], record[LOST_JSON_OUT] = record[DEPART], record[JSON_OUT]
            return errback(*args, **kwargs)

        return probe

    def probe(self: Any, fun: Any, channel: Any = None, **options: Any) -> Any:
        errback = options.get("errback")
        if errback is not None and sending.get() is not None:
            options["errback"] = losing(_lasting(state, errback, RECONNECT))
        return original(self, fun, channel, **options)

    return probe


def _lasting(state: State, original: Function, column: int) -> Function:
    sending = state.sending

    def probe(*args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(*args, **kwargs)
        # What the pool makes is connected by the same function: counted once, outside.
        token = sending.set(None)
        begin = now()
        try:
            return original(*args, **kwargs)
        finally:
            record[column] += now() - begin
            sending.reset(token)

    return probe
