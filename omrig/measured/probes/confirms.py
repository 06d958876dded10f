"""What the broker says to who publishes: that it has a message, and that it takes no more."""

from typing import Any

from omrig.measured.probes.record import Function, State, now
from omrig.model.stamps import CONFIRM, CONFIRM_STAMP


def confirm(state: State, original: Function) -> Function:
    """``Channel.basic_publish_confirm``: returns when the broker has confirmed."""
    sending = state.sending

    def probe(self: Any, *args: Any, **kwargs: Any) -> Any:
        record = sending.get()
        if record is None:
            return original(self, *args, **kwargs)
        result = original(self, *args, **kwargs)
        record[CONFIRM] = now()
        link = getattr(self.connection.transport, "_omrig_link", None)
        if link is not None:
            record[CONFIRM_STAMP] = link.stamp
        return result

    return probe


def blocked(state: State, original: Function) -> Function:
    """``Connection._on_connection_blocked``: the broker takes no more from this connection."""

    def probe(reason: str) -> Any:
        state.blocked.append((now(), reason))
        return original(reason)

    return probe


def unblocked(state: State, original: Function) -> Function:
    """``Connection._on_connection_unblocked``."""

    def probe() -> Any:
        state.blocked.append((now(), ""))
        return original()

    return probe
