"""The plan: what is refused, what is kept, what never leaves it."""

import dataclasses

import pytest

from omrig.errors import UsageError
from omrig.plan import Plan

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
        ("clock", "sun", "--clock"),
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
    ("topic", "queue_topic"), [("omrig", "omrig"), ("omrig-2", "omrig-2"), ("nova", "omrig.nova")]
)
def test_a_topic_never_names_a_queue_outside_omrig(topic, queue_topic):
    assert dataclasses.replace(PLAN, topic=topic).queue_topic == queue_topic
