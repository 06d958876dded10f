"""Where a message goes on from stage to stage, learned from the first ones."""

import pytest

from omrig.measured.probes import actions, graft, learning
from omrig.measured.probes.learning import Learner
from omrig.measured.probes.state import State
from omrig.measured.profilers import registry
from omrig.measured.profilers.base import Context
from omrig.model.actions import Action
from omrig.model.places import PLACES


@pytest.fixture
def state(module):
    """A State that stamps."""
    state = State(None, 1, side="producer")
    state.stamps.on = True
    return state


def _with(state, name, function, **says):
    function.__code__ = graft.grafted(function.__code__, actions.graft(state, Action(name, says)))
    return function


def _ways(state):
    """Two functions, one within the other, as a driver's."""

    def get():
        return None

    def send():
        first = 1
        get()
        return first

    _with(state, "stamp", get, enter="pool_begin", exit="pool_end")
    return _with(state, "stamp", send, enter="send"), get


def test_each_stage_is_learned_with_the_place_at_which_it_begins(state):
    send, get = _ways(state)
    learner = Learner(state)
    state.stamps.begin(1)
    send()
    state.stamps.end()
    (passed,) = learner.passed()
    assert [each.stage for each in passed] == ["api", "publish", "pool_wait", "publish", ""]
    assert len({each.thread for each in passed}) == 1
    _, sent, began, ended, _ = passed
    line = send.__code__.co_firstlineno
    # At its beginning a function is on the line of its name.
    assert (sent.stack[-1].function, sent.stack[-1].line) == (send.__code__.co_qualname, line)
    assert [each.line for each in began.stack[-2:]] == [line + 2, get.__code__.co_firstlineno]
    assert ended.stack[-1].function == get.__code__.co_qualname
    assert not any("probes/stamp" in each.file for step in passed for each in step.stack)


def test_only_the_first_messages_are_learned(state, monkeypatch):
    monkeypatch.setattr(learning, "MOST_RECORDS", 3)
    send, _ = _ways(state)
    learner = Learner(state)
    for seq in range(10):
        state.stamps.begin(seq)
        send()
        state.stamps.end()
    assert len(learner.passed()) == 3
    assert not state.stamps.broken


def test_a_learner_that_fails_breaks_no_message(state):
    def fails(_record, _place):
        raise LookupError("cannot learn")

    state.stamps.learn(fails)
    send, _ = _ways(state)
    state.stamps.begin(1)
    assert send() == 1
    state.stamps.end()
    assert "cannot learn" in state.stamps.failure


def test_the_modes_after_the_stages_are_told_where_the_code_is(tmp_path):
    context = Context("eventlet", "producer", folder=tmp_path)
    stages, yappi = registry.make(["stages", "yappi"], context)
    whereabouts = yappi._whereabouts
    assert whereabouts.places == PLACES[1:]
    assert whereabouts.where() == 0
    assert whereabouts.where == stages._state.stamps.where
    (alone,) = registry.make(["yappi"], context)
    assert alone._whereabouts is None
