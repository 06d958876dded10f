"""A search whose runs are made of numbers: what it finds, passes over, and says."""

import contextlib
import dataclasses
import functools
import itertools
import time
import types

import pytest

from omrig.compare import gates
from omrig.experiment import bisecting, journal
from omrig.experiment.bisecting import Search, Tools
from omrig.model.bisection import Asked, Bisection, Candidate
from omrig.model.decision import Answer, Decision
from omrig.model.errors import RunError, UsageError
from omrig.report.terminal import bisection as terminal
from tests.unit import synthetic
from tests.unit.experiment import measured
from tests.unit.experiment.measured import Measured, named, opened


class Versions:
    """Changes of a run by the version it is of; the folder's name tells which one that is."""

    def __init__(self, changes, good="1"):
        self.changes = changes
        self.good = good

    def get(self, name, default):
        version = name.rpartition("-")[2]
        return self.changes.get(self.good if version == "good" else version, default)


class Searched:
    """A search over versions 1 to ``last`` in a folder."""

    def __init__(self, folder, changes, last=9, gates=("p50<=+50%",), noise=0.02, **asked):
        self.folder = folder
        self.measured = Measured(Versions(changes), noise)
        self.kept = []
        self.prepared = []
        self.refused = {}
        self.until_s = None
        about = {"margin": 0.05, "most_rounds": 19, "arguments": (), "source": None} | asked
        self.known = Bisection(
            asked=Asked(good="1", bad=str(last), gates=gates, **about),
            candidates=tuple(Candidate(str(each), f"p=={each}") for each in range(1, last + 1)),
        )

    def prepare(self, configuration):
        name = configuration.name.rpartition("-")[2]
        self.prepared.append(name)
        if name in self.refused:
            raise UsageError(self.refused[name])

    @contextlib.contextmanager
    def search(self, about=None):
        if about is None:
            about = journal.new(self.folder, "bisect")
        with opened(self.folder, self.measured, kind="bisect", about=about) as trials:
            tools = Tools(
                trials,
                lambda name, candidate: named(name, "--with", candidate.requirement),
                self.prepare,
                self.kept.append,
                until_s=self.until_s,
            )
            yield Search(self.known, tools)

    def run(self, about=None):
        with self.search(about) as search:
            return search.run()


def slower(first, last=9, factor=2.0):
    return {str(each): {"factor": factor} for each in range(first, last + 1)}


def words(known):
    return {step.candidate: step.word for step in known.steps}


@pytest.mark.parametrize("first_bad", range(2, 10))
def test_the_first_bad_one_is_found_with_what_changed_there(tmp_path, first_bad):
    changes = {"changes": {"wakeup": 3_000_000}}
    changes = {str(each): changes for each in range(first_bad, 10)}
    found = Searched(tmp_path, changes).run()
    assert found.is_found and found.complete
    assert found.answer.first_bad.name == str(first_bad)
    assert found.answer.last_good.name == str(first_bad - 1)
    assert found.answer.stage == "wakeup"
    assert "`wakeup` explains most of it" in found.answer.change
    assert len(found.steps) <= 4
    assert (tmp_path / found.answer.base / "04" / "run.json").exists()
    assert (tmp_path / found.answer.new / "04" / "run.json").exists()
    assert found.runs == sum(step.runs for step in found.steps) + (8 if first_bad > 2 else 0)


def test_each_candidate_is_measured_in_turn_with_the_good_one(tmp_path):
    searched = Searched(tmp_path, slower(4))
    found = searched.run()
    second = found.steps[1]
    assert (second.base, second.new, second.candidate) == ("02-good", "02-5", "5")
    first_of_it = searched.measured.order.index("02-5/01")
    assert "02-good/01" in searched.measured.order[first_of_it - 1 : first_of_it + 2]
    assert second.figures[0].ratio == pytest.approx(2.0, rel=0.1)
    assert found.words[4] == "bad"


def test_what_got_better_is_found_likewise(tmp_path):
    found = Searched(tmp_path, slower(6, factor=0.1), gates=("p50>=-50%",)).run()
    assert found.answer.first_bad.name == "6"


def test_what_cannot_be_installed_is_skipped_and_its_neighbours_asked(tmp_path):
    searched = Searched(tmp_path, slower(7))
    searched.refused = {"5": "--with: p==5: it has no wheel"}
    found = searched.run()
    assert found.answer.first_bad.name == "7"
    assert found.steps[1].word == "skipped"
    assert found.steps[1].reason == "--with: p==5: it has no wheel"
    assert found.steps[1].runs == 0


def test_what_cannot_run_is_skipped_and_only_a_range_is_left(tmp_path):
    searched = Searched(tmp_path, slower(5))
    searched.measured.fails = {(f"0{number}-5/01") for number in range(2, 9)}
    found = searched.run()
    assert words(found)["5"] == "skipped"
    assert "the consumer died" in next(s.reason for s in found.steps if s.candidate == "5")
    assert not found.is_found and found.complete
    assert found.answer.between == ("5",)
    assert "6 or one of the 1 between it and 4" in found.answer.text
    assert found.answer.stage


def test_a_good_one_that_fails_ends_the_search_and_it_can_go_on(tmp_path):
    searched = Searched(tmp_path, slower(7))
    searched.measured.fails = {"02-good/02"}
    with pytest.raises(RunError, match="run 02-good of round"):
        searched.run()
    assert words(searched.kept[-1]) == {"9": "bad"}
    before = len(searched.measured.plans)
    searched.known = Bisection.from_json(searched.kept[-1].to_json())
    found = searched.run(journal.read(tmp_path, "--resume"))
    assert found.answer.first_bad.name == "7"
    runs = [*searched.measured.order]
    assert "01-good/01" not in runs[before:] and "02-good/01" not in runs[before:]


def test_an_end_that_cannot_be_measured_is_told_with_its_option(tmp_path):
    searched = Searched(tmp_path, {})
    searched.refused = {"9": "no such release"}
    with pytest.raises(UsageError, match=r"^--bad: 9 cannot be measured: no such release"):
        searched.run()
    searched = Searched(tmp_path / "2", {})
    searched.refused = {"good": "no such release"}
    with pytest.raises(UsageError, match=r"^no such release"):
        searched.run()


def test_ends_that_are_alike_are_nothing_to_bisect(tmp_path):
    found = Searched(tmp_path, {}, gates=("p50<=+50%",)).run()
    assert found.complete and not found.answer
    assert found.reason.startswith("nothing to bisect: 9, the bad one, keeps the gate: p50")
    assert len(found.steps) == 1
    found = Searched(tmp_path / "2", {}, gates=(), noise=0.005).run()
    assert found.reason.startswith("nothing to bisect: the bad one is the same within 5 %")
    found = Searched(tmp_path / "3", {}, noise=0.3, gates=("p50<=+5%",), most_rounds=4).run()
    assert "is not decided after 4 rounds" in found.reason
    assert not found.is_found


def test_a_good_one_that_breaks_the_gate_is_no_good_one(tmp_path):
    found = Searched(tmp_path, slower(3), gates=("p50<=1us",)).run()
    assert found.complete and not found.answer
    assert "1, the good one, breaks p50<=1us as well" in found.reason


def test_without_a_gate_bad_is_what_is_nearer_to_the_bad_one(tmp_path):
    changes = {"2": {"factor": 1.1}, "3": {"factor": 1.2}} | slower(4, factor=4.0)
    found = Searched(tmp_path, changes, gates=()).run()
    assert found.answer.first_bad.name == "4"
    assert found.derived.startswith(("p50<=+", "throughput>=-"))
    assert 0.9 < gates.parse(found.derived).limit < 2.1 or found.derived.startswith("through")


def test_a_gate_is_derived_half_way_of_what_surely_differs_most():
    def decision(**ratios):
        answers = [
            Answer(name, "different", ratio, ratio, ratio, 4) for name, ratio in ratios.items()
        ]
        same = Answer("throughput", "same", 9.0, 9.0, 9.0, 4)
        return Decision("different", (same, *answers), 0.05, 4, "")

    assert bisecting.derived(decision(cpu=1.1, p50=4.0)) == "p50<=+100.00%"
    assert bisecting.derived(decision(cpu=0.25, p50=1.5)) == "cpu>=-50.00%"
    assert bisecting.derived(decision(cpu=1.04)) is None
    for text in ("p50<=+100.00%", "cpu>=-50.00%"):
        assert gates.parse(text).text == text


def test_an_undecided_candidate_is_passed_over_like_one_that_cannot_run(tmp_path):
    class Unsteady(Versions):
        def get(self, name, default):
            if name.endswith("-5"):
                return {"factor": next(factors)}
            return super().get(name, default)

    factors = itertools.cycle([1.2, 1.9])
    searched = Searched(tmp_path, slower(6), most_rounds=4)
    searched.measured.factors = Unsteady(slower(6))
    found = searched.run()
    assert words(found) == {"9": "bad", "5": "undecided", "4": "good", "6": "bad"}
    assert found.answer.between == ("5",)
    assert not found.is_found
    assert found.answer.stage
    more = dataclasses.replace(found.asked, most_rounds=6)
    assert dataclasses.replace(found, asked=more).words[4] is None


def test_what_fails_because_it_was_interrupted_is_not_skipped(tmp_path):
    class Interrupted(Measured):
        def __call__(self, plan, display, interrupts, broker):
            if plan.output.folder.endswith("02-5/01"):
                interrupts.count += 1
                raise RunError("the consumer was gone")
            return super().__call__(plan, display, interrupts, broker)

    searched = Searched(tmp_path, slower(7))
    searched.measured = Interrupted(Versions(slower(7)))
    with pytest.raises(KeyboardInterrupt):
        searched.run()
    assert words(searched.kept[-1]) == {"9": "bad"}


def test_a_search_out_of_time_says_what_is_known_and_goes_on_later(tmp_path):
    searched = Searched(tmp_path, slower(7))
    searched.until_s = time.monotonic() - 1
    found = searched.run()
    assert not found.complete and not found.answer and "0 steps" in found.reason
    searched.until_s = None
    searched.known = Bisection.from_json(found.to_json())
    found = searched.run(journal.read(tmp_path, "--resume"))
    assert found.answer.first_bad.name == "7"
    assert found.complete and found.reason is None


def test_neighbours_need_one_step(tmp_path):
    found = Searched(tmp_path, slower(2), last=2).run()
    assert found.is_found and len(found.steps) == 1
    assert (found.answer.base, found.answer.new) == ("01-good", "01-2")


@pytest.mark.parametrize(("factor", "word"), [(1.0, "good"), (2.0, "bad")])
def test_one_candidate_alone(tmp_path, factor, word):
    searched = Searched(tmp_path, {"2": {"factor": factor}}, last=2)
    with searched.search() as search:
        assert search.one().word == word
    searched = Searched(tmp_path / "2", {}, last=2)
    searched.refused = {"2": "it does not build"}
    with searched.search() as search:
        assert search.one().word == "skipped"


def test_runs_without_a_broker_are_refused(tmp_path, monkeypatch):
    about = functools.partial(synthetic.run, in_memory=True, url="kombu+memory:///")
    monkeypatch.setattr(measured, "synthetic", types.SimpleNamespace(
        run=about, result=synthetic.result,
    ))  # fmt: skip
    with pytest.raises(UsageError, match=r"^--transport-url: kombu\+memory:/// is no measurement"):
        Searched(tmp_path, slower(2)).run()


def test_what_is_known_is_the_same_after_a_file(tmp_path):
    found = Searched(tmp_path, slower(5)).run()
    assert Bisection.from_json(found.to_json()) == found


def test_the_terminal_has_the_answer_its_steps_and_where_to_look(tmp_path, capsys):
    searched = Searched(tmp_path, slower(5))
    searched.refused = {"7": "it has no wheel"}
    found = searched.run()
    terminal.show(found, tmp_path)
    text = capsys.readouterr().out
    assert "> 5 is the first that breaks p50<=+50%, and 4 the last that keeps it" in text
    assert f"omrig compare {tmp_path}/last-good-4 {tmp_path}/first-bad-5" in text
    assert f"{found.runs} runs in" in text
    for step in found.steps:
        assert step.word in text
