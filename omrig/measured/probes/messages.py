"""What a message is, by the arguments of the functions that send and serve it.

All of it is Python that looks at what belongs to the service. It is called by stamps, so that what
fails here turns them off, and breaks no message.
"""

import hashlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any

from omrig.measured.probes.kinds import Key, Kinds
from omrig.measured.probes.records import follow
from omrig.measured.probes.state import State
from omrig.model.actions import EACH, Action, split_path
from omrig.model.stamps import ID_DIGITS, KIND, REQUEST

RECORD = "_omrig_record"
"""The attribute of a message that carries its record."""

_ENOUGH = 18
"""Of so many characters of a UUID ``ID_DIGITS`` are digits."""

_EXPECTED = "ExpectedException"
"""What oslo.messaging puts around an exception that an endpoint may raise."""


def request_number(context: Any) -> int:
    """The number of the request that a context is of: the first 60 bits of its id, which are
    hexadecimal digits where it is a UUID and else those of its SHA-1; 0 without one.

    A context has the attribute ``request_id`` or, as a dictionary, the key.
    """
    is_dict = isinstance(context, dict)
    request = context.get("request_id") if is_dict else getattr(context, "request_id", None)
    if not isinstance(request, str) or not request:
        return 0
    begin = 4 if request.startswith("req-") else 0
    digits = request[begin : begin + _ENOUGH].replace("-", "")[:ID_DIGITS]
    if len(digits) == ID_DIGITS:
        try:
            return int(digits, 16)
        except ValueError:
            # Not an id of oslo's: a proxy's, or the user's own.
            pass
    data = request.encode(errors="replace")
    return int(hashlib.sha1(data, usedforsecurity=False).hexdigest()[:ID_DIGITS], 16)


def sent(state: State, action: Action) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """What describes a message that is about to be sent, and the parameters that it is called with.

    It gives the numbers of its kind and of its request, and None where nobody asks for kinds.
    """
    pattern, context = action.word("pattern"), action.word("context")
    target, target_of = _getter(action.word("target"))
    driver, exchange_of = _getter(action.word("exchange"))
    event = action.word("event")
    method = event or action.word("method")
    names = tuple(dict.fromkeys((target, driver, context, method)))
    of_target, of_driver, of_context, of_method = map(
        names.index, (target, driver, context, method)
    )

    def describe(*arguments: Any) -> tuple[int, int] | None:
        kinds = state.kinds
        if kinds is None:
            return None
        to = target_of(arguments[of_target])
        called = arguments[of_method]
        if event:
            called = called.get("event_type") if isinstance(called, dict) else None
        kind = (
            "fanout" if to.fanout else pattern,
            to.exchange or exchange_of(arguments[of_driver]) or "",
            to.topic or "",
            "" if event else to.namespace or "",
            _word(called),
        )
        return kinds.kind(kind), request_number(arguments[of_context])

    return describe, names


def served(state: State, action: Action) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """What writes into the records of messages what they were, and the parameters that it is
    called with after what was kept: who serves them, and the messages."""
    server, target_of = _getter(action.word("target"))
    driver, exchange_of = _getter(action.word("exchange"))
    incoming, path = split_path(action.word("by"))
    if driver != server:
        raise ValueError(f"{driver} is not {server}: one object serves a message")
    is_event = action.flag("event")

    kind_of = _of_event if is_event else _of_call

    def write(record: Any, kinds: Kinds, serving: Any, message: Any) -> None:
        told = kind_of(target_of(serving), exchange_of(serving), message.message)
        record[KIND] = kinds.kind(told)
        record[REQUEST] = request_number(message.ctxt)

    def tell(record: Any, serving: Any, messages: Any) -> None:
        if (kinds := state.kinds) is not None:
            write(record, kinds, serving, follow(messages, path))

    def tell_each(_first: Any, serving: Any, messages: Any) -> None:
        if (kinds := state.kinds) is not None:
            for message in messages:
                record = getattr(message, RECORD, None)
                if record is not None:
                    write(record, kinds, serving, message)

    return tell_each if EACH in path else tell, (server, incoming)


def _word(said: Any) -> str:
    """What a message says, whatever somebody has put there."""
    return said if type(said) is str else str(said or "")


def _getter(path: str) -> tuple[str, Callable[[Any], Any]]:
    """The parameter that a path begins with, and what follows it from there."""
    start, steps = split_path(path)
    if all(isinstance(step, str) for step in steps) and steps:
        return start, attrgetter(".".join(map(str, steps)))
    return start, partial(follow, path=steps)


def _of_call(target: Any, exchange: Any, message: Mapping[str, Any]) -> Key:
    """What is served of a procedure call."""
    return (
        "served",
        target.exchange or exchange or "",
        target.topic or "",
        _word(message.get("namespace")),
        _word(message.get("method")),
    )


def _of_event(targets: Any, exchange: Any, message: Mapping[str, Any]) -> Key:
    """What is served of a notification: a listener may have several targets, and its topics are
    those and the priority."""
    exchanges = sorted({each.exchange or exchange or "" for each in targets})
    topics = sorted({each.topic or "" for each in targets})
    priority = str(message.get("priority") or "").lower()
    return (
        "served",
        ",".join(exchanges),
        ",".join(f"{topic}.{priority}" if priority else topic for topic in topics),
        "",
        _word(message.get("event_type")),
    )


def failing(state: State) -> Callable[[], int]:
    """What gives the number of the exception that is being handled."""

    def number() -> int:
        kinds, (kind, error, _) = state.kinds, sys.exc_info()
        if kinds is None or kind is None:
            return 0
        if kind.__name__ == _EXPECTED:
            kind = getattr(error, "exc_info", (kind,))[0]
        return kinds.outcome(kind.__name__)

    return number
