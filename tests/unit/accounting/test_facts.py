"""What the verdict is told of the queues of a run."""

import pytest

from omrig.accounting import facts
from omrig.accounting.verdict import evidence
from omrig.model.facts import Facts
from tests.unit.accounting import stamped

BOTH = {"rabbit_quorum_queue": True, "rabbit_transient_quorum_queue": True}


@pytest.mark.parametrize(
    ("pattern", "options", "wires"),
    [
        ("call", {}, set()),
        ("call", {"rabbit_quorum_queue": True}, {"amqp_request"}),
        ("call", BOTH, {"amqp_request", "amqp_reply"}),
        ("fanout", {"rabbit_quorum_queue": True}, set()),
        ("fanout", BOTH, {"amqp_request", "amqp_reply"}),
        ("fanout", {**BOTH, "rabbit_stream_fanout": True}, {"amqp_reply"}),
    ],
)
def test_which_wires_go_through_a_quorum_queue(pattern, options, wires):
    assert facts._quorum(stamped.run({"pattern": pattern}, driver_options=options)) == wires


@pytest.mark.parametrize(("executor", "count"), [("eventlet", 1), ("threading", 0)])
def test_a_native_heartbeat_thread_is_told_beside_a_hub(executor, count):
    from tools import synthetic_values

    result = synthetic_values.result(executor=executor)
    found = [each for each in evidence.lines(result, Facts(native_heartbeat=True))]
    assert [each.kind for each in found].count("heartbeat") == count
    assert "heartbeat" not in [each.kind for each in evidence.lines(result, Facts())]
