"""``run.json``: written as ever, and read whoever wrote it."""

import json
from typing import Any

import pytest

from omrig.model.plan import Plan
from omrig.model.run import Environment, Left, Member, RecordedPlan, Run


def about() -> dict[str, Any]:
    """A ``run.json`` as it is once the run has ended."""
    plan = RecordedPlan.from_json(Plan(sides=("producer", "consumer"), run_id="0" * 32).public())
    return {
        "schema": 1,
        "omrig": "0.1.0",
        "run_id": "0" * 32,
        "plan": {**plan.to_json(), "timeout_s": 60},
        "sides": ["producer", "consumer"],
        "started_at": "2026-11-25T20:00:00+00:00",
        "started_epoch_seconds": 1.5,
        "environment": {
            "host": "vm", "kernel": "6.1", "cpu_count": 2, "python": "3.11.2",
            "oslo.messaging": "18.3.1", "yappi": None, "broker": "RabbitMQ",
            "broker_version": "3.10.8",
        },
        "transport": {
            "url": "rabbit://u:***@h:1/", "source": "--transport-url", "driver": "rabbit",
            "vhost": "/", "tls": False, "in_memory": False, "exchange": "omrig", "topic": "omrig",
        },
        "broker_process": {"pid": None, "name": None, "reason": "elsewhere"},
        "pools": {"rpc_conn_pool_size": 30},
        "options": {"[oslo_messaging_rabbit] rabbit_qos_prefetch_count": 10},
        "settings": {"rpc_response_timeout": {"value": 60, "source": "default"}},
        "driver_options": {"ssl": False},
        "configuration": {"files": ["/etc/x.conf"], "unreadable": [], "unknown_options": []},
        "complete": True,
        "reason": None,
        "ended_because": None,
        "bad_usage": False,
        "began": ["producer", "consumer"],
        "sampling": {
            "interval_seconds": 0.1, "turns": 3, "cpu_seconds": 0.01, "wall_seconds": 0.3,
            "failure": None,
        },
        "left_on_broker": [
            {"kind": "queue", "name": "q", "reason": "refused", "command": "rabbitmqctl ..."}
        ],
    }  # fmt: skip


def test_a_run_is_written_as_it_was_read() -> None:
    assert json.dumps(Run.from_json(about()).to_json()) == json.dumps(about())


def test_its_parts_are_typed() -> None:
    run = Run.from_json(about())
    assert run.plan.timeout_s == 60
    assert run.environment.versions == {"oslo.messaging": "18.3.1", "yappi": None}
    assert run.settings is not None
    assert run.settings["rpc_response_timeout"].source == "default"
    assert run.left_on_broker == (Left(kind="queue", name="q", reason="refused",
                                       command="rabbitmqctl ..."),)  # fmt: skip


def test_before_its_end_a_run_has_no_end() -> None:
    ended = ("bad_usage", "began", "sampling", "left_on_broker")
    before = {name: value for name, value in about().items() if name not in ended}
    run = Run.from_json(before)
    assert json.dumps(run.to_json()) == json.dumps(before)
    assert run.wanted == ("producer", "consumer")
    assert Run.from_json({**about(), "began": ["producer"]}).wanted == ("producer",)


def test_a_run_of_the_first_omrig_is_read() -> None:
    newer = ("broker_process", "settings", "driver_options", "configuration", "bad_usage", "began",
             "sampling", "left_on_broker")  # fmt: skip
    first = {name: value for name, value in about().items() if name not in newer}
    first["plan"] = {
        name: first["plan"][name]
        for name in ("messages", "size_bytes", "workers", "pattern", "executor", "profile")
    }
    run = Run.from_json(first)
    assert run.settings is None
    assert run.plan.sample == 1
    assert run.driver_option("rabbit_qos_prefetch_count", 0) == 10
    assert run.driver_option("heartbeat_rate", 2) == 2


def test_what_the_driver_was_told_counts_for_more_than_what_differs() -> None:
    run = Run.from_json({**about(), "driver_options": {"rabbit_qos_prefetch_count": 3}})
    assert run.driver_option("rabbit_qos_prefetch_count", 0) == 3


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_a_schema_that_is_not_known_is_refused(schema: object) -> None:
    with pytest.raises(ValueError, match=r"schema .* is not known"):
        Run.from_json({**about(), "schema": schema})


def test_the_plan_is_recorded_as_it_is_public() -> None:
    public = Plan(sides=("producer",), run_id="x").public()
    assert RecordedPlan.from_json(public).to_json() == json.loads(json.dumps(public))


def test_an_environment_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="Environment"):
        Environment.from_json([])


def test_a_member_is_read_back() -> None:
    member = Member(name="consumer-2", side="consumer", host="vm", boot_id="b", pid=7)
    assert Member.from_json(member.to_json()) == member
