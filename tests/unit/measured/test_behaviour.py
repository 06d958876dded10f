"""The endpoint that does what it is told, and the client that takes its errors for answers."""

import time

import oslo_messaging
import pytest
from oslo_messaging.rpc import dispatcher
from oslo_serialization import jsonutils

from omrig.measured.load import behaviour, injected, rpc
from omrig.model import payload
from omrig.model.patterns import PATTERNS
from omrig.model.plan import Load, Plan


class Counting:
    """What stands for the endpoint's method that counts."""

    def __init__(self):
        self.seen = []
        self.tally = None

    def message(self, context, seq, producer, at_ns=None, **arguments):  # noqa: ARG002
        self.seen.append((producer, seq, arguments))
        return seq


def acting(*texts, **messages):
    """An endpoint's method that does this, beside what counts its messages and what it raised."""
    behaving = behaviour.Behaving(plan(*texts))
    for pid, (producer, count) in enumerate(messages.items()):
        behaving.expect(producer, count, pid)
    counting = Counting()
    return counting, behaving.endpoint(counting).message, behaving


def plan(*texts):
    return Plan(sides=("consumer",), run_id="1", load=Load(endpoint=texts or None))


def test_an_endpoint_that_only_answers_is_left_as_it_is():
    counting, message, behaving = acting()
    assert message == counting.message
    assert behaving.about() == {}


def test_a_message_is_counted_first_and_answered_last():
    counting, message, _ = acting("sleep:20ms")
    began = time.monotonic()
    assert message({}, seq=3, producer="a", user_data="x") == 3
    assert time.monotonic() - began >= 0.02
    assert [seen[:2] for seen in counting.seen] == [("a", 3)]


@pytest.mark.parametrize("cpu_ns", [300_000, 5_000_000])
def test_what_is_burnt_is_the_processor_time_of_the_thread(cpu_ns):
    burn = behaviour.burning(cpu_ns)
    burnt = []
    for _ in range(5):
        before = time.thread_time_ns()
        burn(0, {})
        burnt.append(time.thread_time_ns() - before)
    assert min(burnt) >= cpu_ns
    # Two readings of a clock beside it, and what the last of the loop was too long.
    assert min(burnt) < 1.02 * cpu_ns + 60_000


def test_waiting_is_no_burning():
    """Another thread that computes meanwhile is not counted."""
    burn = behaviour.burning(2_000_000)
    before = time.process_time_ns()
    time.sleep(0.01)
    burn(0, {})
    assert 2_000_000 <= time.process_time_ns() - before < 8_000_000


@pytest.mark.parametrize("size_bytes", [payload.SMALLEST_REPLY_BYTES, 100, 51_200])
@pytest.mark.parametrize("seq", [-3, 0, 9, 123_456])
def test_a_reply_has_its_size_and_number(size_bytes, seq):
    _, message, _ = acting(f"reply:{size_bytes}B")
    reply = message({}, seq=seq, producer="a")
    assert len(jsonutils.dumps(reply)) == size_bytes
    assert payload.number_in(jsonutils.loads(jsonutils.dumps(reply))) == seq


@pytest.mark.parametrize("reply", [None, 3, "3", {}, {"seq": 3}, []])
def test_what_is_no_sized_reply_has_no_number(reply):
    assert payload.number_in(reply) is None


def failing(message, producer, count):
    """The numbers of a producer's messages that fail, expected as the server sees it."""
    failed = []
    for seq in range(count):
        try:
            message({}, seq=seq, producer=producer)
        except dispatcher.ExpectedException as error:
            assert error.exc_info[0] is injected.InjectedError
            assert error.exc_info[1].args == (seq,)
            failed.append(seq)
    return failed


def test_exactly_the_share_fails_however_the_load_is_split():
    _, alone, behaving = acting("error:1%", a=1000)
    whole = failing(alone, "a", 1000)
    assert len(whole) == 10
    assert behaving.about() == {"errors_raised": {"InjectedError": 10}}
    counts = {"a": 334, "b": 333, "c": 333}
    offsets = behaviour.offsets(counts)
    assert offsets == {"a": 0, "b": 334, "c": 667}
    _, message, _ = acting("error:1%", **counts)
    parts = [
        offsets[name] + seq for name in offsets for seq in failing(message, name, counts[name])
    ]
    assert parts == whole


def test_what_is_not_of_the_load_never_fails():
    _, message, _ = acting("error:100%", a=9)
    assert message({}, seq=-1, producer="a") == -1
    assert message({}, seq=0, producer="of another run") == 0
    with pytest.raises(dispatcher.ExpectedException):
        message({}, seq=0, producer="a")


class Client:
    """What stands for a client of oslo.messaging: it answers with what it was made with."""

    def __init__(self, outcome):
        self.outcome = outcome

    def prepare(self, **target):  # noqa: ARG002
        return self

    def call(self, context, method, **arguments):  # noqa: ARG002
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    cast = call


def sent(outcome, *texts):
    """The answers of a producer that calls an endpoint told to do this, and its function."""
    answers = behaviour.Answered(plan(*texts))
    client = answers.client(Client(outcome))
    return answers, answers.taken(rpc.sender(PATTERNS["call"], client, "a", {}))


def test_without_anything_asked_nothing_is_in_the_way():
    client = Client(3)
    answers = behaviour.Answered(plan())
    assert answers.client(client) is client
    assert answers.taken(print) is print
    assert answers.about() == {}


def test_a_sized_reply_is_the_message_s_own():
    _, send = sent(payload.sized_reply(200)(3), "reply:200B")
    send(3)
    with pytest.raises(rpc.ReplyMismatch):
        send(4)


def test_an_error_of_the_endpoint_is_an_answer():
    answers, send = sent(injected.InjectedError(3), "error:1%")
    send(3)
    assert answers.about() == {"errors_replied": {"InjectedError": 1}}
    with pytest.raises(rpc.ReplyMismatch, match=r"message 4 got the error \(3,\)"):
        send(4)


@pytest.mark.parametrize("error", [oslo_messaging.MessagingTimeout, oslo_messaging.RemoteError])
def test_a_failure_is_none(error):
    answers, send = sent(error("x"), "error:1%")
    with pytest.raises(error):
        send(3)
    assert answers.about() == {}


def test_a_notification_of_the_share_is_given_back_once():
    behaving = behaviour.Behaving(
        Plan(
            sides=("consumer",), run_id="1", load=Load(pattern="notify", endpoint=("requeue:50%",))
        )
    )
    behaving.expect("a", 10, 1)
    message = behaving.endpoint(Counting()).message
    first = [message({}, seq, "a") for seq in range(10)]
    again = [message({}, seq, "a") for seq in range(10)]
    requeue = oslo_messaging.NotificationResult.REQUEUE
    assert first.count(requeue) == 5
    assert again == list(range(10))
