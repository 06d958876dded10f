"""What is said and asked before a load."""

import io
import sys

import pytest

from omrig.broker.base import BrokerInfo
from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.plan import Plan, Where
from omrig.model.transport import Login, Transport
from omrig.report.terminal.progress import Progress
from omrig.supervisor import consent

INFO = BrokerInfo("RabbitMQ", "3.10.8", "Erlang", "prod", "/nova", "ctl1", 5671)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def ask(monkeypatch, capsys):
    def ask(
        *, named=False, terminal=False, answer="", sides=("producer",), messages=1, yes=False,
        endpoint=None,
    ):  # fmt: skip
        transport = Transport(
            scheme="rabbit", broker="amqp", patterns=("call",), login=Login((), "/nova"),
            options={}, settings={}, is_named=named,
            redacted="rabbit://u:***@ctl1/nova", source="/etc/nova/nova.conf", url="",
        )  # fmt: skip
        load = Load(messages=messages, endpoint=endpoint)
        plan = Plan(sides=sides, run_id="1", load=load, transport=Where(yes=yes))
        shown = Terminal() if terminal else io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Terminal(answer) if terminal else io.StringIO(answer))
            patch.setattr(sys, "stderr", shown)
            try:
                consent.ask(plan, transport, INFO, Progress(None))
            except UsageError as error:
                return shown.getvalue(), str(error)
        return shown.getvalue(), None

    return ask


def test_where_the_load_goes_is_said_even_when_quiet(ask):
    said, error = ask(messages=2000)
    assert error is None
    assert said == (
        "omrig: the load goes to ctl1:5671, virtual host '/nova' (from /etc/nova/nova.conf):"
        " 2,000 messages of 10 KB\n"
    )


@pytest.mark.parametrize("messages", [100_001, None])
def test_a_large_load_to_a_broker_that_was_found_wants_a_yes(ask, messages):
    _, error = ask(messages=messages)
    assert error.startswith("--message_count: ")
    assert "give --yes" in error
    said, error = ask(messages=messages, terminal=True, answer="n\n")
    assert "the broker that /etc/nova/nova.conf names? [y/N]" in said
    assert "nothing was sent" in error
    assert ask(messages=messages, terminal=True, answer="")[1]
    assert ask(messages=messages, terminal=True, answer="y\n")[1] is None
    assert ask(messages=messages, yes=True)[1] is None
    assert ask(messages=messages, named=True)[1] is None


def test_the_calls_of_an_endpoint_are_messages_too(ask):
    assert ask(messages=25_000, endpoint=("call:3",))[1] is None
    _, error = ask(messages=25_001, endpoint=("call:3",))
    assert "100,004 messages to the broker" in error


def test_neither_a_small_load_nor_a_consumer_is_asked_about(ask):
    assert ask(messages=100_000)[1] is None
    said, error = ask(messages=None, sides=("consumer",))
    assert error is None
    assert said.startswith("omrig: messages are taken from ctl1:5671")
