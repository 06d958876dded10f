"""nova's conductor under omrig, with threads and with green ones."""

import json
import subprocess

import pytest

from tests import rabbitmqctl
from tests.services import nova
from tests.services.fleet import OMRIG, in_their_turn, method

pytestmark = pytest.mark.timeout(600)

PINGS = 200


@pytest.mark.parametrize("executor", nova.EXECUTORS)
def test_every_ping_of_a_running_conductor_is_recorded(executor, broker, fleet, folder):
    with nova.running(folder, broker.url, fleet.under, executor=executor) as service:
        service.ping(8, threads=4)
        with fleet.recorded() as recording:
            before = rabbitmqctl.received(broker)
            service.ping(PINGS, threads=4)
            published = rabbitmqctl.received(broker) - before
    assert recording.status == 0, recording.said
    result = recording.result()
    ping = method(result, "baseapi.ping")
    assert published == 2 * PINGS
    assert (ping.sent, ping.served, ping.matched) == (PINGS, PINGS, PINGS), in_their_turn(result)
    assert ping.closure.negative_stages == 0
    assert ping.closure.within_tolerance == PINGS
    (conductor,) = (each for each in result.processes if each.served)
    assert conductor.executor == executor
    assert not any(each.failures for each in result.processes)


def test_a_conductor_answers_a_ping_from_outside(broker, folder):
    with nova.running(folder, broker.url):
        done = subprocess.run(
            [*OMRIG, "ping", "conductor", "--config-file", folder / "nova.conf", "--json"],
            cwd=folder, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    (found,) = result["servers"]
    assert (found["server"]["name"], found["state"]) == ("conductor-1", "answers")
    assert found["sent"] == found["answered"] == result["sent"] >= 3
