"""Several services in one process: all begin at once, and each message goes by one of them."""

import threading
import types

import pytest

from omrig.measured.executors import threading as threads
from omrig.measured.load import deadline, rpc, services
from omrig.model.load import Load
from omrig.model.plan import Plan


def plan(count, **more):
    return Plan(sides=("consumer",), run_id="1", load=Load(services=count, **more))


class Transport:
    """What stands for a transport of oslo.messaging."""

    def __init__(self):
        self.closed = False

    def cleanup(self):
        self.closed = True


class Client:
    def __init__(self, transport):
        self.transport = transport
        self.called = []

    def prepare(self, **target):  # noqa: ARG002
        return self

    def call(self, context, method, **arguments):  # noqa: ARG002
        self.called.append(arguments["seq"])
        return arguments["seq"]

    cast = call


@pytest.fixture
def executor():
    return threads.make()


def made(executor, count, **more):
    return services.transport(plan(count, **more), executor, Transport)


def test_without_the_option_nothing_is_in_between(executor, monkeypatch):
    monkeypatch.setattr(rpc, "client", lambda transport, _: Client(transport))
    monkeypatch.setattr(rpc, "serve", lambda transport, *_: transport)
    transport = made(executor, None)
    assert isinstance(transport, Transport)
    assert services.one_of(transport) is transport
    assert services.client(transport, plan(None)).transport is transport
    server = services.serve(transport, plan(None), object())
    assert server is transport
    assert services.about(server) == {}


def test_each_message_goes_by_the_service_whose_turn_it_is(executor, monkeypatch):
    clients = []
    monkeypatch.setattr(
        rpc, "client", lambda transport, _: clients.append(Client(transport)) or clients[-1]
    )
    transport = made(executor, 3)
    client = services.client(transport, plan(3)).prepare()
    assert [client.call({}, "message", seq=seq) for seq in range(5)] == [0, 1, 2, 3, 4]
    client.cast({}, "message", seq=-1)
    assert [each.called for each in clients] == [[0, 3], [1, 4], [2, -1]]
    assert services.one_of(transport) is clients[0].transport


def test_all_begin_at_once_and_end(executor, monkeypatch):
    together = threading.Barrier(4, timeout=10)
    stopped = []

    def serve(transport, _plan, _endpoint, name):
        together.wait()
        return types.SimpleNamespace(stop=lambda: stopped.append(name), wait=lambda: None)

    monkeypatch.setattr(rpc, "serve", serve)
    transport = made(executor, 4)
    servers = services.serve(transport, plan(4), object())
    assert len(services.about(servers)["listening_ns"]) == 4
    servers.stop()
    servers.wait()
    assert len(set(stopped)) == 4
    transport.cleanup()
    assert all(each.closed for each in transport.transports)


def test_what_one_cannot_is_raised(executor, monkeypatch):
    def refuse(*_):
        raise PermissionError("no")

    monkeypatch.setattr(rpc, "serve", refuse)
    with pytest.raises(PermissionError):
        services.serve(made(executor, 2), plan(2), object())


def test_they_are_not_waited_for_for_ever(executor, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(rpc, "serve", lambda *_: over.wait(10))
    monkeypatch.setattr(Load, "patience_s", 0.05)
    with pytest.raises(deadline.Late, match=r"not all services could listen within 0.05 s"):
        services.serve(made(executor, 2), plan(2), object())
    over.set()
