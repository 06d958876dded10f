"""The brokers that runs in turn share, and when none is started."""

import contextlib

import pytest

from omrig.broker.rabbitmq import installed
from omrig.model.errors import UsageError
from omrig.model.plan import SIDES, Plan
from omrig.model.software import Software
from omrig.supervisor import brokers, destination


class Display:
    def close(self):
        """Nothing was shown."""


def plan(rabbitmq="", url=None, sides=SIDES):
    made = Plan(sides=sides, run_id="r", software=Software(rabbitmq=rabbitmq))
    return made.with_transport(url=url)


@pytest.fixture
def started(monkeypatch):
    """What brokers were started from; none of them is real."""
    names = []

    @contextlib.contextmanager
    def own_broker(_display, rabbitmq):
        names.append(rabbitmq)
        yield f"broker of {rabbitmq}"
        names.append(f"end of {rabbitmq}")

    monkeypatch.setattr(destination, "own_broker", own_broker)
    monkeypatch.delenv(installed.VARIABLE, raising=False)
    return names


def other(tmp_path):
    """Another RabbitMQ than that of the machine."""
    script = tmp_path / "sbin" / "rabbitmq-server"
    script.parent.mkdir()
    script.touch()
    return str(tmp_path)


def test_there_is_one_of_each_rabbitmq_until_the_block_ends(tmp_path, started):
    four, machine = other(tmp_path), str(installed.SYSTEM)
    plans = [plan(), plan(machine), plan(url="rabbit://elsewhere/")]
    with brokers.opened(plans, lambda _messages: Display()) as shared:
        assert started == [""]
        # By another name it is the same one.
        assert [shared.of(each) for each in plans] == ["broker of ", "broker of ", None]
        assert shared.of(plan(four)) == f"broker of {four}"
        assert started == ["", four]
    assert started[2:] == [f"end of {four}", "end of "]


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        (plan("4.0", "rabbit://elsewhere/"), "--rabbitmq: --transport-url names the broker"),
        (plan("4.0", "kombu+memory://"), "--rabbitmq: --transport-url names the broker"),
        (plan("4.0", sides=("producer",)), "--rabbitmq: one side alone starts no broker"),
    ],
)
def test_a_rabbitmq_that_would_not_be_started_is_refused(refused, said):
    with pytest.raises(UsageError, match=said):
        destination.needs_broker(refused)
    display = Display()
    with pytest.raises(UsageError, match=said), destination.opened(refused, display, None):
        pytest.fail("it was opened")
