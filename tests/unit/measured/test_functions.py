"""Functions as they are compared between environments: their names, and what they took."""

import functools

import pytest

from omrig.formats.stacks import Frame, Profile
from omrig.measured.profilers import sampled
from omrig.measured.profilers.callgraph.graph import Function
from omrig.measured.profilers.callgraph.own import OwnTimes
from omrig.measured.profilers.names import Names
from omrig.measured.profilers.whereabouts import Whereabouts
from omrig.model.callgraph import Cost, Node
from omrig.model.functions import Functions


class Base:
    def method(self):
        return (lambda: self)()


class Derived(Base):
    """A profiler may name the method after the class of the first instance that it sees."""


def decorate(function):
    @functools.wraps(function)
    def wrapper():
        return function()

    return wrapper


@decorate
def decorated():
    pass


def test_names_are_those_of_the_program_and_not_of_instances():
    names = Names()
    assert names.module(__file__) == __name__
    assert names.module("/gone.py") == "/gone.py"
    (method, _, wrapper) = (
        (code.co_filename, code.co_firstlineno, code.co_name)
        for code in (Derived.method.__code__, decorate.__code__, decorated.__code__)
    )
    assert names.function(method) == "Base.method"
    assert names.function(wrapper) == "decorate.<locals>.wrapper"
    (inner,) = [each for each in Base.method.__code__.co_consts if hasattr(each, "co_name")]
    key = (inner.co_filename, inner.co_firstlineno, inner.co_name)
    assert names.function(key) == "Base.method.<locals>.<lambda>"
    assert names.function(("/gone.py", 3, "it")) == "it"


def test_what_builtins_take_is_their_callers():
    caller, builtin = ("/a.py", 1, "caller"), ("~", 0, "<built-in method builtins.sum>")
    other = ("/a.py", 9, "other")
    found = [
        (1, Function(1, 7, caller, "caller", Cost(5, 5, 1.0, 4.0), {2: Cost(10, 10, 0.5, 0.5),
                                                                    3: Cost(5, 5, 2.0, 2.0)})),
        (1, Function(2, 7, builtin, builtin[2], Cost(10, 10, 0.5, 0.5), {})),
        (0, Function(3, 7, other, "other", Cost(5, 5, 2.0, 2.0), {})),
    ]  # fmt: skip
    own = OwnTimes()
    own.add(found, Whereabouts(lambda: 0, ["publish"]), {})
    graph = {function.key: Node(function.label, function.cost, {}) for _, function in found}
    first, second = own.functions(graph, Names(), staged=True)
    assert (first.name, first.own, first.stages) == ("other", 2_000_000_000, {"": 2_000_000_000})
    assert (second.name, second.own) == ("caller", 1_500_000_000)
    assert second.stages == {"publish": 1_500_000_000}
    assert (second.calls, second.made) == (5, 15)
    (_, unstaged) = own.functions(graph, Names(), staged=False)
    assert unstaged.stages is None


def test_samples_count_for_the_function_on_top():
    stack = (Frame("run", "/a.py", 1), Frame("Sender.send", "/a.py", 20))
    later = (*stack[:1], Frame("Sender.send", "/a.py", 25))
    found = sampled.functions([Profile("t", "seconds", [(stack, 1), (later, 1)])], None, Names())
    send, run = found.functions
    assert (send.name, send.own, send.line) == ("Sender.send", 2, 20)
    assert (run.name, run.own) == ("run", 0)
    assert send.calls is None
    assert Functions.from_json(found.to_json()) == found


def test_a_functions_file_that_lacks_something_is_an_error():
    with pytest.raises(ValueError, match="there is no 'unit'"):
        Functions.from_json({"clock": "cpu", "functions": []})
