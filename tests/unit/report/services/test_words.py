"""Recordings of services in words."""

import dataclasses

import pytest

from omrig.model.result import Closure
from omrig.model.service import LAST_SEEN, Method, MethodName, Pool, Process, Request, Unanswered
from omrig.report.services import names, words
from tools import synthetic_services

RESULT = synthetic_services.result()


def closure(**changes):
    base = Closure(messages=1000, matched=1000, within_tolerance=1000)
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize("width", [1, 2, 5, 11, 12, 33, 34])
def test_a_long_name_lacks_its_middle(width):
    name = "call mistral_engine start_workflow"
    shown = names.shortened(name, width)
    assert len(shown) == min(width, len(name))
    head, _, tail = shown.partition("…")
    assert name.startswith(head) and (width >= len(name) or name.endswith(tail))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("start_workflow", "call mistral_engine start_workflow"),
        ("start_workfow", "call mistral_engine start_workflow"),
        ("Ping", "call conductor baseapi.ping"),
        ("cast on_action_complete", "cast mistral_engine on_action_complete"),
    ],
)
def test_the_nearest_name_comes_first(asked, found):
    assert names.nearest(RESULT, asked)[0] == found


def test_what_is_like_nothing_has_no_nearest_name():
    assert names.nearest(RESULT, "zzzzzz") == []
    assert names.nearest(RESULT, "") == []


def test_many_processes_at_an_end_are_counted():
    method = Method(name=MethodName(), senders=("a", "b", "c"), servers=("d", "e"))
    assert names.ends(method) == "3 processes -> d, e"


def test_processes_that_are_called_alike_are_counted_together():
    method = Method(name=MethodName(), senders=("a[1]", "b", "a[12]"), servers=("c[3]",))
    assert names.ends(method) == "2 a, b -> c[3]"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, "books close"),
        ({"within_tolerance": 999}, "books close for 99.9 % of them"),
        ({"matched": 999_999, "within_tolerance": 999_998}, "books close for 99.9 % of them"),
        ({"negative_stages": 1}, "books do not close: 1 negative stage"),
        ({"within_tolerance": None}, "books not checked"),
        ({"matched": 0, "within_tolerance": 0}, "books not checked"),
    ],
)
def test_books_close_where_all_adds_up(changes, found):
    assert words.closes(closure(**changes)) == found


@pytest.mark.parametrize(
    ("matched", "of", "found"),
    [
        (1000, 1000, "all matched"),
        (99_999, 100_000, "99.9 % matched"),
        (500, 1000, "50.0 % matched"),
        (0, 1000, "none matched"),
        (None, 1000, "all seen at one end alone"),
    ],
)
def test_what_is_not_all_is_not_all(matched, of, found):
    assert words.matched(closure(matched=matched, messages=of)) == found


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0.0, "0"), (0.004, "<1 %"), (0.006, "1 %"), (1.0, "100 %")]
)
def test_a_share(value, shown):
    assert words.share(value) == shown


def test_one_way_of_timing_arrivals_is_told_once():
    a, b, c = (
        Process(name=name, host="h", pid=1, executor="threading", arrivals=how)
        for name, how in (("a", "so"), ("b", "so"), ("c", "else"))
    )
    assert words.arrivals([a, b]) == [("all", "so")]
    assert words.arrivals([a, b, c]) == [("a, b", "so"), ("c", "else")]
    assert words.arrivals([a]) == [("a", "so")]


def test_pools_that_nobody_used_are_left_out():
    process = Process(name="a", host="h", pid=1, executor="threading", executor_pool=Pool(size=64))
    assert words.pools([process]) == []
    advised = dataclasses.replace(process, executor_pool=Pool(size=64, advice="smaller will do"))
    assert [each.what for each in words.pools([advised])] == ["executor threads"]


def test_what_was_not_answered_says_where_it_was_and_the_most_come_first():
    some = (
        Unanswered(count=1, last_seen="endpoint", requests=("req-1",)),
        Unanswered(count=7, last_seen="sent", outcome="MessagingTimeout", requests=tuple("abcde")),
    )
    found = words.unanswered([Method(name=MethodName(method="m"), unanswered=some)])
    assert [(each.count, each.where) for each in found] == [
        (
            7,
            f"{LAST_SEEN['sent']}; MessagingTimeout; requests a, b, c and 2 more",
        ),
        (1, f"{LAST_SEEN['endpoint']}; request req-1"),
    ]


def test_a_request_is_made_of_its_most_frequent_methods():
    methods = {"call t a": 1, "cast t b": 5, "call u a": 3, "call t c": 2, "call t d": 1}
    request = Request(id="r", messages=12, duration_ns=1, methods=methods)
    assert words.made_of(request) == "5 b, 4 a, 2 c, 1 more"


def test_a_tree_is_told_in_order():
    found = list(words.tree(RESULT.requests.typical))
    assert [(each.node.begin_ns // 1_000_000, each.above) for each in found] == [
        (0, ()),
        (8, (True,)),
        (12, (True, False)),
        (300, (False,)),
        (390, ()),
    ]


def test_a_percentile_wants_enough_messages():
    small = next(each for each in RESULT.methods if each.name.method == "ping")
    assert words.latency(small, "p99") == "-"
    assert words.latency(small, "mean") == "6.10 ms"
    assert words.latency(RESULT.methods[0], "p99") != "-"
    assert words.latency(RESULT.methods[0], "p999") == "-"


def test_what_no_pattern_is_known_of_goes_as_a_call():
    assert words.pattern(Method(name=MethodName(pattern="served"))) == "call"
    assert words.pattern(Method(name=MethodName(pattern="fanout"))) == "fanout"


def test_what_became_of_a_process_is_a_warning():
    warned = "\n".join(words.warnings(RESULT))
    assert "engine: 120 rows overwritten" in warned
    assert "executor: its recording ended before the others': it was killed" in warned
    broken = dataclasses.replace(RESULT.processes[0], failures=("a stamp raised",))
    result = dataclasses.replace(RESULT, processes=(broken,))
    assert words.warnings(result) == ["api 4711: the instrument: a stamp raised"]


def test_what_was_said_as_a_warning_is_not_said_again():
    process = dataclasses.replace(RESULT.processes[0], name="a", ended="it was killed")
    result = dataclasses.replace(
        RESULT,
        processes=(process,),
        complete=False,
        reason="b: it did not answer; c",
        not_seen=("a: it was killed", "b: it did not answer", "the network"),
    )
    assert [line for label, line in words.trust(result) if label == "not seen"] == ["the network"]


def test_the_pool_that_is_the_most_in_use_comes_first():
    small, large, unknown = (
        Process(name=name, host="h", pid=1, executor="threading", executor_pool=pool)
        for name, pool in (
            ("small", Pool(size=64, mean=3.0, most=4)),
            ("large", Pool(size=4, mean=2.0, most=4)),
            ("unknown", Pool(mean=1.0, most=1)),
        )
    )
    assert [each.process for each in words.pools([unknown, small, large])] == [
        "large", "small", "unknown",
    ]  # fmt: skip


def test_what_was_never_turned_on_has_no_time_for_it():
    assert words.took_to_turn_on(dataclasses.replace(RESULT.processes[0], turning_on_ns=0)) == "-"
