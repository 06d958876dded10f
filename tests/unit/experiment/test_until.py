"""Rounds until something is known: by what they end."""

import time

from omrig.experiment import sequential, until
from tests.unit.experiment.measured import Measured, named, opened

A, B = named("a"), named("b")


def decide(trials, most_rounds=40, until_s=None, judge_it=None):
    def judge(base, new):
        found = sequential.judge(base, new, sequential.METRICS, 0.05)
        return found if found.word != "undecided" else None

    return until.decided(
        trials, A, B, judge_it=judge_it or judge, most_rounds=most_rounds, until_s=until_s
    )


def test_rounds_go_on_until_it_is_decided(tmp_path):
    with opened(tmp_path / "e", Measured({"b": {"factor": 1.2, "cpu": 1.2}})) as trials:
        found = decide(trials)
        assert found.word == "different"
        assert trials.rounds("a", "b") == found.rounds <= 9


def test_the_same_is_found_too(tmp_path):
    with opened(tmp_path / "e", Measured(noise=0.005)) as trials:
        assert decide(trials).word == "same"


def test_there_are_no_more_rounds_than_asked_for(tmp_path):
    with opened(tmp_path / "e", Measured(noise=1.0)) as trials:
        assert decide(trials, most_rounds=5) is None
        assert trials.rounds("a", "b") == 5
        assert decide(trials, most_rounds=5) is None
        assert trials.rounds("a", "b") == 5


def test_a_round_that_would_end_too_late_does_not_begin(tmp_path):
    measured = Measured(noise=1.0)
    with opened(tmp_path / "e", measured) as trials:
        trials.round((A, B))
        trials.journal.lasted_s[-1] = 100.0
        assert decide(trials, until_s=time.monotonic() + 50) is None
        assert trials.rounds("a", "b") == 1
        assert measured.said[-1] == "no time for another round: the last one took 100 s"
        assert decide(trials, most_rounds=2, until_s=time.monotonic() + 150) is None
        assert trials.rounds("a", "b") == 2


def test_who_judges_gets_the_figures_by_round_with_the_errors(tmp_path):
    asked = []

    def judge(base, new):
        asked.append((len(base), len(new)))
        return base[-1]["errors"] if len(base) == 2 else None

    with opened(tmp_path / "e", Measured()) as trials:
        assert decide(trials, judge_it=judge) == 0
    assert asked == [(0, 0), (1, 1), (2, 2)]
