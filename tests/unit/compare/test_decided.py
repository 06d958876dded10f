"""Comparisons of an experiment's runs: whose call it is, and what the reports say of it."""

import dataclasses

import numpy
import pytest

from omrig.compare import comparison, decided, gates
from omrig.compare.comparison import as_json
from omrig.compare.gates import Ruling
from omrig.model.decision import Answer, Decision
from omrig.report.html import comparison as page
from omrig.report.terminal import comparison as terminal
from tests.unit import synthetic


def answer(metric, word="different", ratio=1.1):
    return Answer(metric, word, ratio, ratio * 0.99, ratio * 1.01, 9)


def decision(*answers, word="different", text="NEW is so"):
    return Decision(word, answers, 0.05, 9, text)


@pytest.fixture
def slower():
    rng = numpy.random.default_rng(1)
    return comparison.compare(
        *synthetic.pairs(9, rng, new={"factor": 1.2}, noise=0.01), [gates.parse("p50<=+5%")]
    )


def shown(found):
    return " ".join(terminal.text(found, 100).split())


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ([answer("throughput", ratio=0.9), answer("p50")], "slower"),
        ([answer("throughput"), answer("cpu")], "faster"),
        ([answer("throughput"), answer("p99")], "mixed"),
        ([answer("cpu"), answer("p50", "undecided")], "resources"),
        ([answer("memory.producer")], "resources"),
    ],
)
def test_a_program_reads_what_is_different_in_the_usual_word(slower, answers, word):
    found = decided.until_decided(slower, decision(*answers), _met(slower))
    assert (found.call.word, found.call.significant) == (word, True)


def _met(found):
    return {each.gate.text: dataclasses.replace(each, outcome="met") for each in found.rulings}


def test_what_is_different_keeps_what_explains_it(slower):
    found = decided.until_decided(slower, decision(answer("p50")), _met(slower))
    assert slower.explanation
    assert found.call.text == f"NEW is so; {slower.explanation.text}"
    assert shown(found).startswith(f"> NEW is so; {slower.explanation.text}")
    assert "rounds went on until it was decided" in " ".join(shown(found).split())
    assert found.rulings[0].outcome == "met"
    assert page.render(found, ([], [])).count("ounds went on until it was decided") == 1


def test_what_is_not_decided_calls_nothing_and_explains_nothing(slower):
    assert slower.call.significant
    undecided = decision(answer("p50", "undecided"), word="undecided", text="undecided so far")
    found = decided.until_decided(slower, undecided, _met(slower))
    assert (found.call.word, found.call.significant) == ("none", False)
    assert found.call.text == "undecided so far"
    assert found.explanation is None
    assert as_json(found)["decision"]["word"] == "undecided"


def test_a_fixed_number_of_rounds_keeps_its_own_call(slower):
    found = decided.by_rounds(slower, decision(text="not shown to be the same"))
    assert found.call == slower.call
    assert "not shown to be the same" in shown(found)
    assert "rounds went on" not in shown(found)
    html = page.render(found, ([], []))
    assert "Not shown to be the same." in html
    assert "ounds went on" not in html
    assert "decision" not in as_json(slower)


@pytest.mark.parametrize(("value", "where"), [(1.02, "within"), (1.08, "beyond")])
def test_a_gate_that_is_not_decided_says_where_the_figure_is(slower, value, where):
    ruling = Ruling(gates.parse("p50<=+5%"), "undecided", value, 0.98, 1.12)
    found = decided.until_decided(slower, decision(answer("p50")), {"p50<=+5%": ruling})
    assert f"{where} the limit, but that may be chance; make more runs" in shown(found)
