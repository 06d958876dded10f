"""A broker's refusal in words: what RabbitMQ 3.10 to 4.3 says."""

from types import SimpleNamespace

import amqp
import pytest
from amqp import spec

from omrig.broker.amqp import cleanup, meeting, refusals, trial
from omrig.model import redaction
from omrig.model.declared import Thing
from omrig.model.transport import Endpoint, Login


def refused(code, text, method=None, kind=amqp.ChannelError):
    return amqp.exceptions.error_for_code(code, text, method, kind)


def test_only_what_the_broker_said_is_the_broker_s():
    assert refusals.is_broker_s(refused(541, "INTERNAL_ERROR - no", spec.Connection.Open))
    assert not refusals.is_broker_s(amqp.exceptions.UnexpectedFrame("Received frame 5"))
    assert not refusals.is_broker_s(refused(541, "", spec.Connection.Open))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("NOT_ALLOWED - vhost 'a - b' not found", "vhost 'a - b' not found"),
        ("INTERNAL_ERROR - two\nlines", "two lines"),
        ("plain words - with a dash", "plain words - with a dash"),
        ("", ""),
    ],
)
def test_its_words(text, words):
    assert refusals.said(refused(530, text)) == words


def test_no_password_is_in_them(monkeypatch):
    monkeypatch.setattr(redaction, "_secrets", set())
    redaction.remember(["s3cret/pw"])
    try:
        error = refused(403, "ACCESS_REFUSED - no\ns3cret%2Fpw", spec.Connection.Open)
        assert refusals.said(error) == refusals.quoted(error) == "no ***"
        assert refusals.quoted(OSError("at rabbit://u:another@h/")) == "at rabbit://u:***@h/"
        assert refusals.quoted(amqp.exceptions.MessageNacked()) == "MessageNacked"
        assert meeting.reason_of(error) == "no ***"
        broker = SimpleNamespace(delete=lambda *_: (_ for _ in ()).throw(error))
        assert cleanup._delete(broker, Thing("queue", "q", True), 0.0, Login([])) == "no ***"
        endpoint = Endpoint("h", 1, "u", "s3cret/pw")
        about = SimpleNamespace(doing="declare a queue")
        for each in (trial.Blocked("s3cret/pw"), OSError("s3cret/pw"), error):
            said = str(trial._explain(each, about, endpoint, "/", 1.0))
            assert "***" in said
            assert "s3cret" not in said
    finally:
        redaction.forget()


@pytest.mark.parametrize(
    ("text", "method", "missing"),
    [
        ("access to exchange 'e' in vhost '/'", spec.Exchange.Declare, ("configure", "e")),
        ("configure access to queue 'q' in vhost '/'", spec.Queue.Declare, ("configure", "q")),
        ("access to queue 'q' in vhost '/'", spec.Queue.Bind, ("write", "q")),
        ("access to exchange 'e' in vhost '/'", spec.Queue.Bind, ("read", "e")),
        ("write access to exchange 'amq.default' in", spec.Basic.Publish, ("write", "amq.default")),
        ("read access to queue 'q' in vhost '/'", spec.Basic.Consume, ("read", "q")),
        ("login was refused", spec.Connection.Open, None),
    ],
)
def test_which_permission_is_missing(text, method, missing):
    error = refused(403, f"ACCESS_REFUSED - {text} refused for user 'u'", method)
    assert refusals.permission(error) == missing


ADVICE = [
    ("Feature `transient_nonexcl_queues` is deprecated.", "rabbit_transient_quorum_queue = true"),
    ("access to vhost 'v' refused for user 'u': vhost 'v' is down", "restart_vhost -p 'the vhost'"),
    ("cannot declare queue 'q': queue limit in vhost 'v' (3) is reached", '"max-queues": N'),
    ("connection refused for user 'u': user connection limit (0) is reached", "set_user_limits me"),
    ("access to vhost 'v' refused for user 'u': connection limit (0) is reached", "-p 'the vhost'"),
    ("number of channels opened for user 'u' has reached the maximum allowed user limit of (0)",
     '"max-channels": N'),
    ("connection refused: node connection limit (9) is reached", "the broker's configuration"),
    ("the moon is full", "see the broker's log"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "advice"), ADVICE)
def test_what_to_do(words, advice):
    assert advice in refusals.advice(words, "me", "the vhost")
