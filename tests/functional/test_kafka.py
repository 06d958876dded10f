"""Notifications over Kafka, on the mock cluster that librdkafka brings: for function alone."""

import json

import pytest

from tests.functional.conftest import result_of

MESSAGES = 200


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_every_message_is_delivered_and_received(run, tmp_path, executor):
    status, out, err = run(
        "run", "-m", MESSAGES, "-w", 10, "--pattern", "notify", "--executor", executor,
        "--transport-url", "kafka://mock/", "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    result = result_of(tmp_path / "r")
    counts = result["messages"]
    assert (counts["requested"], counts["sent"], counts["received"]) == (MESSAGES,) * 3
    assert (counts["lost"], counts["duplicated"], counts["errors"]) == (0, 0, {})
    assert not result["is_measurement"]
    assert result["stages"] is None
    delivery = result["delivery"]["producer"]
    assert delivery["delivered"] == MESSAGES
    assert 0 < delivery["p50_ns"] <= delivery["p99_ns"] <= delivery["max_ns"]
    shown = " ".join(out.split())
    assert "is a mock of a cluster; this run shows that things work, not how fast" in shown
    assert f"{MESSAGES} reported by the producer's librdkafka, p50 " in shown
    assert "Kafka's client works in threads of its own" in shown
    about = json.loads((tmp_path / "r/run.json").read_text())
    assert about["transport"]["is_mock"] is True
    assert about["environment"]["confluent-kafka"]
    assert about["environment"]["broker"] == "librdkafka's mock cluster"


def test_batches_over_kafka_are_counted(run, tmp_path):
    status, _, err = run(
        "run", "-m", MESSAGES, "--pattern", "notify", "--executor", "threading", "--batch", 10,
        "--transport-url", "kafka://mock/", "--output", "r",
    )  # fmt: skip
    assert status == 0, err
    counts = result_of(tmp_path / "r")["messages"]
    assert counts["received"] == MESSAGES
    assert MESSAGES / 10 <= counts["batches"] <= MESSAGES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["run", "--pattern", "call", "--transport-url", "kafka://mock/"],
            "--pattern: kafka:// does not carry 'call'; choose from notify",
        ),
        (
            ["run", "--pattern", "notify", "--transport-url", "kafka://127.0.0.1:1/"],
            "no Kafka cluster answers at 127.0.0.1:1 within ",
        ),
        (
            ["run", "--pattern", "notify", "--transport-url", "kafka://h:9092/vhost"],
            "--transport-url: the driver sends to topics with the virtual host in their names",
        ),
        (
            ["run", "--pattern", "notify", "--transport-url", "kafka://h/"],
            "--transport-url: the driver knows no port but the one it is given",
        ),
        (
            ["-p", "10", "--pattern", "notify", "--transport-url", "kafka://mock/"],
            "over Kafka one side alone finds nobody",
        ),
    ],
)
def test_what_kafka_cannot_do_is_said_in_a_line(run, arguments, said):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") <= 2
