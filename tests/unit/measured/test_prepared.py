"""Functions that are prepared once and exchanged again and again, and probes that fail."""

import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import bytecode
import pytest

import omrig
from omrig.drivers import maps
from omrig.measured.probes import actions, graft, install, kinds
from omrig.measured.probes.state import State
from omrig.model.actions import Action
from omrig.model.stage_map import Probe, StageMap
from tests.unit.measured.stamping import IMPLEMENTATIONS, NoWatcher

pytestmark = pytest.mark.usefixtures("module")
"""Each with both implementations of the stamps."""

MESSAGE_ID = "0123456789abcdef0123456789abcdef"


def _state():
    state = State(NoWatcher(), 1, native=True, enlarge=False)
    state.kinds = kinds.Kinds(lambda _: None)
    state.stamps.on = True
    return state


def _sites():
    sites, missing = maps.resolve(maps.for_scheme("rabbit"))
    assert missing == []
    return sites


# In and out


def test_forty_times_in_and_out_every_function_has_the_very_code_it_had():
    state, sites = _state(), _sites()
    functions = [site.unwrapped() for site in sites]
    codes = [function.__code__ for function in functions]
    made = install.prepared(state, sites)
    assert [function.__code__ for function in functions] == codes
    assert {each.function for each in made} == {*functions}
    for _ in range(40):
        for each in made:
            each.put_in()
            each.put_in()
        assert all(now.__code__ is not was for now, was in zip(functions, codes, strict=True))
        for each in made:
            each.take_out()
            each.take_out()
        assert all(now.__code__ is was for now, was in zip(functions, codes, strict=True))
    assert state.failures == []


def _site(function, *probes):
    (name, module) = (function.__name__, function.__module__)
    given = tuple(Probe(Action(*each), f"{module}:{name}", "omrig") for each in probes)
    sites, missing = maps.resolve([StageMap("", "", "omrig", (), (), "", (), (), given)])
    assert missing == []
    return sites


def prepared_twice(message):
    return message


def test_two_probes_of_a_function_are_put_in_at_once():
    state = _state()
    own = prepared_twice.__code__
    sites = _site(
        prepared_twice,
        ("adopt", {"id": ("_msg_id",), "in": "message", "sum": "json_out"}),
        ("stamp", {"enter": "send", "exit": "wait"}),
    )
    (made,) = install.prepared(state, sites)
    made.put_in()
    state.stamps.begin(1)
    prepared_twice({"_msg_id": MESSAGE_ID})
    state.stamps.end()
    made.take_out()
    assert prepared_twice.__code__ is own
    row = dict(zip(install_columns(), state.rows()["producer"], strict=True))
    assert row["send"] and row["wait"] and row["json_out"]


def install_columns():
    from omrig.model.stamps import PRODUCER_COLUMNS

    return PRODUCER_COLUMNS


def replaced(message):
    return message


def test_what_somebody_else_has_put_in_stays_and_is_told():
    state = _state()
    own = replaced.__code__
    (made,) = install.prepared(state, _site(replaced, ("stamp", {"enter": "send"})))
    theirs = own.replace(co_name="theirs")
    try:
        replaced.__code__ = theirs
        made.put_in()
        made.put_in()
        made.take_out()
        assert replaced.__code__ is theirs
        (told,) = state.failures
        assert told.endswith("test_prepared:replaced: somebody else has replaced its code")
        assert "api" in state.lost_stages
        replaced.__code__ = own
        made.put_in()
        assert replaced.__code__ is made.code
        replaced.__code__ = theirs
        made.take_out()
        assert replaced.__code__ is theirs
    finally:
        replaced.__code__ = own


# Probes that fail


class OnPurpose(Exception):
    """What a probe of ours raises."""


class Bad:
    """Whatever a probe does with it fails; what is stamped does not touch it."""

    def __init__(self):
        object.__setattr__(self, "touched", 0)

    def _fails(self, *_):
        object.__setattr__(self, "touched", self.touched + 1)
        raise OnPurpose("on purpose")

    __getattr__ = __setattr__ = __getitem__ = __bool__ = __eq__ = _fails
    __hash__ = None


class BadText(str):
    """A name that is no hexadecimal number."""


KINDS = [
    ("message", {"pattern": "call", "target": "message.target", "exchange": "message.exchange",
                 "context": "message", "method": "message"}),
    ("adopt", {"id": ("_msg_id",), "in": "named", "sum": "json_out"}),
    ("adopt", {"id": ("_msg_id",), "in": "named"}),
    ("confirm", {"link": "message.link", "exit": "confirm"}),
    ("receive", {"link": "message.link"}),
    ("open", {"on": "message", "id": ("msg_id", "msg_id")}),
    ("carry", {"by": "message[0]", "enter": "submit"}),
    ("carry", {"by": "several[*]", "enter": "submit"}),
    ("close", {"by": "message[0]", "enter": "start", "exit": "end"}),
    ("close", {"by": "several[*]", "enter": "start", "exit": "end"}),
    ("close", {"by": "carried[0]", "enter": "start", "exit": "end",
               "target": "message.target", "exchange": "message.exchange"}),
    ("close", {"by": "carried[*]", "enter": "start", "exit": "end",
               "target": "message.target", "exchange": "message.exchange", "event": True}),
    ("reply", {"id": "msg_id", "in": "answer", "has": ("ending",), "enter": "put"}),
]  # fmt: skip
"""The kinds that touch what is the service's, as they touch something that fails."""


@pytest.mark.parametrize(
    ("name", "says"), KINDS, ids=[f"{name} {number}" for number, (name, _) in enumerate(KINDS)]
)
def test_a_probe_that_fails_breaks_no_message_and_turns_the_instrument_off(name, says):
    state = _state()
    passed = []

    def original(message, named, several, carried, msg_id, answer):
        passed.append((message, named, several, carried, msg_id, answer))
        return "theirs"

    code = graft.grafted(original.__code__, actions.graft(state, Action(name, says)))
    grafted = types.FunctionType(code, original.__globals__, "grafted", None, original.__closure__)
    carried = _received(state)
    if name != "message":
        state.stamps.begin(1)
        if name == "reply":
            _adopt(state)({"_msg_id": MESSAGE_ID})
    bad = Bad()
    given = (bad, {"_msg_id": BadText("not hexadecimal")}, [bad], [carried], MESSAGE_ID,
             {"ending": bad})  # fmt: skip
    if name == "adopt":
        # With a sample the name has to be read.
        state, grafted = _again(state, original, name, says)
    for _ in range(3):
        assert grafted(*given) == "theirs"
    assert len(passed) == 3 and all(each is bad for each, *_ in passed)
    assert state.stamps.broken and not state.stamps.on
    expected = "not hex" if name == "adopt" else "on purpose"
    assert expected in state.stamps.failure
    before = bad.touched
    grafted(*given)
    assert bad.touched == before
    assert state.stamps.current() is None


def _again(state, original, name, says):
    sampled = State(NoWatcher(), 3, native=True, enlarge=False)
    sampled.stamps.on = True
    code = graft.grafted(original.__code__, actions.graft(sampled, Action(name, says)))
    sampled.stamps.begin(1)
    return sampled, types.FunctionType(
        code, original.__globals__, "grafted", None, original.__closure__
    )


def _adopt(state):
    return state.stamps.stamp("name", 1, column=1, keys=("_msg_id",))


def _received(state):
    """A request with a record, whose own words fail."""
    request = types.SimpleNamespace(message=Bad(), ctxt={})
    state.stamps.stamp("receive", 1, path=("link",))(object())
    state.stamps.stamp("open", 2)(request, MESSAGE_ID)
    assert request._omrig_record is not None
    return request


def test_what_fails_in_naming_an_exception_leaves_the_exception_alone():
    state = _state()

    def failing(_):
        raise OnPurpose("the file of kinds")

    state.kinds = kinds.Kinds(failing)

    def endpoint(serves):
        if not serves:
            raise LookupError("theirs")

    made = actions.graft(state, Action("serve", {"enter": "endpoint", "exit": "endpoint_end"}))
    serves = types.FunctionType(
        graft.grafted(endpoint.__code__, made), globals(), "endpoint", None, endpoint.__closure__
    )
    process = state.stamps.stamp("process", 1, column=1, path=("_omrig_record",))
    process(_received(state))
    with pytest.raises(LookupError, match="theirs"):
        serves(False)
    assert state.stamps.broken
    assert "the file of kinds" in state.stamps.failure
    with pytest.raises(LookupError, match="theirs"):
        serves(False)
    serves(True)


# What else is there


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_service_needs_nothing_of_ours_but_omrig_and_bytecode(implementation, tmp_path):
    for package in (omrig, bytecode):
        source = Path(package.__file__).parent
        (tmp_path / source.name).symlink_to(source)
    script = f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    before = set(sys.modules)
    from omrig.measured.probes import install, kinds, messages, state, stamp, tables
    made = state.State(None, 1, enlarge=False)
    made.kinds = kinds.Kinds(lambda told: None)
    print(stamp.IMPLEMENTATION)
    found = {{name.partition(".")[0] for name in set(sys.modules) - before}}
    print(*sorted(found - {{*sys.stdlib_module_names}}))
    """
    command = [sys.executable, "-I", "-S", "-c", textwrap.dedent(script)]
    environment = {**os.environ, "OMRIG_STAMP": implementation}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [implementation, "bytecode omrig"]
