"""The calls that an endpoint makes: numbered and timed as a producer's, counted apart."""

import types

import pytest

from omrig.measured.load import behaviour, rpc
from omrig.model.load import Load
from omrig.model.plan import Plan


class Client:
    """What stands for a client of the nested server: it calls it at once."""

    def __init__(self):
        self.server = None
        self.outcomes = []

    def prepare(self, **target):
        self.target = target
        return self

    def call(self, context, method, **arguments):  # noqa: ARG002
        if self.outcomes:
            outcome = self.outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        return self.server.message(context, **arguments)


@pytest.fixture
def client(monkeypatch):
    client = Client()

    def serve(_transport, plan, endpoint):
        client.server, client.plan = endpoint, plan
        return types.SimpleNamespace(stop=lambda: None, wait=lambda: None)

    monkeypatch.setattr(rpc, "serve", serve)
    monkeypatch.setattr(rpc, "client", lambda *_: client)
    return client


class Counting:
    """An endpoint that counts nothing."""

    tally = None

    def message(self, _context, seq, _producer, **_):
        return seq


def behaving(*texts):
    made = behaviour.Behaving(Plan(sides=("consumer",), run_id="5a", load=Load(endpoint=texts)))
    made.connect(None)
    made.expect("a", 10, 1)
    return made, made.endpoint(Counting()).message


def test_they_go_to_this_process_own_server_with_the_payload(client):
    made, message = behaving("call:2")
    heard = []
    serve = client.server.message
    client.server.message = lambda *args, **arguments: (
        heard.append(arguments) or serve(*args, **arguments)
    )
    assert message({}, seq=5, producer="a", user_data="x") == 5
    assert [each["seq"] for each in heard] == [0, 1]
    assert all(each["user_data"] == "x" for each in heard)
    assert client.target == {"server": rpc.server_name()}
    assert client.plan.queue_topic == "omrig.5a.inner"
    assert client.plan.exchange == "omrig.5a.inner"
    about = made.about()["nested"]
    assert (about["sent"], about["done"], about["received"]) == (2, 2, 2)
    columns = made.nested.columns()
    assert len(columns["start_ns"]) == len(columns["end_ns"]) == 2
    assert all(0 < b <= e for b, e in zip(columns["start_ns"], columns["end_ns"], strict=True))


def test_those_of_the_warm_up_are_made_and_not_counted(client):
    made, message = behaving("call:1")
    assert message({}, seq=-1, producer="a") == -1
    about = made.about()["nested"]
    assert (about["sent"], about["received"]) == (0, 0)
    assert len(made.nested.columns()["start_ns"]) == 0


def test_one_that_fails_fails_the_message_and_is_counted(client):
    made, message = behaving("call:1")
    client.outcomes = [0, TimeoutError("late"), 7]
    message({}, seq=0, producer="a")
    with pytest.raises(TimeoutError):
        message({}, seq=1, producer="a")
    with pytest.raises(rpc.ReplyMismatch, match="nested call 2 got the reply 7"):
        message({}, seq=2, producer="a")
    about = made.about()["nested"]
    assert (about["sent"], about["done"]) == (3, 1)
    assert about["errors"] == {"TimeoutError": 1, "ReplyMismatch": 1}
    columns = made.nested.columns()
    assert [end > 0 for end in columns["end_ns"]] == [True, False, False]
    assert columns["failed_seq"].tolist() == [1, 2]
    assert all(columns["start_ns"])


def test_a_message_of_another_is_not_counted(client):
    made, _ = behaving("call:1")
    assert client.server.message({}, seq=3, producer="of another") == 3
    assert made.about()["nested"]["received"] == 0
