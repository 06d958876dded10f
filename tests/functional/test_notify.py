"""Notifications through a real RabbitMQ: one by one, in batches, and given back to the broker."""

import json
import time

import amqp
import oslo_messaging
import pytest
from oslo_config import cfg

from omrig.measured.load.consumer import Endpoint
from omrig.measured.load.messaging import Messaging
from omrig.measured.load.tally import Tally
from omrig.model.load import Load
from omrig.model.notifications import Notifications
from omrig.model.patterns import PATTERNS
from omrig.model.plan import Plan
from omrig.model.transport import AMQP

MESSAGES = 300
REQUEUE = oslo_messaging.NotificationResult.REQUEUE


def _run(run, broker, *arguments):
    status, out, err = run(
        "run", "-m", MESSAGES, "-w", 10, "--pattern", "notify", "--transport-url", broker.url,
        "--json", "--output", "r", *arguments,
    )  # fmt: skip
    assert status == 0, err
    return json.loads(out)


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_every_message_of_a_batch_is_counted_and_its_books_close(run, broker, executor):
    result = _run(
        run, broker, "--batch", 7, "--batch-timeout", 0.3, "--priority", "error",
        "--executor", executor,
    )  # fmt: skip
    counts = result["messages"]
    assert (counts["requested"], counts["sent"], counts["received"]) == (MESSAGES,) * 3
    assert (counts["lost"], counts["duplicated"]) == (0, 0)
    # No batch has more than 7, and the warm-up's are not of the load.
    assert MESSAGES / 7 <= counts["batches"] <= MESSAGES
    assert "requeued" not in counts
    closure = result["closure"]
    assert closure["messages"] == closure["matched"] == MESSAGES
    assert closure["within_tolerance"] >= 0.97 * MESSAGES
    assert closure["negative_stages"] == 0
    assert closure["unexplained_share"] <= 0.005
    stages = {stage["name"]: stage for stage in result["stages"]}
    assert stages["batch_wait"]["count"] == MESSAGES
    assert stages["batch_wait"]["max_ns"] <= 2_000_000_000


def test_one_by_one_nothing_waits_for_a_batch_and_nothing_is_left(run, broker, channel, tmp_path):
    result = _run(run, broker, "--executor", "threading")
    assert "batch_wait" not in {stage["name"] for stage in result["stages"]}
    assert not {"requeued", "batches"} & result["messages"].keys()
    about = json.loads((tmp_path / "r/run.json").read_text())
    assert not {"priority", "batch", "batch_timeout_s"} & about["plan"].keys()
    topic = about["transport"]["topic"]
    with pytest.raises(amqp.NotFound):
        channel.queue_declare(f"{topic}.info", passive=True)


class Requeues(Endpoint):
    """Wants every tenth message of the load a second time."""

    def __init__(self, tally):
        super().__init__(tally)
        self._asked = set()

    def message(self, ctxt, seq, producer, at_ns=None, **payload):
        super().message(ctxt, seq, producer, at_ns, **payload)
        if seq % 10 == 0 and seq not in self._asked:
            self._asked.add(seq)
            return REQUEUE
        return seq


@pytest.mark.parametrize("batch", [None, 5])
def test_what_goes_back_to_the_broker_comes_again_and_is_no_duplicate(broker, batch):
    conf = cfg.ConfigOpts()
    conf([])
    plan = Plan(
        sides=("producer", "consumer"),
        run_id=f"{time.monotonic_ns():032x}",
        load=Load(messages=100, pattern="notify", executor="threading"),
        notifications=Notifications(batch=batch, batch_timeout_s=0.2 if batch else None),
    )
    tally = Tally(100)
    tally.expect("me", 100)
    url = oslo_messaging.TransportURL.parse(conf, broker.url)
    messaging = Messaging(conf, url, plan, AMQP)
    messaging.serve(Requeues(tally))
    send = messaging.sender(PATTERNS["notify"], "me", {})
    for seq in range(100):
        send(seq)
    end = time.monotonic() + 20
    while not tally.complete():
        assert time.monotonic() < end
        time.sleep(0.05)
    messaging.stop_serving()
    messaging.cleanup()
    assert tally.unique() == 100
    assert tally.duplicated == tally.out_of_range == []
    assert tally.redelivered == tally.requeued
    assert tally.last == 100 + tally.requeued
    assert (tally.requeued == 10) if batch is None else (10 <= tally.requeued <= 50)


def test_the_url_of_notifications_is_used_for_them_alone(run, broker, tmp_path):
    (tmp_path / "nova.conf").write_text(
        "[DEFAULT]\ntransport_url = rabbit://guest:guest@127.0.0.1:1/\n"
        f"[oslo_messaging_notifications]\ntransport_url = {broker.url}\n"
    )
    status, _, err = run(
        "run", "-m", 20, "--pattern", "notify", "--config-file", "nova.conf", "--output", "r"
    )
    assert status == 0, err
    source = json.loads((tmp_path / "r/run.json").read_text())["transport"]["source"]
    assert source.startswith("[oslo_messaging_notifications] in ")
    assert source.endswith("nova.conf")
    status, _, err = run("run", "-m", 20, "--config-file", "nova.conf", "--output", "s")
    assert status == 2
    assert "127.0.0.1:1" in err
