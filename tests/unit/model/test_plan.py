"""The plan: what is refused, what is kept, what never leaves it."""

import dataclasses

import pytest

from omrig.model.errors import UsageError
from omrig.model.load import Load
from omrig.model.plan import Output, Plan, Where
from omrig.model.profiling import Profiling

PLAN = Plan(sides=("producer",), run_id="1", transport=Where(url="rabbit://u:topsecret@h/"))


@pytest.mark.parametrize(
    ("part", "field", "value", "option"),
    [
        (Load, "messages", 0, "--message_count"),
        (Load, "workers", 0, "--worker_count"),
        (Load, "warmup", -1, "--warmup"),
        (Load, "size_bytes", -1, "--message_size"),
        (Load, "size_bytes", 1 << 40, "--message_size"),
        (Load, "timeout_s", 0.0, "--timeout"),
        (Load, "idle_s", 0.0, "--idle"),
        (Load, "executor_pool_size", 0, "--executor-pool-size"),
        (Load, "pattern", "shout", "--pattern"),
        (Load, "executor", "asyncio", "--executor"),
        (Where, "topic", "a/b", "--topic"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_option_s_name(part, field, value, option):
    with pytest.raises(UsageError, match=option):
        part(**{field: value})


def test_slices_need_a_load_that_is_long_enough():
    twin = {"profiling": Profiling(twin=True), "run_id": "1"}
    with pytest.raises(UsageError, match=r"--twin: 100 messages are too few .* give -m 4400 or"):
        Plan(sides=("producer",), load=Load(messages=100), **twin)
    Plan(sides=("consumer",), load=Load(messages=100), **twin)


def test_the_plan_survives_the_pipe_to_the_measured_process():
    assert Plan.from_json(PLAN.to_json()) == PLAN
    plan = Plan(
        sides=("producer", "consumer"),
        run_id="1",
        load=Load(messages=None, timeout_s=1.5),
        profiling=Profiling(modes=("yappi", "memory"), options={"targets": ("a", "b")}),
        transport=Where(config_files=("x",), environment={"OS_A": "b"}, is_resolved=True),
        output=Output(folder="d", debug=True),
    )
    assert Plan.from_json(plan.to_json()) == plan
    assert "\n" not in PLAN.to_json()


def test_the_transport_url_is_not_public():
    assert "topsecret" not in repr(PLAN)
    assert "topsecret" not in str(PLAN.public())


def test_run_json_has_the_plan_in_one_level():
    assert " ".join(PLAN.public()) == (
        "sides run_id messages size_bytes workers producers consumers expect_producers"
        " expect_consumers pattern executor executor_pool_size warmup timeout_s wait_s"
        " idle_s profile sample twin clock gil native targets config_files config_dirs"
        " project project_named topic served_topic served_exchange served_by output debug"
    )


@pytest.mark.parametrize(
    ("topic", "named"),
    [("omrig", "omrig.5a"), ("omrig-2", "omrig-2.5a"), ("nova", "omrig.nova.5a")],
)
def test_a_topic_is_of_omrig_and_of_this_run_alone(topic, named):
    plan = dataclasses.replace(PLAN, run_id="5a").with_transport(topic=topic)
    assert plan.queue_topic == plan.exchange == named


def test_two_runs_never_share_a_name():
    one, other = (dataclasses.replace(PLAN, run_id=digit * 32) for digit in "ab")
    assert one.tag in one.queue_topic
    assert one.tag not in other.queue_topic


def test_a_producer_uses_the_names_of_the_consumer_that_serves_it():
    plan = PLAN.with_transport(served_topic="omrig.5b", served_exchange="elsewhere")
    assert (plan.queue_topic, plan.exchange) == ("omrig.5b", "elsewhere")
