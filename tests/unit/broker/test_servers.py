"""Who serves a topic, by what a broker and its management API tell."""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping

import amqp
import pytest

from omrig.broker.amqp import management, servers
from omrig.broker.amqp.management import NoManagement
from omrig.model.errors import UsageError
from omrig.model.ping import Server
from omrig.model.transport import Endpoint, Login

LOGIN = Login((Endpoint("localhost", 1, "user", "secret"),), "cloud")


class Channel:
    def __init__(self, broker: "Broker") -> None:
        self._broker = broker

    def exchange_declare(self, name: str, _type: str, passive: bool) -> None:
        assert passive
        if name not in self._broker.exchanges:
            raise amqp.NotFound(name)

    def queue_declare(self, name: str, passive: bool) -> object:
        assert passive
        if name not in self._broker.queues:
            raise amqp.NotFound(name)

        class Declared:
            consumer_count = self._broker.queues[name]

        return Declared

    def close(self) -> None:
        pass


class Broker:
    """In place of a connection: these exchanges, and queues with so many that take from them."""

    def __init__(self, exchanges: set[str], queues: Mapping[str, int]) -> None:
        self.exchanges, self.queues = exchanges, queues
        self._transport = None

    def channel(self) -> Channel:
        return Channel(self)

    def collect(self) -> None:
        pass


NOVA = Broker(
    {"nova", "conductor_fanout", "compute.cells_fanout", "compute_fanout"},
    {
        "conductor": 3,
        "conductor.a.example.org": 2,
        "conductor.b": 1,
        "conductor.old": 0,
        "compute": 1,
        "compute.x": 1,
        "compute.cells": 1,
        "compute.cells.x": 1,
        "scheduler": 0,
        "scheduler.z": 0,
    },
)


@pytest.fixture(autouse=True)
def nova(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "open_first", lambda login, _: (NOVA, login.endpoints[0]))


def told(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(management, "queues", lambda *_: list(names))


def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> list[str]:
        raise NoManagement("localhost:10001 refuses connections")

    monkeypatch.setattr(management, "queues", refuse)


def find(*targets: str, hosts: tuple[str, ...] = ()) -> servers.Found:
    return servers.find(LOGIN, targets, ["nowhere", "nova"], hosts, ask_management=True)


def test_the_management_api_is_asked_only_where_that_was_asked_for(monkeypatch) -> None:
    told(monkeypatch, "conductor.b")
    (server,) = servers.find(LOGIN, ["conductor"], ["nova"], ()).servers
    assert server.label == "conductor (any of 3)"


def test_servers_that_are_named_are_looked_for_as_they_are(monkeypatch) -> None:
    untold(monkeypatch)
    found = find("conductor.a.example.org", "conductor.gone", "conductor.b", "conductor.b")
    assert found.exchange == "nova"
    assert found.servers == (
        Server(topic="conductor", name="a.example.org", consumers=2, found="named"),
        Server(topic="conductor", name="gone", consumers=None, found="named"),
        Server(topic="conductor", name="b", consumers=1, found="named"),
    )
    assert found.not_seen == ()


def test_a_topic_with_dots_is_not_cut_up(monkeypatch) -> None:
    untold(monkeypatch)
    (server,) = find("compute.cells.x").servers
    assert (server.topic, server.name) == ("compute.cells", "x")


def test_the_management_api_names_servers_also_those_that_are_gone(monkeypatch) -> None:
    told(monkeypatch, *(name for name in NOVA.queues if name.startswith("conductor.")))
    found = find("conductor")
    assert [(each.key, each.consumers) for each in found.servers] == [
        ("conductor.a.example.org", 2), ("conductor.b", 1), ("conductor.old", 0),
    ]  # fmt: skip
    assert found.not_seen == ()


def test_a_topic_within_a_topic_is_no_server_of_it(monkeypatch) -> None:
    told(monkeypatch, "compute.x", "compute.cells", "compute.cells.x")
    assert [each.key for each in find("compute").servers] == ["compute.x"]


def test_without_it_names_of_this_host_are_tried_and_the_rest_is_one_row(monkeypatch) -> None:
    untold(monkeypatch)
    found = find("conductor", hosts=("b", "b.example.org"))
    assert [(each.key, each.label) for each in found.servers] == [
        ("conductor.b", "conductor.b"), ("conductor", "conductor (any of 3)"),
    ]  # fmt: skip
    assert "3 take from conductor, and the names of 2 of them are not known" in found.not_seen[0]
    assert "localhost:10001 refuses connections" in found.how[0]
    assert find("compute", hosts=("x",)).not_seen == ()


def test_a_server_of_a_topic_that_nobody_listens_to_any_more(monkeypatch) -> None:
    untold(monkeypatch)
    (server,) = find("scheduler.z").servers
    assert (server.topic, server.name, server.consumers) == ("scheduler", "z", 0)
    (server,) = find("scheduler").servers
    assert (server.key, server.consumers) == ("scheduler", 0)


def test_what_was_never_there_is_said() -> None:
    with pytest.raises(UsageError, match="no queue of this name, and nobody listens"):
        find("conduktor")
    with pytest.raises(UsageError, match="--exchange: the broker has no exchange 'x' and no 'y'"):
        servers.find(LOGIN, ["conductor"], ["x", "y"], ())


class Management(http.server.BaseHTTPRequestHandler):
    realm, status = "RabbitMQ Management", 200
    seen: list[tuple[str, str | None]] = []  # noqa: RUF012 - each test begins with none

    def do_GET(self) -> None:
        asked = self.headers["Authorization"]
        self.seen.append((self.path, asked))
        if not asked:
            self.send_response(401)
            self.send_header("WWW-Authenticate", f'Basic realm="{self.realm}"')
            self.end_headers()
            return
        self.send_response(self.status)
        self.end_headers()
        page = 1 if "page=1&" in self.path else 2
        items = [{"name": name} for name in (["t.a", "txb"], ["t.c"])[page - 1]]
        self.wfile.write(json.dumps({"items": items, "page_count": 2}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    """A management API, and the login of the broker beside it."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Management)
    monkeypatch.setattr(management, "PORT_ABOVE", server.server_port - 5672)
    monkeypatch.setattr(Management, "seen", [])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Login((Endpoint("127.0.0.1", 5672, "user", "secret"),), "a/b")
    server.shutdown()
    server.server_close()


def test_queues_are_asked_for_page_by_page(api: Login) -> None:
    assert management.queues(api, "t.", 5) == ["t.a", "t.c"]
    paths = [path for path, _ in Management.seen]
    assert paths[0] == "/api/overview"
    assert paths[1].startswith("/api/queues/a%2Fb?page=1&")
    assert len(paths) == 3


def test_the_password_is_shown_to_a_management_api_alone(api: Login, monkeypatch) -> None:
    monkeypatch.setattr(Management, "realm", "My Router")
    with pytest.raises(NoManagement, match="is no management API"):
        management.queues(api, "t.", 5)
    assert Management.seen == [("/api/overview", None)]


def test_a_user_who_may_not_see_queues(api: Login, monkeypatch) -> None:
    monkeypatch.setattr(Management, "status", 403)
    with pytest.raises(NoManagement, match="does not let user 'user' see queues"):
        management.queues(api, "t.", 5)


def test_nobody_listens_there() -> None:
    login = Login((Endpoint("127.0.0.1", 1, "user", "secret"),))
    with pytest.raises(NoManagement, match="refuses connections"):
        management.queues(login, "t.", 5)
