"""Calls put into a function's own code: at its beginning, and where it ends.

A graft adds no frame. A wrapper would: it takes a call from Python to Python off the interpreter's
short way and puts a C frame on the stack, which greenlet copies at each switch. Since the code
object is replaced and not the function, whoever has bound the function already calls the new code,
and giving back the old one leaves nothing behind; a call under way ends in the code it began with.
"""

import dataclasses
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType
from typing import Any

from bytecode import Bytecode, ConcreteBytecode, Instr, Label
from bytecode.instr import CellVar, TryBegin, TryEnd

KEPT = "_omrig_kept"
"""What the call at the beginning returned, as an argument of the one at the end. In the function it
is a local variable of this name, or one that begins so where there is one already."""

_LOOKS_AT_LOCALS = frozenset({"locals", "vars", "eval", "exec", "dir"})
"""What would see a variable more."""

_OTHER_KINDS = 0x20 | 0x80 | 0x100 | 0x200
"""CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE, CO_ASYNC_GENERATOR of Python's inspect: their
code is entered and left many times for each call."""

_NULL_AFTER = sys.version_info >= (3, 13)
"""Whether NULL is pushed after what is called, or before."""


@dataclasses.dataclass(frozen=True)
class Call:
    """``function(*arguments)``, the arguments by the names of the grafted function's parameters or
    ``KEPT``: what it was called with, whatever it has made of them since. ``function`` has
    to return quickly and must not raise."""

    function: Callable[..., Any]
    arguments: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Graft:
    """What is called when a function is entered, and when it returns; ``always``: or raises.

    ``raised`` is called before that where an exception leaves the function, and ``caught`` where
    the function itself handles one; it is what :func:`sys.exc_info` tells in both.
    """

    enter: Call | None = None
    leave: Call | None = None
    always: bool = False
    raised: Call | None = None
    caught: Call | None = None

    @property
    def after(self) -> tuple[Call, ...]:
        """What is called once the function's own code has begun."""
        return tuple(call for call in (self.leave, self.raised, self.caught) if call)


_DEEPEST = 4
"""So many values a call has on the stack at most, besides its arguments: what is returned or was
being handled and the exception, what is called, and NULL."""


class NotGraftable(Exception):
    """A code object that this cannot be done to, and why."""


def grafted(code: CodeType, graft: Graft, within: Sequence[str] = ()) -> CodeType:
    """``code`` with the calls in it, or in that of the function that it defines ``within``.

    Raises :class:`NotGraftable`.
    """
    if within:
        inner = [
            each
            for each in code.co_consts
            if isinstance(each, CodeType) and each.co_name == within[0]
        ]
        if len(inner) != 1:
            raise NotGraftable(f"{code.co_qualname} defines {len(inner)} functions {within[0]}")
        changed = grafted(inner[0], graft, within[1:])
        consts = tuple(changed if each is inner[0] else each for each in code.co_consts)
        return code.replace(co_consts=consts)
    _check(code, graft)
    compiled = ConcreteBytecode.from_code(code)
    try:
        made = _changed(compiled, graft, code).to_concrete_bytecode(
            compute_exception_stack_depths=False
        )
    except NotGraftable:
        raise
    except Exception as error:
        raise NotGraftable(f"{code.co_qualname} cannot be changed: {error!r}") from error
    if not _caught(compiled) <= _caught(made):
        raise NotGraftable(f"{code.co_qualname}: what it catches cannot be kept")
    calls = (*graft.after, *([graft.enter] if graft.enter else []))
    most = max(len(call.arguments) for call in calls)
    return made.to_code(
        stacksize=code.co_stacksize + _DEEPEST + most, compute_exception_stack_depths=False
    )


def _caught(code: ConcreteBytecode) -> Counter[tuple[int, bool]]:
    """Of the ranges in which exceptions are caught, the depth of the stack, and whether the place
    is pushed."""
    return Counter((entry.stack_depth, entry.push_lasti) for entry in code.exception_table)


def _changed(compiled: ConcreteBytecode, graft: Graft, code: CodeType) -> Bytecode:
    # How deep the stack is where an exception is caught stays as the compiler had it: the library
    # finds it out wrongly in some functions, which then crash.
    body = compiled.to_bytecode(conserve_exception_block_stackdepth=True)
    copies = _copies(body, graft, code)

    def of_copies(call: Call) -> Call:
        return Call(call.function, tuple(copies.get(name, name) for name in call.arguments))

    if graft.leave:
        _before_returns(body, of_copies(graft.leave))
    if graft.caught:
        _where_caught(body, of_copies(graft.caught))
    begin = _after_resume(body, graft, copies)
    last = graft.leave if graft.always else None
    raising = [of_copies(call) for call in (graft.raised, last) if call]
    if raising:
        _when_raising(body, raising, begin)
    return body


def _copies(body: Bytecode, graft: Graft, code: CodeType) -> dict[str, str]:
    """The local variables that keep what the call at the end takes, by what they keep."""
    copies = {
        name: _unused(KEPT if name == KEPT else f"{KEPT}_{name}", code)
        for name in dict.fromkeys(name for call in graft.after for name in call.arguments)
        if name == KEPT or _may_change(name, body)
    }
    # Of a global the argument is a flag and its name.
    loads = [each.arg for each in body if isinstance(each, Instr) and each.name == "LOAD_GLOBAL"]
    uses = {arg[-1] for arg in loads if isinstance(arg, tuple)}
    if copies and _LOOKS_AT_LOCALS & uses:
        raise NotGraftable(f"{code.co_qualname} looks at its local variables")
    return copies


def _unused(name: str, code: CodeType) -> str:
    taken = {*code.co_varnames, *code.co_cellvars, *code.co_freevars}
    while name in taken:
        name += "_"
    return name


def _may_change(name: str, body: Bytecode) -> bool:
    """Whether the function sets or deletes a parameter, or one within it may."""
    return name in body.cellvars or any(
        isinstance(each, Instr)
        and each.name.startswith(("STORE_FAST", "DELETE_FAST", "LOAD_FAST_AND_CLEAR"))
        and (name == each.arg or (isinstance(each.arg, tuple) and name in each.arg))
        for each in body
    )


def _check(code: CodeType, graft: Graft) -> None:
    if code.co_flags & _OTHER_KINDS:
        raise NotGraftable(f"{code.co_qualname} is a generator or a coroutine")
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    kept = (KEPT,) if graft.enter else ()
    entered = [(call, parameters) for call in (graft.enter,) if call]
    for call, known in (*entered, *((each, (*parameters, *kept)) for each in graft.after)):
        for name in call.arguments:
            if name not in known:
                raise NotGraftable(f"{code.co_qualname} has no parameter {name}")


def _called(call: Call, code: Bytecode, lineno: Any) -> Iterator[Instr]:
    null = Instr("PUSH_NULL", location=lineno)
    if not _NULL_AFTER:
        yield null
    yield Instr("LOAD_CONST", call.function, location=lineno)
    if _NULL_AFTER:
        yield null
    for name in call.arguments:
        yield _loaded(name, code, lineno)
    if sys.version_info < (3, 12):
        yield Instr("PRECALL", len(call.arguments), location=lineno)
    yield Instr("CALL", len(call.arguments), location=lineno)


def _loaded(name: str, code: Bytecode, lineno: Any) -> Instr:
    if name in code.cellvars:
        return Instr("LOAD_DEREF", CellVar(name), location=lineno)
    return Instr("LOAD_FAST", name, location=lineno)


def _before_returns(body: Bytecode, leave: Call) -> None:
    place = 0
    while place < len(body):
        each = body[place]
        if isinstance(each, Instr) and each.name in ("RETURN_VALUE", "RETURN_CONST"):
            added = [*_called(leave, body, each.location), Instr("POP_TOP", location=each.location)]
            body[place:place] = added
            place += len(added)
        place += 1


def _where_caught(body: Bytecode, caught: Call) -> None:
    place = 0
    while place < len(body):
        each = body[place]
        place += 1
        if isinstance(each, Instr) and each.name == "PUSH_EXC_INFO":
            # Within what the function has to be done if the handler itself is left by an exception.
            place += isinstance(body[place], TryBegin)
            added = [
                *_called(caught, body, each.location),
                Instr("POP_TOP", location=each.location),
            ]
            body[place:place] = added
            place += len(added)


def _after_resume(body: Bytecode, graft: Graft, copies: Mapping[str, str]) -> int:
    """Put in the call at the beginning; where the function's own code begins after it."""
    place = next(
        number
        for number, each in enumerate(body, 1)
        if isinstance(each, Instr) and each.name == "RESUME"
    )
    # Of the first line, not of the "def": a line is no more often begun than before.
    location = next(each for each in body[place:] if isinstance(each, Instr)).location
    added = []
    for name, copy in copies.items():
        if name != KEPT:
            added += [_loaded(name, body, location), Instr("STORE_FAST", copy, location=location)]
    if graft.enter:
        added += _called(graft.enter, body, location)
        kept = copies.get(KEPT)
        added.append(
            Instr("STORE_FAST", kept, location=location)
            if kept
            else Instr("POP_TOP", location=location)
        )
    body[place:place] = added
    return place + len(added)


def _when_raising(body: Bytecode, calls: Sequence[Call], begin: int) -> None:
    """The calls where an exception leaves the function: what no ``try`` of its own covers."""
    handler = Label()
    last = body[-1].location if isinstance(body[-1], Instr) else None
    covered: list[Any] = body[:begin]
    opened: TryBegin | None = None
    inside = False
    for each in body[begin:]:
        if isinstance(each, TryBegin):
            if opened:
                covered.append(TryEnd(opened))
                opened = None
            inside = True
        elif isinstance(each, TryEnd):
            inside = False
        elif isinstance(each, Instr) and not inside and opened is None:
            # Nothing of what the function had on the stack is needed any more.
            opened = TryBegin(handler, push_lasti=False, stack_depth=0)
            covered.append(opened)
        covered.append(each)
    if opened:
        covered.append(TryEnd(opened))
    body[:] = covered
    # The stack has the exception; restored is what was being handled before it.
    body.append(handler)
    body.append(Instr("PUSH_EXC_INFO", location=last))
    for call in calls:
        body.extend([*_called(call, body, last), Instr("POP_TOP", location=last)])
    body.append(Instr("SWAP", 2, location=last))
    body.append(Instr("POP_EXCEPT", location=last))
    body.append(Instr("RERAISE", 0, location=last))
