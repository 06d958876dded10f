"""Decisions while one measures: how often they are wrong, and what they are of known figures."""

import math

import numpy
import pytest

from omrig.compare import gates
from omrig.compare.resample import student_quantile
from omrig.experiment import sequential
from omrig.experiment.sequential import ALPHA, LOOKS, METRICS, hold, judge
from omrig.model.errors import UsageError
from tools.experiment_rates import NOISES, normal, simulated

MARGIN = 0.05


def test_each_look_has_its_part_and_together_they_have_all():
    assert sum(sequential.levels()) == pytest.approx(ALPHA)
    assert sequential.levels((10,)) == (ALPHA,)
    # Whatever the last look, those before it have the same: one may go on.
    assert sequential.levels(LOOKS[:7])[:6] == pytest.approx(sequential.levels()[:6])


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
@pytest.mark.parametrize("spread", [0.01, 0.04, 0.15])
def test_the_same_is_called_different_in_at_most_one_of_twenty(noise, spread):
    words, _ = simulated(noise, spread)
    assert (words == 1).mean() <= ALPHA


@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_what_differs_by_the_margin_is_called_the_same_in_at_most_one_of_twenty(noise):
    # With one metric nothing else has to be within the margin: the worst case.
    for spread in (0.01, 0.04):
        words, _ = simulated(noise, spread, math.log1p(MARGIN), metrics=1)
        assert (words == 2).mean() <= ALPHA


def test_what_a_decision_costs():
    """The figures of doc/experiments.rst."""
    for spread, most in ((0.01, 6), (0.02, 9), (0.04, 19)):
        words, stopped = simulated(normal, spread)
        assert (words == 2).mean() > 0.96
        assert numpy.percentile(stopped, 90) <= most
    words, stopped = simulated(normal, 0.02, 0.03)
    assert (words == 1).mean() > 0.9
    assert numpy.percentile(stopped, 90) <= 13


def of(logs):
    """Figures of BASE and NEW by round whose logarithms differ by ``logs``, alike in all."""
    base = [dict.fromkeys(METRICS, 100.0) for _ in logs]
    return base, [dict.fromkeys(METRICS, 100.0 * math.exp(log)) for log in logs]


def test_what_is_judged_is_what_was_simulated():
    rng = numpy.random.default_rng(3)
    logs = rng.normal(0.01, 0.02, 20)
    found = judge(*of(logs), METRICS, MARGIN)
    assert found.rounds == 19
    level = sequential.levels()[LOOKS.index(19)]
    low, high = sequential.limits(logs[:19], level / 3)
    assert found.answers[0].low == pytest.approx(math.exp(low))
    assert found.answers[0].high == pytest.approx(math.exp(high))
    reach = student_quantile(18, level / 3) * logs[:19].std(ddof=1) / math.sqrt(19)
    assert high - low == pytest.approx(2 * reach)


def wave(size, count, centre=0.0):
    return [centre + size * (-1) ** number for number in range(count)]


def test_the_three_answers():
    found = judge(*of(wave(0.01, 9, 0.1)), METRICS, MARGIN)
    assert found.word == "different"
    assert found.text.startswith("NEW is different: throughput +10.")
    assert "decided after 9 rounds" in found.text
    assert "margin" not in found.text
    found = judge(*of(wave(0.01, 9)), METRICS, MARGIN)
    assert found.word == "same"
    assert found.text.startswith("NEW is the same within 5 %: throughput ")
    found = judge(*of(wave(0.1, 10)), METRICS, MARGIN)
    assert (found.word, found.rounds) == ("undecided", 9)
    assert found.answers[0].needed == found.answers[0].needed_to_match == 80
    assert "about 80 rounds to show that it is the same within 5 %" in found.text


def test_a_difference_within_the_margin_is_one_and_says_so():
    found = judge(*of(wave(0.001, 9, 0.02)), METRICS, MARGIN)
    assert found.word == "different"
    assert "that is less than the margin of 5 %" in found.text


def test_one_metric_that_differs_is_a_difference_and_all_must_be_the_same():
    base, new = of(wave(0.01, 9))
    for each in new:
        each["cpu"] *= 1.2
    found = judge(base, new, METRICS, MARGIN)
    assert [each.word for each in found.answers] == ["same", "same", "different"]
    assert found.word == "different"
    assert "throughput" not in found.text
    for number, each in enumerate(new):
        each["cpu"] = 100.0 * (1 + 0.3 * (-1) ** number)
    assert judge(base, new, METRICS, MARGIN).word == "undecided"


def test_before_the_first_look_nothing_is_said():
    found = judge(*of([0.5, 0.5, 0.5]), METRICS, MARGIN)
    assert (found.word, found.rounds) == ("undecided", 3)
    assert "4 are the least" in found.text
    assert judge([], [], METRICS, MARGIN).word == "undecided"


def test_what_will_not_be_decided_is_said():
    found = judge(*of(wave(5, 9)), METRICS, MARGIN)
    assert found.answers[0].needed is None
    assert "160 rounds do not decide it" in found.text
    assert "as good as unknown" in found.text


def test_a_figure_that_is_not_there_is_named_with_those_that_are():
    base, new = of([0.0] * 5)
    with pytest.raises(UsageError, match="--metric: 'p99': a run has no p99; it has throughput"):
        judge(base, new, ("p99",), MARGIN)
    with pytest.raises(UsageError, match="--metric: p50 is 0 in some run"):
        judge(base, [dict.fromkeys(METRICS, 0.0)] * 5, ("p50",), MARGIN)


def test_a_number_of_rounds_fixed_before_has_all_of_the_level():
    found = sequential.equivalence(*of(wave(0.05, 10)), METRICS, MARGIN)
    assert (found.word, found.rounds) == ("same", 10)
    assert judge(*of(wave(0.05, 10)), METRICS, MARGIN).word == "undecided"
    found = sequential.equivalence(*of(wave(0.01, 10, 0.2)), METRICS, MARGIN)
    assert found.word == "undecided"
    assert found.text.startswith("not shown to be the same within 5 %: throughput +")


# Gates


def held(text, logs, looks=LOOKS):
    return hold(gates.parse(text), *of(logs), looks)


@pytest.mark.parametrize(
    ("text", "centre", "outcome"),
    [
        ("p50<=+5%", 0.0, "met"),
        ("p50<=+5%", 0.2, "failed"),
        ("p50<=+5%", 0.049, "undecided"),
        ("p50<=+50%", 0.2, "met"),
        ("throughput>=-5%", -0.2, "failed"),
        ("throughput>=-5%", 0.2, "met"),
        ("throughput>=90", 0.0, "met"),
        ("throughput>=120", 0.0, "failed"),
        ("p50<=-100%", 0.0, "failed"),
    ],
)
def test_a_gate_is_met_or_failed_once_it_surely_is(text, centre, outcome):
    assert held(text, wave(0.02, 10, centre)) == outcome
    assert held(text, wave(0.02, 3, centre)) == "undecided"


def test_a_gate_is_wrong_in_at_most_one_of_twenty():
    rng = numpy.random.default_rng(5)
    gate = gates.parse("p50<=+5%")
    words = []
    for _ in range(300):
        logs = rng.normal(math.log(1.05), 0.02, 40)
        outcomes = (hold(gate, *of(logs[:look])) for look in LOOKS[:7])
        words.append(next((each for each in outcomes if each != "undecided"), None))
    assert words.count("failed") <= 0.05 * 300
    assert words.count("met") <= 0.05 * 300


def test_errors_are_counted_and_decided_at_once():
    gate = gates.parse("errors<=1")
    assert hold(gate, [{"errors": 0.0}], [{"errors": 0.0}]) == "met"
    assert hold(gate, [{"errors": 9.0}] * 2, [{"errors": 1.0}] * 2) == "failed"
    assert hold(gate, [], []) == "undecided"


def test_exact_counts_are_decided_by_one_round_and_others_by_two_that_are_alike():
    gate = gates.parse("calls<=+0")
    base, new = [{"calls": 100.0}], [{"calls": 101.0}]
    assert hold(gate, base, new, exact={"calls"}) == "failed"
    assert hold(gate, base, base, exact={"calls"}) == "met"
    assert hold(gate, base, new) == "undecided"
    assert hold(gate, base * 2, new * 2) == "failed"
    assert hold(gate, base * 2, [{"calls": 101.0}, {"calls": 99.0}]) == "undecided"


def test_a_limit_may_be_a_difference():
    base = [{"p50": 1e6 + each} for each in (0, 1e4, 2e4, 3e4)]
    slower = [{"p50": each["p50"] + 2e5} for each in base]
    assert hold(gates.parse("p50<=+0.1ms"), base, slower) == "failed"
    ruled = sequential.rule(gates.parse("p50<=+0.3ms"), base, slower)
    assert (ruled.outcome, ruled.value) == ("met", pytest.approx(2e5))


def test_a_gate_on_what_is_not_there_is_said():
    with pytest.raises(UsageError, match="--gate: 'p99<=\\+5%': a run has no p99"):
        held("p99<=+5%", [0.0] * 5)
