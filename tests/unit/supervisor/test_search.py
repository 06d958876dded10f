"""The search for the highest rate that holds."""

import itertools

import pytest

from omrig.model.plan import Plan
from omrig.model.result import Counts, Result, Throughput
from omrig.supervisor import search
from omrig.supervisor.search import CLOSE, Search, highest


@pytest.mark.parametrize("limit", [3.7, 90, 100, 512, 1999])
@pytest.mark.parametrize("first", [10, 100, 3000])
def test_the_rate_is_found_from_wherever_it_begins(limit, first):
    asked = []

    def holds(rate):
        asked.append(rate)
        return rate <= limit

    low, high = highest(first, holds)
    assert low <= limit < high
    assert high / low <= CLOSE
    assert len(asked) < 25


def test_where_nothing_holds_there_is_no_rate():
    low, high = highest(100, lambda _rate: False)
    assert low is None
    assert high < 1


def _result(rate, complete=True):
    return Result(
        complete=complete,
        reason=None if complete else "it failed",
        pattern="call",
        executor="threading",
        sides=("producer", "consumer"),
        is_measurement=True,
        messages=Counts(),
        throughput=Throughput(messages_per_second=rate),
    )


def _search(tmp_path, monkeypatch, outcomes, needed=10):
    """A search whose runs at rates up to 150 hold, unless ``outcomes`` says otherwise."""
    monkeypatch.setattr(search.brokers.destination, "needs_broker", lambda _plan: False)
    made = []

    def measure(plan, _display, _interrupts, _broker):
        made.append(plan)
        return tmp_path / plan.output.folder, _result(plan.pace.rate or 200.0)

    def judge(result):
        rate = result.throughput.messages_per_second
        holds = next(outcomes, None)
        if holds is None:
            holds = rate <= 150
        return rate, None if holds else "too slow"

    class Display:
        def close(self):
            """Nothing was shown."""

    plan = Plan(sides=("producer", "consumer"), run_id="r")
    found = Search(
        plan, tmp_path / "f", measure, lambda _n: Display(), judge, needed, lambda _text: None
    )
    return found, made


def test_the_runs_lie_in_one_folder_and_begin_below_a_closed_loop(tmp_path, monkeypatch):
    searched, made = _search(tmp_path, monkeypatch, iter(()))
    found, interrupted = searched.run("p99<1s", "poisson", None)
    assert not interrupted
    assert found.saturated_per_second == 200
    assert found.rate <= 150 < found.broken_rate <= found.rate * CLOSE
    assert [plan.output.folder.rpartition("/")[2] for plan in made[:3]] == ["01", "02", "03"]
    assert (made[0].pace.rate, made[0].load.messages) == (None, None)
    assert made[1].pace.rate == 200 * search.BEGINS
    assert {plan.pace.arrivals for plan in made[1:]} == {"poisson"}
    assert made[1].load.messages == round(made[1].pace.rate * made[1].pace.duration_s)
    assert len({plan.run_id for plan in made}) == len(made)


def test_a_rate_is_judged_by_two_runs_that_agree(tmp_path, monkeypatch):
    # One run of the first rate is unlucky.
    searched, made = _search(tmp_path, monkeypatch, iter([False]))
    found, _ = searched.run("p99<1s", None, 100.0)
    counts = {rate: len(list(group)) for rate, group in itertools.groupby(found.trials, _rate)}
    assert counts.pop(100.0) == 3
    assert set(counts.values()) == {2}
    assert found.rate <= 150 < found.broken_rate
    assert len(made) == len(found.trials)


def _rate(trial):
    return trial.rate


def test_a_run_is_as_long_as_its_percentile_needs(tmp_path, monkeypatch):
    searched, made = _search(tmp_path, monkeypatch, iter(()), needed=5000)
    searched.run("p999<1s", None, 100.0)
    assert all(plan.load.messages >= 4999 for plan in made)


def test_runs_are_not_mixed_with_those_of_another_search(tmp_path, monkeypatch):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "01").mkdir()
    searched, _ = _search(tmp_path, monkeypatch, iter(()))
    with pytest.raises(search.UsageError, match="already holds runs"):
        searched.run("p99<1s", None, 100.0)


def test_an_interrupt_tells_what_was_found_until_then(tmp_path, monkeypatch):
    searched, made = _search(tmp_path, monkeypatch, iter(()))
    measure = searched._measure

    def interrupted(*arguments):
        if len(made) == 3:
            raise KeyboardInterrupt
        return measure(*arguments)

    searched._measure = interrupted
    found, was_interrupted = searched.run("p99<1s", None, 100.0)
    assert was_interrupted
    assert found.rate is None
    assert len(found.trials) == 3
