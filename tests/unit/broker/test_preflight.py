"""The check before a run, against peers that are no broker."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from omrig.broker import leftovers
from omrig.broker.amqp import cleanup, preflight, reaching
from omrig.broker.amqp.connection import call_within
from omrig.model.declared import Thing
from omrig.model.errors import UsageError
from omrig.model.transport import Endpoint, Login

PASSWORD = "s3cret-pass"
LIMIT_SECONDS = 10.0


def endpoint(port: int, host: str = "127.0.0.1") -> Endpoint:
    return Endpoint(host, port, "someone", PASSWORD)


def failure(*endpoints: Endpoint, ssl_options=None, deadline_s: float = 2.0) -> str:
    started = time.monotonic()
    with pytest.raises(UsageError) as caught:
        preflight.check(Login(endpoints, ssl_options=ssl_options), deadline_s)
    assert time.monotonic() - started < LIMIT_SECONDS
    text = str(caught.value)
    assert "\n" not in text
    assert PASSWORD not in text
    return text


@pytest.fixture
def closed_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


@pytest.fixture
def black_hole() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that answers whatever it reads with `answer` and hangs up."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                try:
                    peer.recv(4096)
                    peer.sendall(answer)
                except OSError:
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


@pytest.fixture
def http_port() -> Iterator[int]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_refused(closed_port):
    text = failure(endpoint(closed_port))
    assert f"127.0.0.1:{closed_port}: connection refused" in text
    assert "start the broker" in text


def test_unknown_host():
    text = failure(endpoint(5672, "no-such-host.invalid"))
    assert "no-such-host.invalid:5672" in text
    assert "unknown host" in text or "name look-up timed out" in text


@pytest.mark.parametrize("ssl_options", [None, {}, {"server_hostname": None}])
def test_black_hole(black_hole, ssl_options):
    assert "never answered" in failure(endpoint(black_hole), ssl_options=ssl_options)


@pytest.mark.parametrize("ssl_options", [None, {}])
def test_http_server(http_port, ssl_options):
    assert "answers HTTP, not AMQP" in failure(endpoint(http_port), ssl_options=ssl_options)


@pytest.mark.parametrize(
    ("answer", "ssl_options", "expected"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", None, "answers HTTP"),
        (b"\x15\x03\x03\x00\x02\x02\x0a", None, "speaks TLS"),
        (b"AMQP\x00\x00\x09\x01", {}, "speaks plain AMQP"),
        (b"220 mail.example.org ESMTP\r\n", None, "did not speak AMQP"),
        (b"", None, "did not speak AMQP"),
        (b"", {}, "TLS failed"),
    ],
)
def test_other_protocols(answer, ssl_options, expected):
    with answering(answer) as port:
        assert expected in failure(endpoint(port), ssl_options=ssl_options)


def test_each_of_several_hosts_is_named(closed_port, black_hole, http_port):
    text = failure(endpoint(closed_port), endpoint(black_hole), endpoint(http_port), deadline_s=4)
    assert f":{closed_port} connection refused" in text
    assert f":{black_hole} accepted the connection and never answered" in text
    assert f":{http_port} answers HTTP" in text


def test_no_hosts():
    assert "names no broker" in failure()


def test_a_missing_ca_file_is_named_as_such(black_hole):
    options = {"ca_certs": "/nonexistent/ca.pem", "cert_reqs": 2}
    assert "TLS file cannot be read" in failure(endpoint(black_hole), ssl_options=options)


def test_password_is_not_in_the_representation():
    assert PASSWORD not in repr(endpoint(5672))


def test_ipv6_address_is_bracketed():
    assert Endpoint("::1", 5672, "u", "p").address == "[::1]:5672"


def test_reachable(closed_port, black_hole):
    assert not reaching.reachable([endpoint(closed_port)])
    assert reaching.reachable([endpoint(closed_port), endpoint(black_hole)])
    assert not reaching.reachable([])


def test_call_within_gives_up():
    release = threading.Event()
    try:
        with pytest.raises(TimeoutError):
            call_within(0.05, lambda: release.wait(30))
    finally:
        release.set()


def test_call_within_passes_errors_and_none_on():
    assert call_within(5, lambda: None) is None
    with pytest.raises(ZeroDivisionError):
        call_within(5, lambda: 1 // 0)


def test_cleanup_of_a_dead_broker_leaves_everything(closed_port, black_hole):
    for port in (closed_port, black_hole):
        started = time.monotonic()
        things = [
            Thing("queue", "a", True),
            Thing("queue", "b", True),
            Thing("exchange", "c", True),
        ]
        left = cleanup.remove(Login([endpoint(port)]), things)
        assert [each.thing for each in left] == things
        # The reason is told once.
        assert len(leftovers.told(left)) == 1 + len(things)
        assert time.monotonic() - started < LIMIT_SECONDS


def test_what_is_left_on_a_broker_that_is_not_there_is_an_error_where_it_is_asked(closed_port):
    login = Login([endpoint(closed_port)])
    for kind in ("queue", "exchange"):
        with pytest.raises(UsageError, match="connection refused"):
            cleanup.remaining(login, [Thing(kind, "a", True)])
    assert cleanup.remaining(login, [Thing("file", "/nowhere", True)]) == []
