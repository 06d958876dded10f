"""What a measured process declares is written down before the broker is asked for it."""

import amqp
import pytest

from omrig.broker import declared
from omrig.measured import declaring
from omrig.model.plan import Plan
from omrig.model.transport import Login

PLAN = Plan(sides=("producer",), run_id="5a" * 16)
TAG = PLAN.tag


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return declared.begin(PLAN, Login(()), broker_lasts=True)[0]


def test_everything_is_written_down_before_it_is_declared(record, monkeypatch):
    seen = []

    def look(*_arguments, **_named):
        seen.append([each.name for each in declared.read(record).things])

    def queue_declare(self, queue="", passive=False, durable=False):
        look()

    def exchange_declare(self, exchange, type, passive=False):
        look()

    monkeypatch.setattr(amqp.Channel, "queue_declare", queue_declare)
    monkeypatch.setattr(amqp.Channel, "exchange_declare", exchange_declare)
    declaring.watch(str(record), TAG)
    channel = object.__new__(amqp.Channel)
    channel.exchange_declare(exchange=f"omrig.{TAG}", type="topic")
    channel.queue_declare(f"omrig.{TAG}", durable=True)
    channel.queue_declare(queue=f"omrig.{TAG}")
    channel.queue_declare("reply_" + 32 * "0")
    # Nobody declares these by this: they are there, or named by the broker.
    channel.queue_declare("theirs", passive=True)
    channel.exchange_declare("amq.topic", "topic")
    channel.queue_declare()
    names = [f"omrig.{TAG}", f"omrig.{TAG}", "reply_" + 32 * "0"]
    assert seen[:4] == [names[:1], names[:2], names[:2], names]
    assert seen[-1] == names
    kinds = [each.kind for each in declared.read(record).things]
    assert kinds == ["exchange", "queue", "queue"]
