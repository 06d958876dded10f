"""A broker that is asked during the load: one refusal is none, a lasting one is told."""

import threading
import time

import pytest

from omrig.broker import asking
from omrig.broker.connection import Login
from omrig.broker.trial import Needs
from omrig.errors import RunError


@pytest.fixture
def answers(monkeypatch):
    """What the broker answers, in turn: None where it does what is asked."""
    answers = []

    def check(*_):
        if (answer := answers.pop(0)) is not None:
            raise RunError(answer)

    monkeypatch.setattr("omrig.broker.preflight.check", check)
    monkeypatch.setattr(asking, "EVERY_S", 0.0)
    return answers


def test_only_a_refusal_that_lasts_is_told(answers):
    answers += ["blocked", "blocked still", None, "blocked again"]
    asked = asking.Asking(Login(()), Needs(("producer",), {}))
    assert asked.refused_for(0.0) is None
    asked.ask()
    asked.close()
    assert asked.refused_for(0.2) is None
    time.sleep(0.25)
    asked.ask()
    asked.close()
    assert asked.refused_for(0.2) == "blocked still"
    asked.ask()
    asked.close()
    assert asked.refused_for(0.0) is None
    asked.ask()
    asked.close()
    assert asked.refused_for(0.2) is None


def test_one_question_at_a_time(answers, monkeypatch):
    release, count = threading.Event(), []

    def check(*_):
        count.append(1)
        release.wait(5)

    monkeypatch.setattr("omrig.broker.preflight.check", check)
    asked = asking.Asking(Login(()), Needs(("producer",), {}))
    for _ in range(3):
        asked.ask()
    release.set()
    asked.close()
    assert len(count) == 1
