"""The plan: what is refused, what is kept, what never leaves it."""

import dataclasses

import pytest

from omrig.model.errors import UsageError
from omrig.model.plan import Plan

PLAN = Plan(sides=("producer",), run_id="1", transport_url="rabbit://u:topsecret@h/")


@pytest.mark.parametrize(
    ("field", "value", "option"),
    [
        ("messages", 0, "--message_count"),
        ("workers", 0, "--worker_count"),
        ("warmup", -1, "--warmup"),
        ("size_bytes", -1, "--message_size"),
        ("size_bytes", 1 << 40, "--message_size"),
        ("timeout_s", 0.0, "--timeout"),
        ("idle_s", 0.0, "--idle"),
        ("executor_pool_size", 0, "--executor-pool-size"),
        ("pattern", "shout", "--pattern"),
        ("executor", "asyncio", "--executor"),
        ("topic", "a/b", "--topic"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_option_s_name(field, value, option):
    with pytest.raises(UsageError, match=option):
        dataclasses.replace(PLAN, **{field: value})


def test_the_plan_survives_the_pipe_to_the_measured_process():
    assert Plan.from_json(PLAN.to_json()) == PLAN
    assert "\n" not in PLAN.to_json()


def test_the_transport_url_is_not_public():
    assert "topsecret" not in repr(PLAN)
    assert "topsecret" not in str(PLAN.public())


@pytest.mark.parametrize(
    ("topic", "named"),
    [("omrig", "omrig.5a"), ("omrig-2", "omrig-2.5a"), ("nova", "omrig.nova.5a")],
)
def test_a_topic_is_of_omrig_and_of_this_run_alone(topic, named):
    plan = dataclasses.replace(PLAN, run_id="5a", topic=topic)
    assert plan.queue_topic == plan.exchange == named


def test_two_runs_never_share_a_name():
    one, other = (dataclasses.replace(PLAN, run_id=digit * 32) for digit in "ab")
    assert one.tag in one.queue_topic
    assert one.tag not in other.queue_topic


def test_a_producer_uses_the_names_of_the_consumer_that_serves_it():
    plan = dataclasses.replace(PLAN, served_topic="omrig.5b", served_exchange="elsewhere")
    assert (plan.queue_topic, plan.exchange) == ("omrig.5b", "elsewhere")
