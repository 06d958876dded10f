"""What the actions of stage maps do: the stamps at the beginning and the end of a function."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from omrig.measured.probes import connections, messages
from omrig.measured.probes.graft import KEPT, Call, Graft
from omrig.measured.probes.messages import RECORD
from omrig.measured.probes.state import State
from omrig.model.actions import CPU_COLUMNS_OF, EACH, Action, split_path
from omrig.model.stamps import INDEX

LINK = "_omrig_link"
"""The attribute of a connection's transport that has its link."""


def graft(state: State, action: Action) -> Graft:
    """What is to be put into the function at which ``action`` is asked for."""
    return _GRAFTS[action.name](state, action)


def _stamp(state: State, action: Action) -> Graft:
    make = state.stamps.stamp
    enter, first, leave = (action.word(key) for key in ("enter", "first", "exit"))
    begin = None
    if enter or first:
        begin = Call(make("at" if enter else "first", column=INDEX[enter or first]))
    return Graft(begin, Call(make("at", column=INDEX[leave])) if leave else None)


def _message(state: State, action: Action) -> Graft:
    make = state.stamps.stamp
    describe, arguments = messages.sent(state, action)
    opened = make("message", len(arguments), keys=describe)
    sent = make("sent", 1)
    leave = Call(sent, (KEPT,))
    return Graft(Call(opened, arguments), leave, always=True, raised=_failed(state))


def _failed(state: State) -> Call:
    return Call(state.stamps.stamp("failed", 1, keys=messages.failing(state)), (KEPT,))


def _span(state: State, action: Action) -> Graft:
    make, column, cpu = state.stamps.stamp, *_columns(action.word("sum"))
    if action.flag("alone"):
        kind = "set_aside_lost" if action.flag("lost") else "set_aside"
        enter = Call(make(kind, column=column, cpu=cpu))
        early = INDEX[before] if (before := action.word("early")) else 0
        leave = Call(make("take_up", 1, column=column, cpu=cpu, early=early), (KEPT,))
        return Graft(enter, leave, always=True)
    of = "_received" if action.word("of") == "received" else ""
    begin, finish = (make(f"{each}{of}", column=column, cpu=cpu) for each in ("begin", "finish"))
    return Graft(Call(begin), Call(finish))


def _adopt(state: State, action: Action) -> Graft:
    make = state.stamps.stamp
    column, cpu = _columns(summed) if (summed := action.word("sum")) else (0, 0)
    name = make("name", 1, column=column, cpu=cpu, keys=action.words("id"))
    finish = Call(make("finish", column=column, cpu=cpu)) if column else None
    return Graft(Call(name, (action.word("in"),)), finish)


def _confirm(state: State, action: Action) -> Graft:
    start, path = split_path(action.word("link"))
    make, column = state.stamps.stamp, INDEX[action.word("exit")]
    return Graft(leave=Call(make("confirmed", 1, column=column, path=(*path, LINK)), (start,)))


def _receive(state: State, action: Action) -> Graft:
    start, path = split_path(action.word("link"))
    stamp = state.stamps.stamp("receive", 1, path=(*path, LINK), keys=connections.end_offset)
    return Graft(Call(stamp, (start,)))


def _open(state: State, action: Action) -> Graft:
    arguments = (action.word("on"), *action.words("id"))
    column = INDEX[leave] if (leave := action.word("exit")) else 0
    stamp = state.stamps.stamp("open", len(arguments), column=column)
    return Graft(leave=Call(stamp, arguments))


def _carry(state: State, action: Action) -> Graft:
    kind, start, path = _of_list("carried", action)
    column, cpu = _columns(action.word("enter"))
    stamp = state.stamps.stamp(kind, 1, column=column, cpu=cpu, path=path)
    return Graft(Call(stamp, (start,)))


def _close(state: State, action: Action) -> Graft:
    make = state.stamps.stamp
    kind, start, path = _of_list("process", action)
    column, cpu = _columns(action.word("enter"))
    process = make(kind, 1, column=column, cpu=cpu, path=path)
    tell: Callable[..., None] | None = None
    more: tuple[str, ...] = ()
    if action.word("target") and not state.enlarge:
        tell, more = messages.served(state, action)
    processed = make("processed", 1 + len(more), column=INDEX[action.word("exit")], keys=tell)
    return Graft(Call(process, (start,)), Call(processed, (KEPT, *more)), always=True)


def _serve(state: State, action: Action) -> Graft:
    make = state.stamps.stamp
    column, cpu = _columns(action.word("enter"))
    serve = make("serve", column=column, cpu=cpu)
    column, cpu = _columns(action.word("exit"))
    if state.enlarge:
        leave = Call(make("served", 1, column=column, cpu=cpu), (KEPT,))
        return Graft(Call(serve), leave, always=True)
    leave = Call(make("served_well", 1, column=column, cpu=cpu), (KEPT,))
    raised = _failed(state)
    caught = raised if action.flag("caught") else None
    return Graft(Call(serve), leave, always=True, raised=raised, caught=caught)


def _reply(state: State, action: Action) -> Graft:
    column, cpu = _columns(action.word("enter"))
    match = state.stamps.stamp("match", 2, column=column, cpu=cpu, keys=action.words("has"))
    return Graft(Call(match, (action.word("id"), action.word("in"))))


def _note(state: State, action: Action) -> Graft:
    if reason := action.word("reason"):
        return Graft(Call(state.note_blocked, (reason,)))
    return Graft(Call(state.note_unblocked))


def _wrap(state: State, action: Action) -> Graft:
    of = (action.word("of"),)
    match action.word("connection"):
        case "made":
            return Graft(leave=Call(connections.made(state), of))
        case "made_tls":
            return Graft(leave=Call(connections.made_tls(state), of))
        case "closing":
            return Graft(Call(connections.closing(state), of))
        case _:
            return Graft(Call(connections.consumes(state), of))


def _of_list(kind: str, action: Action) -> tuple[str, str, tuple[str | int, ...]]:
    """The kind of stamp for one message or all of a list, the parameter, and the way on."""
    start, path = split_path(action.word("by"))
    if EACH in path:
        return f"{kind}_all", start, (*path[1:], RECORD)
    return kind, start, (*path, RECORD)


def _columns(name: str) -> tuple[int, int]:
    """A column, and that of the CPU time there; 0 for none (the id's, which is no time)."""
    return INDEX[name], INDEX[CPU_COLUMNS_OF[name]] if name in CPU_COLUMNS_OF else 0


_GRAFTS: Mapping[str, Callable[[State, Action], Graft]] = MappingProxyType(
    {
        "message": _message,
        "stamp": _stamp,
        "span": _span,
        "adopt": _adopt,
        "confirm": _confirm,
        "receive": _receive,
        "open": _open,
        "carry": _carry,
        "close": _close,
        "serve": _serve,
        "reply": _reply,
        "note": _note,
        "wrap": _wrap,
    }
)
