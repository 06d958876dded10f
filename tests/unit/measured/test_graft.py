"""Calls put into a function's own code: when they come, and that the function stays what it was."""

import dis
import inspect
import json
import sys
import traceback
import types
from pathlib import Path

import pytest

from omrig.measured.probes import graft
from omrig.measured.probes.graft import KEPT, Call, Graft, NotGraftable


class Noted:
    """Notes what it is called with; what it returns is its own number."""

    def __init__(self):
        self.calls = []

    def __call__(self, *arguments):
        self.calls.append(arguments)
        return len(self.calls)


def _grafted(function, graft_, *within):
    """A copy of a function, grafted."""
    code = graft.grafted(function.__code__, graft_, within)
    copy = types.FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _both(function, always=True):
    enter, leave = Noted(), Noted()
    made = Graft(Call(enter), Call(leave, (KEPT,)), always)
    return _grafted(function, made), enter, leave


def returns_in_many_ways(value):  # noqa: C901 - one of each
    """Documented."""
    if value == "constant":
        return 7
    try:
        if value == "in try":
            return value
        if value == "raises":
            raise KeyError(value)
        with Path("/dev/null").open() as file:
            if value == "in with":
                return file.read()
            if value == "raises in with":
                raise OSError(value)
    except KeyError as error:
        if value == "raises":
            return error
        raise
    except OSError as error:
        raise ValueError(value) from error
    finally:
        if value == "in finally":
            value = [1]
    for each in (1, 2, 3):
        if value == each:
            return [number for number in range(each)]
    return None


WAYS = ["constant", "in try", "raises", "in with", "raises in with", "in finally", 2, None]


def _outcome(function, *arguments):
    try:
        return "returns", repr(function(*arguments))
    except Exception as error:  # noqa: BLE001 - what it is, is compared
        return "raises", repr(error), repr(error.__cause__), repr(error.__context__)


@pytest.mark.parametrize("way", WAYS)
def test_a_function_does_what_it_did_and_each_call_comes_once(way):
    copy, enter, leave = _both(returns_in_many_ways)
    assert _outcome(copy, way) == _outcome(returns_in_many_ways, way)
    assert enter.calls == [()]
    assert leave.calls == [(1,)]


@pytest.mark.parametrize("way", WAYS)
def test_unless_always_the_last_call_comes_only_when_it_returns(way):
    copy, enter, leave = _both(returns_in_many_ways, always=False)
    assert _outcome(copy, way) == _outcome(returns_in_many_ways, way)
    assert len(enter.calls) == 1
    assert len(leave.calls) == (way != "raises in with")


def test_an_exception_keeps_its_traceback_and_what_was_handled_before():
    def fails():
        raise LookupError("inner")

    copy, _, leave = _both(fails)
    try:
        raise KeyError("outer")
    except KeyError as outer:
        with pytest.raises(LookupError) as caught:
            copy()
        assert caught.value.__context__ is outer
        assert sys.exc_info()[1] is outer
    assert [each.name for each in traceback.extract_tb(caught.value.__traceback__)][1:] == ["fails"]
    assert caught.value.__traceback__.tb_next.tb_lineno == fails.__code__.co_firstlineno + 1
    assert len(leave.calls) == 1
    assert sys.exc_info() == (None, None, None)


class Handled:
    """Notes what is being handled, by what it is called with."""

    def __init__(self):
        self.calls = []

    def __call__(self, kept):
        self.calls.append((kept, type(sys.exc_info()[1])))


def test_what_is_raised_is_told_before_the_last_call_and_only_then():
    for way in WAYS:
        enter, leave, raised = Noted(), Noted(), Handled()
        made = Graft(Call(enter), Call(leave, (KEPT,)), always=True, raised=Call(raised, (KEPT,)))
        grafted = _grafted(returns_in_many_ways, made)
        assert _outcome(grafted, way) == _outcome(returns_in_many_ways, way)
        assert raised.calls == ([(1, ValueError)] if way == "raises in with" else [])
        assert leave.calls == [(1,)]
    assert sys.exc_info()[1] is None


def catches(value):
    try:
        if value == "handler fails":
            raise KeyError(value)
        return 10 // value
    except ZeroDivisionError:
        return "none"
    except KeyError as error:
        raise LookupError(value) from error
    finally:
        len("always")


@pytest.mark.parametrize(
    ("value", "handled", "left_with"),
    [
        (5, set(), None),
        (0, {ZeroDivisionError}, None),
        ("handler fails", {KeyError, LookupError}, LookupError),
        ("no number", {TypeError}, TypeError),
    ],
)
def test_what_a_function_handles_itself_is_told_where_it_does(value, handled, left_with):
    caught, raised, leave = Handled(), Handled(), Noted()
    made = Graft(
        Call(Noted()),
        Call(leave, (KEPT,)),
        always=True,
        raised=Call(raised, (KEPT,)),
        caught=Call(caught, (KEPT,)),
    )
    grafted = _grafted(catches, made)
    try:
        raise OSError("handled outside")
    except OSError as outside:
        assert _outcome(grafted, value) == _outcome(catches, value)
        assert sys.exc_info()[1] is outside
    assert {kind for _, kind in caught.calls} == handled
    assert [kind for _, kind in raised.calls] == ([left_with] if left_with else [])
    assert {kept for kept, _ in caught.calls + raised.calls} <= {1}
    assert leave.calls == [(1,)]


def test_arguments_are_the_parameters_wherever_the_compiler_keeps_them():
    def kept(one, two, *, three=3, **four):
        def inner():
            return two, three

        return inner() + tuple(four)

    noted = Noted()
    copy = _grafted(kept, Graft(Call(noted, ("one", "two", "three"))))
    assert copy(1, 2, five=5) == (2, 3, "five")
    assert noted.calls == [(1, 2, 3)]


def sets_it_anew(value, way):
    if way == "set":
        value = "another"
    elif way == "deleted":
        del value
    elif way == "raises":
        value = "another"
        raise KeyError(way)
    elif way == "in except":
        try:
            raise ValueError
        except ValueError as value:
            return way
    elif way == "in a loop":
        for value in (1, 2):  # noqa: B007 - what it sets counts
            pass
    elif way == "in a list":
        return [value for value in (1, 2)]
    return way


def set_within(value, way):
    def inner():
        nonlocal value
        value = way

    inner()
    return way


def deleted_within(value, way):
    def inner():
        return value  # noqa: F821 - that is what it says when it is called

    del value
    return inner and way


@pytest.mark.parametrize("function", [sets_it_anew, set_within, deleted_within])
@pytest.mark.parametrize(
    "way", ["kept", "set", "deleted", "raises", "in except", "in a loop", "in a list"]
)
def test_the_last_call_has_what_the_function_was_called_with(function, way):
    noted = Noted()
    copy = _grafted(function, Graft(leave=Call(noted, ("value", "way")), always=True))
    assert _outcome(copy, "first", way) == _outcome(function, "first", way)
    assert noted.calls == [("first", way)]


def test_two_grafts_in_one_function_keep_each_their_own():
    def plain(value):
        return value

    first, second = (Noted(), Noted()), (Noted(), Noted())
    first[0](), first[0]()
    copy = plain
    for enter, leave in (first, second):
        copy = _grafted(copy, Graft(Call(enter), Call(leave, (KEPT, "value")), always=True))
    assert copy("value") == "value"
    assert first[1].calls == [(3, "value")]
    assert second[1].calls == [(1, "value")]


def test_what_looks_at_its_local_variables_sees_no_more_than_before():
    def looks(value):
        return sorted(locals()), value

    with pytest.raises(NotGraftable, match="looks at its local variables"):
        _both(looks)
    noted = Noted()
    copy = _grafted(looks, Graft(Call(noted), Call(noted, ("value",)), always=True))
    assert copy(1) == (["value"], 1)
    assert noted.calls == [(), (1,)]


def test_the_first_call_cannot_have_what_it_returns():
    def plain():
        pass

    for made in (Graft(Call(print, (KEPT,))), Graft(leave=Call(print, (KEPT,)))):
        with pytest.raises(NotGraftable, match="no parameter _omrig_kept"):
            _grafted(plain, made)


def test_a_method_that_refers_to_its_class_still_does():
    class Base:
        def name(self):
            return "base"

    class Derived(Base):
        def name(self):
            return f"derived of {super().name()}"

    noted = Noted()
    Derived.name.__code__ = graft.grafted(Derived.name.__code__, Graft(Call(noted, ("self",))))
    derived = Derived()
    assert derived.name() == "derived of base"
    assert noted.calls == [(derived,)]


def test_a_function_within_a_function_is_found_by_its_name():
    def outer(value):
        def middle():
            def inner(error):
                return value + error

            return inner

        return middle()

    noted = Noted()
    copy = _grafted(outer, Graft(Call(noted, ("error",))), "middle", "inner")
    assert copy(1)(2) == outer(1)(2) == 3
    assert noted.calls == [(2,)]
    with pytest.raises(NotGraftable, match="defines 0 functions gone"):
        graft.grafted(outer.__code__, Graft(Call(noted)), ("gone",))


def generator():
    yield 1


async def coroutine():
    pass


@pytest.mark.parametrize("function", [generator, coroutine])
def test_what_is_left_many_times_is_refused(function):
    with pytest.raises(NotGraftable, match="generator or a coroutine"):
        graft.grafted(function.__code__, Graft(Call(print)))


def test_a_parameter_that_is_not_there_is_refused():
    with pytest.raises(NotGraftable, match="returns_in_many_ways has no parameter missing"):
        graft.grafted(returns_in_many_ways.__code__, Graft(Call(print, ("missing",))))


def test_lines_names_and_documentation_stay():
    code = returns_in_many_ways.__code__
    copy, _, _ = _both(returns_in_many_ways)
    assert copy.__code__.co_qualname == code.co_qualname
    assert copy.__code__.co_firstlineno == code.co_firstlineno
    assert copy.__code__.co_varnames[:1] == ("value",)
    assert inspect.getsource(copy) == inspect.getsource(returns_in_many_ways)
    assert copy.__code__.co_consts[0] == "Documented."
    lines = {line for *_, line in code.co_lines() if line is not None}
    assert {line for *_, line in copy.__code__.co_lines() if line is not None} == lines


def test_no_line_begins_more_often_than_before():
    def lines_of(function):
        seen = []

        def trace(frame, event, _argument):
            if frame.f_code.co_name == function.__name__:
                seen.append((event, frame.f_lineno))
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function("in with")
        finally:
            sys.settrace(before)
        return seen

    copy, _, _ = _both(returns_in_many_ways)
    assert lines_of(copy) == lines_of(returns_in_many_ways)


MODULES = [json.decoder, json.encoder, dis, inspect, traceback, types]


@pytest.mark.parametrize("module", MODULES, ids=[module.__name__ for module in MODULES])
def test_whole_modules_can_be_grafted_and_the_stack_has_room(module):
    functions = [each for each in vars(module).values() if isinstance(each, types.FunctionType)]
    assert functions or module is json.decoder
    for function in functions:
        if function.__code__.co_flags & 0x20:
            continue
        keeps = not {"locals", "vars", "dir", "eval", "exec"} & {*function.__code__.co_names}
        made = Graft(Call(print), Call(print, (KEPT,) if keeps else ()), always=True)
        code = graft.grafted(function.__code__, made)
        assert code.co_stacksize >= function.__code__.co_stacksize
        assert code.co_freevars == function.__code__.co_freevars
