"""Code that counts its lines: it does what it did before, and the counts are true."""

import asyncio
import dis
import inspect
import runpy
import tarfile
from contextvars import ContextVar
from types import FunctionType

import pytest

from omrig.measured.profilers.targets import counted

STAGE: ContextVar[int] = ContextVar("stage", default=0)


def counting(function):
    """The function with its lines counted, and the counts."""
    counts = counted.Counts(3)
    code = counted.counting(function.__code__, STAGE.get, counts)
    made = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made, counts


def hits(function, counts):
    """By the source of a line, how often it began at all."""
    lines, first = inspect.getsourcelines(function)
    return {lines[number - first].strip(): sum(found) for number, found in counts.by_line().items()}


def staged(stages):
    total = 0
    for stage in stages:
        STAGE.set(stage)
        total += stage
    return total


def test_lines_are_counted_in_the_stage_in_which_they_begin():
    made, counts = counting(staged)
    token = STAGE.set(0)
    assert made([1, 2, 2, 3]) == 8
    STAGE.reset(token)
    lines, first = inspect.getsourcelines(staged)
    by_source = {lines[line - first].strip(): found for line, found in counts.by_line().items()}
    assert by_source["STAGE.set(stage)"] == [1, 1, 2, 0]
    assert by_source["total += stage"] == [0, 1, 2, 1]
    assert by_source["return total"] == [0, 0, 0, 1]


def catching(values):
    found = []
    for value in values:
        try:
            found.append(1 / value)
        except ZeroDivisionError as error:
            found.append(str(error))
        except (TypeError, ValueError):
            found.append("type")
            continue
        else:
            found.append("else")
        finally:
            found.append("finally")
    return found


def nesting(values, limit=3, *, extra=()):
    pairs = [(a, b) for a in values if a % 2 for b in range(a)]
    chosen = {key: (lambda factor: factor * key)(2) for key in values}
    first, *rest = values
    text = f"{first!r:>4}{rest}"
    while limit:
        limit -= 1
        if limit == 1:
            break
    else:
        text += "!"
    match values:
        case [1, *others] if others:
            text += "one"
        case {"a": _}:
            text += "map"
        case _:
            text += "none"
    return (
        pairs,
        chosen,
        text,
        dict(
            limit=limit,
            extra=extra,
        ),
    )


def generating(values):
    received = []
    for value in values:
        try:
            got = yield value
        except KeyError as error:
            got = error.args
        received.append(got)
    inner = yield from (value * 2 for value in values)
    return received, inner


def closing(events):
    class Manager:
        def __enter__(self):
            events.append("in")
            return self

        def __exit__(self, kind, error, trace):
            events.append(kind)
            return kind is KeyError

    with Manager() as one, Manager():
        events.append(one is not None)
        raise KeyError(1)
    return events


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (catching, ([1, 0, "a", 2],)),
        (nesting, ([1, 2, 3],)),
        (nesting, ([2, 3], 1)),
        (closing, ([],)),
    ],
)
def test_it_does_what_it_did(function, arguments):
    expected = function(*(list(each) if isinstance(each, list) else each for each in arguments))
    made, counts = counting(function)
    found = made(*(list(each) if isinstance(each, list) else each for each in arguments))
    assert repr(found) == repr(expected)
    assert counts.by_line()


def test_a_loop_counts_each_of_its_rounds():
    made, counts = counting(catching)
    made([1, 0, "a", 2])
    found = hits(catching, counts)
    assert found["found.append(1 / value)"] == 4
    assert found["found.append(str(error))"] == 1
    assert found["continue"] == 1
    assert found['found.append("else")'] == 2
    assert found["return found"] == 1


def drive(generator):
    found = [next(generator), generator.send("x"), generator.throw(KeyError("k"))]
    with pytest.raises(StopIteration) as stopped:
        while True:
            found.append(next(generator))
    return found, stopped.value.value


def test_generators_are_sent_to_thrown_into_and_return():
    made, counts = counting(generating)
    assert drive(made([1, 2, 3])) == drive(generating([1, 2, 3]))
    # Once for the value sent, once for the exception thrown, once for nothing.
    assert hits(generating, counts)["received.append(got)"] == 3
    closed = made([1])
    next(closed)
    closed.close()


async def waiting(values):
    async def each():
        for value in values:
            await asyncio.sleep(0)
            yield value

    found = [value async for value in each()]
    async with asyncio.Lock():
        found.append(await asyncio.sleep(0, "slept"))
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        found.append("late")
    return found


def test_coroutines_wait_and_are_cancelled():
    made, counts = counting(waiting)
    assert asyncio.run(made([1, 2])) == [1, 2, "slept", "late"]
    assert hits(waiting, counts)['found.append("late")'] == 1


def test_code_with_counts_can_be_told_from_other_code():
    # Profilers keep code as keys.
    made, _ = counting(catching)
    other, _ = counting(catching)
    assert len({made.__code__, other.__code__, catching.__code__}) == 3
    assert made.__code__.co_qualname == "catching"
    assert made.__code__.co_firstlineno == catching.__code__.co_firstlineno


def functions_of(module):
    """The functions and methods of a module."""
    for found in list(vars(module).values()):
        for each in [found, *(vars(found).values() if isinstance(found, type) else ())]:
            if isinstance(each, FunctionType) and each.__module__ == module.__name__:
                yield each


def caught(code):
    return [entry[3:] for entry in dis._parse_exception_table(code)]


@pytest.mark.parametrize("module", [tarfile, runpy, inspect, asyncio.runners, asyncio.base_events])
def test_what_a_function_catches_stays_as_the_compiler_had_it(module):
    functions = list(functions_of(module))
    assert sum(1 for each in functions if caught(each.__code__)) > 2
    for function in functions:
        made, _ = counting(function)
        # The depth of the stack: where it is wrong, the process dies once something is caught.
        assert caught(made.__code__) == caught(function.__code__), function
        assert len(made.__code__.co_code) > len(function.__code__.co_code)
