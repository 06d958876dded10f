"""Notifications through a real RabbitMQ: one by one, in batches, and given back to the broker."""

import json

import amqp
import pytest

MESSAGES = 300


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


@pytest.mark.parametrize("batch", [None, 5])
def test_what_goes_back_to_the_broker_comes_again_and_is_no_duplicate(run, broker, batch):
    batches = () if batch is None else ("--batch", batch, "--batch-timeout", 0.2)
    result = _run(run, broker, "--executor", "threading", "--endpoint", "requeue:10%", *batches)
    counts = result["messages"]
    assert counts["sent"] == counts["received"] == MESSAGES
    assert counts["lost"] == counts["duplicated"] == counts["out_of_range"] == 0
    share = MESSAGES // 10
    # Of a batch that has one of them all come again.
    assert counts["requeued"] == share if batch is None else counts["requeued"] >= share


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
