"""Counts a message, compared: equal or different by one run each."""

import pytest

from omrig.compare import comparison, gates, message_counts
from omrig.compare.runs import RunSet
from omrig.compare.table import by_name
from omrig.model.counts import Amqp, Calls, Method, SideCounts, TaskCalls
from omrig.model.errors import UsageError
from omrig.report import comparison_text
from omrig.report.files import junit
from omrig.report.terminal import comparison as terminal
from tests.unit import synthetic


def side(calls=500, declares=0, exact=True):
    methods = {
        "basic.publish": Method(sent=1, received=0, exact=True, load_sent=100),
        "basic.ack": Method(sent=1, received=1, exact=True, load_sent=100, load_received=100),
        "queue.declare": Method(
            sent=declares, received=0, exact=True, load_sent=100 * declares, start_sent=3
        ),
    }
    task = TaskCalls(usual=calls, mean=calls + 0.4, counted=99, alike=98)
    return SideCounts(
        messages=100,
        exact=exact,
        calls=Calls(
            a_message=calls if exact else calls + 0.4,
            exact=exact,
            messages_alike=98,
            by_task={"sends": task},
            reason=None if exact else "several workers",
        ),
        amqp=Amqp(
            exact=True,
            messages_alike=99,
            round_trips=1 + declares,
            methods=3 + 2 * declares,
            frames=5 + 2 * declares,
            bytes=1000.5 + 60 * declares,
            by_method=methods,
            at_start={"declares": 3, "binds": 2, "connects": 2, "round_trips": 20},
        ),
        switches_voluntary=4.2,
        switches_involuntary=0.1,
        syscalls=None,
    )


def runs(*sides):
    made = []
    for at, each in enumerate(sides):
        counts = {"producer": each.to_json(), "consumer": each.to_json()}
        result = {**synthetic.result(), "counts": counts}
        made.append(synthetic.stored(at, result))
    return RunSet(tuple(made))


def outcome(text, base, new):
    (ruling,) = comparison.compare(base, new, [gates.parse(text)]).rulings
    return ruling.outcome, ruling.value


def test_one_run_each_decides_what_is_exact():
    base = runs(side())
    assert outcome("calls<=+0", base, runs(side())) == ("met", 0)
    assert outcome("calls<=+0", base, runs(side(501))) == ("failed", 2)
    assert outcome("calls<=+2", base, runs(side(501))) == ("met", 2)
    assert outcome("calls.consumer<=+0.1%", base, runs(side(501)))[0] == "failed"
    assert outcome("calls<=1000", base, runs(side(501)))[0] == "failed"
    assert outcome("calls<=-1", base, runs(side()))[0] == "failed"
    assert outcome("amqp.round_trips<=+0", base, runs(side(declares=1))) == ("failed", 2)
    assert outcome("amqp.queue.declare.producer<=+0", base, runs(side(declares=1)))[0] == "failed"
    assert outcome("amqp.queue.declare<=+0", base, runs(side())) == ("met", 0)


def test_a_row_that_changed_is_told_and_one_that_did_not_is_equal():
    found = comparison.compare(runs(side()), runs(side(declares=1)))
    rows = by_name(found.rows)
    assert rows["amqp.queue.declare"].significant
    assert rows["calls"].significant is False
    assert rows["calls"].exact
    assert not rows["switches.producer"].exact
    assert found.call.word in ("none", "unknown")
    assert "counts a message differ: AMQP round trips +2" in found.call.text
    shown = terminal.text(found, 100)
    line = next(line for line in shown.splitlines() if "queue.declare, producer" in line)
    assert line.split()[-3:] == ["0", "1", "+1"]
    assert next(each for each in shown.splitlines() if "Python calls " in each).endswith("equal")


def test_what_is_not_exact_needs_an_interval():
    base, new = runs(side(exact=False)), runs(side(501, exact=False))
    assert not by_name(comparison.compare(base, new).rows)["calls"].exact
    with pytest.raises(UsageError, match="too few runs for an interval of calls"):
        comparison.compare(base, new, [gates.parse("calls<=+0")])


def test_runs_of_one_side_that_differ_are_not_exact():
    found = comparison.compare(runs(side(), side(), side(502)), runs(side(), side(), side()))
    assert not by_name(found.rows)["calls"].exact
    assert by_name(found.rows)["amqp.frames"].exact


def test_runs_without_counts_have_none():
    base = RunSet((synthetic.stored(0, synthetic.result()),))
    found = comparison.compare(base, base)
    assert not [row for row in found.rows if row.metric.family == "counts"]
    assert "counts a message" not in terminal.text(found, 100)
    with pytest.raises(UsageError, match="these runs have no calls in common"):
        comparison.compare(base, base, [gates.parse("calls<=+0")])


def test_a_ruling_says_the_difference_and_no_interval():
    found = comparison.compare(runs(side()), runs(side(501)), [gates.parse("calls<=+0")])
    (ruling,) = found.rulings
    assert comparison_text.ruling(ruling) == "FAILED: calls<=+0: calls +2"
    assert 'message="FAILED: calls&lt;=+0: calls +2"' in junit.render(found)
    told = gates.as_json(ruling)
    assert (told["difference"], told["value"], told["low"]) == (True, 2.0, None)


@pytest.mark.parametrize("name", ["calls", "amqp.basic.ack.consumer", "amqp.connects"])
def test_a_name_has_a_label(name):
    assert message_counts.label(name)


@pytest.mark.parametrize(
    "name", ["call", "amqp", "amqp.", "amqp.basic", "syscalls", "calls.broker"]
)
def test_what_is_no_name_has_none(name):
    assert message_counts.label(name) is None
