import json

import pytest

from omrig.measured.profilers.callgraph import graph, tables
from omrig.measured.profilers.callgraph.graph import Function
from omrig.measured.profilers.callgraph.packages import Installation
from omrig.model.callgraph import Cost

INSTALLED = Installation(
    stdlib="/py", roots=("/site", "/rig"), distributions={"oslo_messaging": "oslo.messaging"}
)
WRITE = ("/site/amqp/transport.py", 5, "write")
SEND = ("/site/oslo_messaging/send.py", 3, "send")
PROBE = ("/rig/omrig/measured/probes/sending.py", 9, "probe")
LEN = ("~", 0, "<built-in method builtins.len>")
ITERATE = ("~", 0, "<built-in method builtins.next>")
SOCKET = ("~", 0, "<method 'send' of '_socket.socket' objects>")


def function(index, context, key, cost, callees=()):
    return Function(index, context, key, key[2], Cost(*cost), dict(callees))


@pytest.fixture
def summary():
    contexts = {1: ("producer worker", 10.0), 2: ("producer worker", 1.0), 3: ("hub", 3.0)}
    functions = [
        function(1, 1, SEND, (2, 2, 1.0, 9.0), {2: Cost(3, 3, 2.0, 7.0), 3: Cost(4, 4, 1.0, 1.0)}),
        function(2, 1, WRITE, (3, 3, 2.0, 7.0), {4: Cost(1, 1, 3.0, 3.0), 3: Cost(8, 8, 2.0, 2.0)}),
        # Of three seconds in len() two are on behalf of amqp.
        function(3, 1, LEN, (12, 12, 3.0, 3.0)),
        function(4, 1, SOCKET, (1, 1, 3.0, 3.0)),
        function(5, 2, PROBE, (1, 1, 0.25, 1.0), {6: Cost(1, 1, 0.5, 0.75)}),
        # A builtin that calls a builtin, both for the probe.
        function(6, 2, ITERATE, (1, 1, 0.5, 0.75), {7: Cost(1, 1, 0.25, 0.25)}),
        function(7, 2, LEN, (1, 1, 0.25, 0.25)),
        function(8, 3, SEND, (1, 1, 2.0, 2.0)),
    ]
    graphs = graph.by_role(functions, contexts, "<producer>")
    return tables.summarise(graphs, {"producer worker": 2, "hub": 1}, "cpu", INSTALLED)


def named(rows, **wanted):
    (found,) = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    return found


def test_everything_adds_up(summary):
    assert summary["total_ns"] == 14_000_000_000
    for rows in (summary["roles"], summary["packages"], summary["functions"]):
        assert sum(row["self_ns"] for row in rows) == summary["total_ns"]
        assert sum(row["share"] for row in rows) == pytest.approx(1)
        assert rows == sorted(rows, key=lambda row: -row["self_ns"])
    json.dumps(summary, allow_nan=False)


def test_time_by_role(summary):
    assert named(summary["roles"], role="producer worker") == {
        "role": "producer worker",
        "contexts": 2,
        "self_ns": 11_000_000_000,
        "share": pytest.approx(11 / 14),
    }


def test_builtins_count_for_the_package_that_called_them(summary):
    seconds = {
        row["package"]: (row["self_ns"] / 1e9, row["builtins_ns"] / 1e9)
        for row in summary["packages"]
    }
    assert seconds == {
        "oslo.messaging": (4.0, 1.0),
        "amqp": (4.0, 2.0),
        "socket, ssl": (3.0, 0.0),
        "omrig.measured.probes": (1.0, 0.75),
        # What the contexts took beyond the functions that were seen.
        "not seen": (2.0, 0.0),
    }


def test_functions_are_told_by_role(summary):
    send = named(summary["functions"], function="send", role="producer worker")
    assert send == {
        "role": "producer worker",
        "function": "send",
        "file": SEND[0],
        "line": 3,
        "package": "oslo.messaging",
        "calls": 2,
        "primitive_calls": 2,
        "self_ns": 1_000_000_000,
        "cumulative_ns": 9_000_000_000,
        "share": pytest.approx(1 / 14),
    }
    assert named(summary["functions"], function="send", role="hub")["calls"] == 1
    assert named(summary["functions"], function=SOCKET[2])["package"] == "socket, ssl"
    of_both = [row for row in summary["functions"] if row["function"] == LEN[2]]
    assert [(row["package"], row["calls"], row["file"]) for row in of_both] == [
        ("builtins", 13, None)
    ]


def test_only_the_top_functions_are_listed():
    functions = [
        function(number, 1, ("/site/amqp/x.py", number, f"f{number}"), (1, 1, float(number), 1.0))
        for number in range(1, 2 * tables.TOP)
    ]
    graphs = graph.by_role(functions, {1: ("main", 0.0)}, "<producer>")
    listed = tables.summarise(graphs, {"main": 1}, "cpu", INSTALLED)["functions"]
    assert len(listed) == tables.TOP
    assert listed[0]["function"] == f"f{2 * tables.TOP - 1}"


@pytest.mark.parametrize("order", [(1, 2, 3), (2, 1, 3)])
def test_builtins_in_a_circle_are_of_who_called_them_into_it(order):
    by_index = {
        1: function(1, 1, LEN, (2, 2, 1.0, 2.0), {2: Cost(1, 1, 1.0, 1.0)}),
        2: function(2, 1, ITERATE, (2, 2, 1.0, 2.0), {1: Cost(2, 2, 1.0, 1.0)}),
        3: function(3, 1, SEND, (1, 1, 1.0, 3.0), {2: Cost(1, 1, 0.5, 2.0)}),
    }
    graphs = graph.by_role([by_index[each] for each in order], {1: ("main", 3.0)}, "<producer>")
    rows = tables.summarise(graphs, {"main": 1}, "cpu", INSTALLED)["packages"]
    assert {row["package"]: row["self_ns"] for row in rows} == {"oslo.messaging": 3_000_000_000}


def test_builtins_that_only_call_each_other_are_builtins():
    functions = [
        function(1, 1, LEN, (1, 1, 1.0, 2.0), {2: Cost(1, 1, 1.0, 1.0)}),
        function(2, 1, ITERATE, (1, 1, 1.0, 2.0), {1: Cost(1, 1, 1.0, 1.0)}),
    ]
    graphs = graph.by_role(functions, {1: ("main", 2.0)}, "<producer>")
    rows = tables.summarise(graphs, {"main": 1}, "cpu", INSTALLED)["packages"]
    assert {row["package"] for row in rows} == {"builtins"}
    assert sum(row["self_ns"] for row in rows) == 2_000_000_000


def test_nothing_measured_is_no_division_by_zero():
    assert tables.summarise({}, {}, "wall", INSTALLED) == {
        "clock": "wall",
        "total_ns": 0,
        "roles": [],
        "packages": [],
        "functions": [],
    }
