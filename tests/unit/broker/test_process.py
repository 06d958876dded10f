"""Finding the process of a broker that was not started by omrig."""

import os
import socket

import psutil
import pytest

from omrig.broker import process
from omrig.model.run import BrokerProcess


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def port(request):
    """A port on which this very process listens."""
    with socket.create_server((request.param, 0)) as listener:
        yield listener.getsockname()[1]


def test_a_broker_on_this_host_is_found_by_its_port(port):
    found = process.locate("localhost", port, "Some broker")
    assert found == BrokerProcess(pid=os.getpid(), name=psutil.Process().name())


def test_what_listens_in_front_of_rabbitmq_is_not_rabbitmq(port):
    found = process.locate("127.0.0.1", port, "RabbitMQ")
    assert found.pid is None
    assert (
        f"on port {port} listens {psutil.Process().name()}, which is not RabbitMQ" in found.reason
    )


def test_a_broker_elsewhere():
    found = process.locate("192.0.2.1", 5672, "RabbitMQ")
    assert found == BrokerProcess(reason="the broker at 192.0.2.1 is not on this host")


def test_nobody_listens_any_more(port):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    found = process.locate("127.0.0.1", closed, "RabbitMQ")
    assert found.pid is None
    assert f"listens on port {closed}" in found.reason


def test_another_users_process_is_not_ours_to_see(port, monkeypatch):
    connections = [each._replace(pid=None) for each in psutil.net_connections("tcp")]
    monkeypatch.setattr(psutil, "net_connections", lambda _kind: connections)
    found = process.locate("127.0.0.1", port, "RabbitMQ")
    assert found.pid is None
    assert "not ours to see; run omrig as root, or as the broker's user" in found.reason


def test_a_broker_of_our_own():
    assert process.embedded(os.getpid()) == BrokerProcess(
        pid=os.getpid(), name=psutil.Process().name()
    )
