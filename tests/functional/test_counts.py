"""Counts a message in runs through a real RabbitMQ, and gates on them by one run each."""

import json

import pytest

from tests.functional.conftest import result_of

GATES = ("--gate", "calls<=+0", "--gate", "amqp.round_trips<=+0", "--gate", "amqp.bytes<=+0")


@pytest.mark.parametrize("executor", ["eventlet", "threading"])
def test_one_run_each_decides(run, broker, tmp_path, executor):
    sizes = {"base": 1, "same": 1, "more": 2}
    for name, size in sizes.items() if executor == "threading" else list(sizes.items())[:1]:
        status, out, err = run(
            "run", "-m", 60, "-w", 1, "--warmup", 5, "--profile", "counts", "--executor", executor,
            "-s", size, "--transport-url", broker.url, "--output", name,
        )  # fmt: skip
        assert status == 0, err
    assert "counts a message" in out
    for side, each in result_of(tmp_path / "base")["counts"].items():
        assert each["exact"], each["calls"]
        assert (each["amqp"]["round_trips"], each["amqp"]["methods"]) == (1, 4), side
    if executor == "eventlet":
        return
    status, out, err = run("compare", "base", "same", *GATES)
    assert status == 0, out
    assert "met: calls<=+0: calls +0" in out
    status, out, err = run("compare", "base", "more", *GATES, "--json")
    assert status == 3
    outcomes = {each["gate"]: each["outcome"] for each in json.loads(out)["gates"]}
    assert outcomes.pop("amqp.bytes<=+0") == "failed"
    assert set(outcomes.values()) == {"met"}
