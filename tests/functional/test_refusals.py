"""What a broker refuses is found before the load, told in its words, and leaves nothing behind."""

import contextlib
import dataclasses
import re
from types import MappingProxyType

import pytest

from omrig.broker import declared
from omrig.broker.amqp import preflight, trial
from omrig.broker.base import Needs
from omrig.cli.main import execute
from omrig.model.errors import RunError, UsageError
from omrig.model.plan import Output, Plan
from omrig.model.transport import Endpoint, Login
from tests.accuracy import bench as accuracy

PASSWORD = "s3cret-of-trials"
BOTH = ("producer", "consumer")
OPTIONS = MappingProxyType({"rabbit_transient_queues_ttl": 1800})
QUORUM = MappingProxyType({"rabbit_quorum_queue": True, "rabbit_transient_quorum_queue": True})
STREAM = MappingProxyType(
    {**QUORUM, **OPTIONS, "rabbit_stream_fanout": True, "rabbit_qos_prefetch_count": 5}
)

USERS = MappingProxyType(
    {
        "all": (".*", ".*", ".*"),
        "configures-nova": ("^(nova|reply_).*", ".*", ".*"),
        "configures-no-reply": ("^omrig.*", ".*", ".*"),
        "writes-nothing": (".*", "^nothing$", ".*"),
        "writes-no-reply": (".*", "^omrig.*", ".*"),
        "reads-nothing": (".*", ".*", "^nothing$"),
        "just-enough": (
            "^(omrig|reply_).*",
            "^(omrig.*|amq[.]default)$",
            "^(omrig|reply_).*",
        ),
    }
)

_USER = """\
rabbit_auth_backend_internal:add_user(<<"{name}">>, <<"{password}">>, <<"test">>),
rabbit_auth_backend_internal:set_permissions(
    <<"{name}">>, <<"{vhost}">>, <<"{0}">>, <<"{1}">>, <<"{2}">>, <<"test">>)"""
_VHOST = """\
rabbit_vhost:add(<<"{name}">>, <<"test">>),
rabbit_auth_backend_internal:set_permissions(
    <<"all">>, <<"{name}">>, <<".*">>, <<".*">>, <<".*">>, <<"test">>)"""


# Of the session, like the broker: a worker may come back to this module, and users are made once.
@pytest.fixture(scope="session")
def prepared(broker):
    """The broker with users, virtual hosts and limits to run into."""
    calls = [
        _USER.format(*patterns, name=name, password=PASSWORD, vhost="/")
        for name, patterns in USERS.items()
    ]
    calls += [
        _USER.format(".*", ".*", ".*", name=name, password=PASSWORD, vhost="/")
        for name in ("no-connection", "no-channel")
    ]
    calls += [_VHOST.format(name=name) for name in ("dead", "few-queues", "no-connections")]
    limit = 'rabbit_vhost_limit:parse_set(<<"{}">>, <<"{{\\"{}\\": {}}}">>, <<"test">>)'
    of_user = (
        'rabbit_auth_backend_internal:set_user_limits(<<"{}">>, <<"{{\\"{}\\": 0}}">>, <<"test">>)'
    )
    calls += [
        limit.format("few-queues", "max-queues", 3),
        limit.format("no-connections", "max-connections", 0),
        of_user.format("no-connection", "max-connections"),
        of_user.format("no-channel", "max-channels"),
        'rabbit_vhost_sup_sup:stop_and_delete_vhost(<<"dead">>)',
    ]
    accuracy.evaluate(broker, f"{', '.join(calls)}.")
    return broker


@contextlib.contextmanager
def changed(broker, change, back):
    accuracy.evaluate(broker, change)
    try:
        yield
    finally:
        accuracy.evaluate(broker, back)


def left_on(broker):
    """Queues and exchanges of a trial, in all virtual hosts."""
    found = " ".join(
        accuracy.evaluate(broker, f"{kind}:list().")
        for kind in ("rabbit_amqqueue", "rabbit_exchange")
    )
    return re.findall(r"(?:reply_)?omrig\.check[^\"]*", found)


def check(broker, user="all", vhost="/", sides=BOTH, options=OPTIONS, body_bytes=0):
    login = Login((Endpoint(broker.host, broker.port, user, PASSWORD),), vhost)
    return preflight.check(login, 10.0, Needs(sides, options, body_bytes))


def refusal(error, *arguments, **named):
    with pytest.raises(error) as caught:
        check(*arguments, **named)
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


REFUSED = [
    ("configures-nova", "/", BOTH, "declare a topic exchange", "with a CONFIGURE that"),
    ("configures-nova", "/", ("consumer",), "declare a topic exchange", "matches '^omrig.*'"),
    ("configures-no-reply", "/", BOTH, "declare a transient queue", "matches '^reply_.*'"),
    ("configures-no-reply", "/", ("producer",), "the configure permission", "'^reply_.*'"),
    ("writes-nothing", "/", ("consumer",), "bind a queue", "the write permission"),
    ("writes-nothing", "/", ("producer",), "publish a message", "the write permission"),
    ("writes-no-reply", "/", BOTH, "publish a reply", "WRITE that matches 'amq.default'"),
    ("reads-nothing", "/", ("consumer",), "bind a queue", "the read permission"),
    ("reads-nothing", "/", ("producer",), "consume from", "the read permission"),
    ("all", "dead", BOTH, "vhost 'dead' is down", "restart_vhost"),
    ("all", "few-queues", BOTH, "queue limit in vhost 'few-queues' (3) is reached", "max-queues"),
    ("all", "no-connections", BOTH, "connection limit (0) is reached", "set_vhost_limits"),
    ("no-connection", "/", BOTH, "user connection limit (0) is reached", "set_user_limits"),
    ("no-channel", "/", BOTH, "number of channels opened for user", "max-channels"),
]


@pytest.mark.parametrize(("user", "vhost", "sides", "words", "advice"), REFUSED)
def test_a_refusal_is_told_in_the_broker_s_words(prepared, user, vhost, sides, words, advice):
    text = refusal(UsageError, prepared, user, vhost, sides)
    assert words in text
    assert advice in text


@pytest.mark.parametrize("options", [OPTIONS, QUORUM, STREAM], ids=["classic", "quorum", "stream"])
@pytest.mark.parametrize("sides", [BOTH, ("producer",), ("consumer",)], ids="-".join)
def test_what_is_permitted_passes(prepared, sides, options):
    assert check(prepared, "just-enough", "/", sides, options).product == "RabbitMQ"


def test_a_producer_needs_no_more_than_its_reply_queue_and_a_consumer_no_reply_queue(prepared):
    assert check(prepared, "writes-no-reply", sides=("producer",))
    assert check(prepared, "configures-no-reply", sides=("consumer",))
    assert check(prepared, vhost="few-queues", sides=("consumer",))


def test_the_size_of_a_message_is_tried(prepared):
    limit = "application:set_env(rabbit, max_message_size, {})."
    with changed(prepared, limit.format(131072), limit.format(128 * 1024 * 1024)):
        assert check(prepared, body_bytes=131072)
        text = refusal(UsageError, prepared, body_bytes=131073)
        assert "takes messages up to 131072 bytes, one is 131073: lower -s" in text
        # Replies are small: who sends no load is not concerned.
        assert check(prepared, sides=("consumer",), body_bytes=0)


@pytest.mark.parametrize("what", ["memory", "disk"])
def test_a_blocked_broker_says_what_it_is_short_of(prepared, what):
    alarm = f"{{resource_limit, {what}, node()}}"
    with changed(
        prepared,
        f"rabbit_alarm:set_alarm({{{alarm}, []}}).",
        f"rabbit_alarm:clear_alarm({alarm}).",
    ):
        for sides in (BOTH, ("producer",), ("consumer",)):
            text = refusal(RunError, prepared, sides=sides, body_bytes=1_000_000)
            assert f"has blocked its publishers (low on {what})" in text


@pytest.mark.parametrize("ending", [KeyboardInterrupt, TimeoutError])
def test_a_trial_that_is_cut_short_leaves_nothing(prepared, monkeypatch, ending):
    def cut_short(_seconds, function):
        function()
        raise ending

    monkeypatch.setattr(trial, "call_within", cut_short)
    with pytest.raises(ending if ending is KeyboardInterrupt else UsageError):
        check(prepared, options=QUORUM)


def test_what_a_killed_omrig_leaves_of_its_trial_is_in_a_record(
    prepared, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    login = Login((Endpoint(prepared.host, prepared.port, "all", PASSWORD),))
    plan = Plan(sides=BOTH, run_id="5a" * 16, output=Output(folder=str(tmp_path)))
    needs = Needs(BOTH, STREAM, plan=plan)
    preflight.check(login, 10.0, needs)
    assert list(declared.records()) == []
    with monkeypatch.context() as patched:
        # As after a kill: nobody deletes.
        patched.setattr(trial._Trial, "delete", lambda _: 1 / 0)
        patched.setattr(trial, "_delete_anew", lambda *_: False)
        with pytest.raises(ZeroDivisionError):
            preflight.check(login, 10.0, needs)
    assert len(left_on(prepared)) >= 6
    (path,) = declared.records()
    over = dataclasses.replace(declared.read(path), start_time=0)
    monkeypatch.setattr(declared, "read", lambda _: over)
    url = f"rabbit://all:{PASSWORD}@{prepared.host}:{prepared.port}/"
    assert execute("clean", ["--transport-url", url]) == 0
    assert "delete queue omrig.check." in capsys.readouterr().out
    assert left_on(prepared) == list(declared.records()) == []


# Last: whatever came before.
def test_nothing_is_left_on_the_broker(prepared):
    assert left_on(prepared) == []
    # That it would be seen:
    assert "amq.topic" in accuracy.evaluate(prepared, "rabbit_exchange:list().")
