"""ironic under omrig: nothing of its RPC escapes, and the verdict finds what was put in its way."""

import pytest

from tests import rabbitmqctl
from tests.services import environments, ironic
from tests.services.fleet import in_their_turn, method

pytestmark = pytest.mark.timeout(600)

OPERATIONS = 100

ENOUGH = 50
"""Messages of a method that a verdict needs."""


def test_every_message_of_a_running_ironic_is_recorded(broker, fleet, folder):
    with ironic.running(folder, broker.url, fleet.under) as service:
        nodes = service.create(OPERATIONS // 2)
        with fleet.recorded() as recording:
            before = rabbitmqctl.received(broker)
            service.switch(nodes, "power on", clients=4)
            service.validate(nodes, clients=4)
            published = rabbitmqctl.received(broker) - before
    assert recording.status == 0, recording.said
    result = recording.result()
    assert {each.name.method: each.sent for each in result.methods} == {
        "change_node_power_state": OPERATIONS // 2,
        "validate_driver_interfaces": OPERATIONS // 2,
    }
    assert published == 2 * OPERATIONS
    closure = result.closure
    assert closure.messages == closure.matched == OPERATIONS, in_their_turn(result)
    assert closure.negative_stages == 0
    assert closure.within_tolerance == OPERATIONS
    assert not any(each.failures for each in result.processes)


def test_a_conductor_of_one_thread_is_what_the_verdict_names(broker, fleet, folder):
    with ironic.running(folder, broker.url, fleet.under, executor_threads=1) as service:
        nodes = service.create(ENOUGH)
        with fleet.recorded() as recording:
            service.switch(nodes, "power on", clients=8)
    found = method(recording.result(), "change_node_power_state")
    assert found.verdict.stage == "executor_queue", found.verdict.text
    assert "pool" in found.verdict.text
    (conductor,) = (each for each in recording.result().processes if each.served)
    assert (conductor.executor_pool.size, conductor.executor_pool.most) == (1, 1)


def test_the_environment_has_neither_omrig_nor_what_omrig_needs():
    environment = environments.environment(ironic.NAME)
    assert environment.holds("oslo_messaging")
    assert not environment.holds("omrig")
    assert not environment.holds("numpy")
